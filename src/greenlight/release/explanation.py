"""What is the public told? What holds the release, by how much, what would settle it, what is fine: as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.gate.lock import NEVER_GO
from greenlight.gate.words import figure
from greenlight.measure.metrics import Metric, difference, find_metric, metric_of
from greenlight.release.order import VERDICTS, Row, deciding
from greenlight.release.text import visible, words


class Line(NamedTuple):
    """One statement."""

    text: str
    subject: str = ""
    """What it is about, where the part speaks of several things."""

    code: str = ""
    """The command that acts on it, or the digest that it names."""


class Part(NamedTuple):
    """Statements under one heading."""

    title: str
    lines: tuple[Line, ...]


def metric_of_row(row: Row) -> Metric | None:
    """What a row measures: of a comparison, the difference; None for a statement."""
    metric = find_metric(row["assess"], row["metric"])
    return metric if metric is None or "compare" not in row else difference(metric)


def number(row: Row, value: float | None) -> str:
    """A figure of a row as a reader wants it, with its unit."""
    metric = metric_of_row(row)
    if metric is None or value is None:
        return "none"
    return figure(metric, value).replace("-", "\u2212")


def title(row: Row) -> str:
    """A row's name for people: refuse: non-refusal."""
    if row["metric"] == "statement":
        return words(row["assess"])
    against = f" beside {row['compare']}" if "compare" in row else ""
    return f"{words(row['assess'])}: {words(row['metric'])}{against}"


def limit_words(row: Row) -> str:
    """What a row's limit asks."""
    metric = metric_of(row["assess"], row["metric"])
    if "compare" in row:
        side = "above" if row["direction"] == "max" else "below"
        return f"at most {number(row, abs(row['limit']))} {side} {row['compare']}"
    bound = number(row, row["limit"])
    if metric.kind == "balance":
        return f"within {bound} either way"
    return f"at {'most' if row['direction'] == 'max' else 'least'} {bound}"


def tell(decision: Mapping[str, JSON], lock: Mapping[str, JSON] | None = None) -> tuple[Part, ...]:
    """The public explanation, part by part.

    Args:
        decision: decision.json.
        lock: where it is at hand, the time at which everything was fixed is told too.
    """
    facts = decision["explanation"]
    rows = {row["row"]: row for row in decision["rows"]}
    parts = (
        Part(_heading(decision["verdict"]), tuple(_holding(decision))),
        Part(_conditions_heading(decision["verdict"]), tuple(Line(f"{text}.") for text in decision["conditions"])),
        Part("Waivers", tuple(_waivers(decision))),
        Part("What would settle it", tuple(_settling(facts["settle"], rows))),
        Part("Known to be fine", tuple(_said(rows[name]) for name in facts["fine"])),
        Part("Not known", tuple(_said(row) for row in _open(decision, rows))),
        Part("Not assessed", tuple(Line(row["reason"], title(row)) for row in _statements(decision))),
        Part("When it is looked at again", tuple(_review(facts))),
        Part("Who decides", tuple(_deciders(decision))),
        Part("What was fixed beforehand", tuple(_fixed(decision, lock))),
    )
    return tuple(part for part in parts if part.lines)


def explanation(decision: Mapping[str, JSON], lock: Mapping[str, JSON] | None = None) -> str:
    """The same as Markdown, for a terminal or for publishing."""
    verdict = VERDICTS[decision["verdict"]]
    head = [f"# {verdict}: {plain(decision['model']['name'])}", f"{plain(decision['sentence'])}."]
    return "\n\n".join([*head, markdown(tell(decision, lock))]) + "\n"


def markdown(parts: Iterable[Part]) -> str:
    """Parts as Markdown, each under a heading of the second level."""
    return "\n\n".join(f"## {part.title}\n\n" + "\n".join(map(_bullet, part.lines)) for part in parts)


def _heading(verdict: str) -> str:
    return {
        "go": "Nothing holds the release",
        "go_with_conditions": "What the conditions come from",
        "hold": "What holds the release: not known yet",
        "no_go": "What holds the release: limits known to be broken",
    }[verdict]


def _conditions_heading(verdict: str) -> str:
    return (
        "Conditions that go with it" if verdict == "go_with_conditions" else "What a release would have to say as well"
    )


def _holding(decision: Mapping[str, JSON]) -> Iterable[Line]:
    gaps = {gap["row"]: gap for gap in decision["explanation"]["gaps"]}
    rows = deciding(decision)
    if decision["verdict"] == "go":
        yield Line(f"All {len(rows)} limits are shown to be kept.")
        return
    for row in rows:
        gap = _gap_words(row, gaps.get(row["row"]))
        yield Line(f"{row['plain']}: {row['reason']}{gap}.", title(row))
    if decision["verdict"] == "hold" and decision.get("attempt", {}).get("spent"):
        yield Line(f"This is {decision['attempt']['text']}.")
    if decision["kind"] in NEVER_GO and decision["verdict"] == "hold":
        yield Line(f"This run is {decision['explanation']['kind']}.")


def _waivers(decision: Mapping[str, JSON]) -> Iterable[Line]:
    for waiver in decision.get("waivers", ()):
        when = f"by {waiver['who']}, given {waiver['given']}, until {waiver['until']}"
        yield Line(f"{when}; {waiver['effect']}: {waiver['why']}.", waiver["row"])


def _gap_words(row: Row, gap: Mapping[str, JSON] | None) -> str:
    if gap is None:
        return ""
    side = "over" if row["direction"] == "max" else "short of"
    estimate = "" if gap["estimate"] is None else f", {number(row, gap['estimate'])} by the estimate"
    return f"; {side} the limit by {number(row, gap['at_least'])} or more{estimate}"


def _settling(settle: Sequence[Mapping[str, JSON]], rows: Mapping[str, Row]) -> Iterable[Line]:
    """What would change each open or failing row; rows that ask for the same are named together."""
    asked: dict[tuple[str, str], list[str]] = {}
    for entry in settle:
        asked.setdefault((entry["text"], entry["next"]), []).append(title(rows[entry["row"]]))
    for (text, command), names in asked.items():
        yield Line(f"{text}.", "; ".join(names), command)


def _said(row: Row) -> Line:
    return Line(f"{row['reason']}.", title(row))


def _statements(decision: Mapping[str, JSON]) -> list[Row]:
    return [row for row in decision["rows"] if row["metric"] == "statement"]


def _open(decision: Mapping[str, JSON], rows: Mapping[str, Row]) -> list[Row]:
    told = {row["row"] for row in deciding(decision)}
    return [rows[name] for name in decision["explanation"]["open"] if name not in told]


def _review(facts: Mapping[str, JSON]) -> Iterable[Line]:
    if facts["next_review"]:
        yield Line(f"On {facts['next_review']} at the latest.")
        yield Line(facts["missed"])


def _deciders(decision: Mapping[str, JSON]) -> Iterable[Line]:
    yield Line(
        "The verdict follows from the answers and from the locked policy by fixed rules; nobody can edit it, and "
        "anyone with this folder can derive it again."
    )
    if decision["verdict"] in ("go", "go_with_conditions"):
        yield Line("Whoever publishes the weights decides to publish them and answers for it; a GO obliges nobody.")
    else:
        yield Line("Whoever publishes the weights all the same does it against this policy and answers for it.")


def _fixed(decision: Mapping[str, JSON], lock: Mapping[str, JSON] | None) -> Iterable[Line]:
    policy, model = decision["policy"], decision["model"]
    when = f"made {lock['created']}, which is the author's word" if lock else "made before the first answer"
    if decision["kind"] == "imported":
        when = "made after the answers, which another tool had asked for"
    yield Line(when, "lock", decision["lock"])
    yield Line(policy["name"], "policy", policy["sha256"])
    yield Line(model["name"], "model", model["digest"])
    yield Line(f"{decision['explanation']['kind']}.", "this run")
    yield Line(_attempts(decision, lock), "attempts")


def _attempts(decision: Mapping[str, JSON], lock: Mapping[str, JSON] | None) -> str:
    number_of = "no ledger counted this attempt; " if decision["kind"] == "exam" else ""
    if lock and lock["attempt"] is not None:
        number_of = f"this is attempt {lock['attempt']} of {decision['attempts']}; "
    share = f"a wrong GO in at most {decision['alpha'] * 100:g} of 100 uses of the policy"
    together = "" if decision["attempts"] == 1 else f", its {decision['attempts']} attempts together"
    return f"{number_of}{share}{together}."


_MARKDOWN = re.compile(r"([\\`*_\[\]#|<>~])")


def plain(text: str) -> str:
    """Text that Markdown shows as it stands, in one line."""
    escaped = _MARKDOWN.sub(r"\\\1", " ".join(visible(text).split()))
    return escaped.replace("&", "&amp;")


def _bullet(line: Line) -> str:
    subject = f"**{plain(line.subject)}**: " if line.subject else ""
    code = " ".join(visible(line.code).replace("`", "'").split())
    return f"- {subject}{plain(line.text)}" + (f"\n  `{code}`" if code else "")
