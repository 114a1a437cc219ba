"""What does the page say of one row? Number, interval, limit, what was asked and answered, and what would change it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from greenlight.evidence import JSON
from greenlight.gate.wrapped import KEY
from greenlight.release.explanation import limit_words, metric_of_row, number, title
from greenlight.release.figures import Words, interval_figure
from greenlight.release.order import Row
from greenlight.release.page.answers import Shown, shown
from greenlight.release.page.contents import Contents


class Fact(NamedTuple):
    """A name and what stands beside it."""

    name: str
    text: str
    digest: str = ""


class TopicLine(NamedTuple):
    """One line of a breakdown."""

    topic: str
    n: int
    value: str


class RowView(NamedTuple):
    """A row as the template takes it."""

    name: str
    """As the decision calls it."""

    id: str
    title: str
    plain: str
    lead: str
    """What is measured; empty where the reason says it."""

    level: str
    status: str
    value: str
    reason: str
    figure: Markup | None
    facts: tuple[Fact, ...]
    """What the number rests on."""

    failing: tuple[str, ...]
    """Checks that failed, in words."""

    change: str
    next: str
    why: str
    source: str
    condition: str
    topics: tuple[TopicLine, ...]
    topics_note: str
    levels: tuple[TopicLine, ...]
    samples: tuple[Shown, ...]


def row_view(row: Row, contents: Contents, *, n_samples: int) -> RowView:
    """A row with its drawing and its first samples.

    Args:
        row: of decision.json.
        contents: where its questions and answers are.
        n_samples: how many of the row's samples are shown.
    """
    ids = row["samples"][:n_samples]
    return RowView(
        name=row["row"],
        id=_anchor(row["row"]),
        title=title(row),
        plain=row["plain"],
        lead="" if row["reason"].startswith(row["plain"]) else row["plain"],
        level=row["level"],
        status=row["status"],
        value=number(row, row["value"]),
        reason=row["reason"],
        figure=_figure(row),
        facts=tuple(_facts(row)),
        failing=tuple(check["text"] for check in row["checks"] if not check["ok"]),
        change=row["change"],
        next=row["next"],
        why=row["why"],
        source=row["source"],
        condition=row["condition"] or "",
        topics=_topics(row),
        topics_note=_topics_note(row),
        levels=tuple(_lines(row, row["details"].get("levels", []), "level")),
        samples=tuple(view for item in ids if (view := shown(contents, row["assess"], item)) is not None),
    )


class BothPolicies(NamedTuple):
    """A row under the locked policy and under another one that was held against it afterwards."""

    row: str
    locked_limit: str
    locked_status: str
    other_limit: str
    other_status: str


def both_policies(decision: Mapping[str, JSON]) -> tuple[BothPolicies, ...]:
    """Rows with a limit under either policy, each with both outcomes; none where there is no other policy."""
    other = {row["row"]: row for row in decision.get("other", {"rows": []})["rows"]}
    locked = {row["row"]: row for row in decision["rows"]}
    names = [name for name in {**locked, **other} if "other" in decision]
    both = (BothPolicies(name, *_under(locked.get(name)), *_under(other.get(name))) for name in names)
    return tuple(line for line in both if (line.locked_limit, line.other_limit) != ("", ""))


def _under(row: Mapping[str, JSON] | None) -> tuple[str, str]:
    if row is None:
        return "", "no such row"
    return "" if row["limit"] is None else f"{row['limit']:g}", row["status"]


def _anchor(name: str) -> str:
    return "row-" + "".join(character if character.isascii() and character.isalnum() else "-" for character in name)


def _figure(row: Row) -> Markup | None:
    """The interval against the limit; None where there is no interval, or no range in which it would say something."""
    metric = metric_of_row(row)
    if metric is None or row["lower"] is None or row["upper"] is None:
        return None
    if math.isinf(metric.high) and row["limit"] is None:
        return None
    return interval_figure(
        row,
        metric.low,
        metric.high,
        Words(
            name=_anchor(row["row"]),
            title=f"{title(row)}, {row['status'].lower()}",
            description=_description(row),
            limit="" if row["limit"] is None else f"allowed: {limit_words(row)}",
        ),
    )


def _description(row: Row) -> str:
    interval = f"The interval runs from {number(row, row['lower'])} to {number(row, row['upper'])}"
    estimate = "" if row["value"] is None else f", the estimate is {number(row, row['value'])}"
    return f"{interval}{estimate}; " + (
        "no limit is set." if row["limit"] is None else f"allowed is {limit_words(row)}."
    )


def _facts(row: Row) -> Iterator[Fact]:
    if row["metric"] == "statement":
        return
    if row["value"] is not None:
        yield Fact("estimate", number(row, row["value"]))
    if row["lower"] is not None and row["upper"] is not None:
        yield Fact("interval", f"{number(row, row['lower'])} to {number(row, row['upper'])}{_sureness(row)}")
    if row["limit"] is not None:
        yield Fact("limit", limit_words(row))
    if row["n_planned"]:
        yield Fact("answers used", _amount(row))
    yield Fact("method", row["method"])
    if row["judge"]:
        yield Fact("judge", _judge(row["judge"]))
    if row["labels"] and (row["labels"]["have"] or row["status"] == "INCONCLUSIVE"):
        yield Fact("labels", _labels(row["labels"]))
    if row["n_planned"]:
        yield Fact("ungradable", f"counts as {row['unscored']}")
    for part in row["details"].get(KEY, ()):
        yield Fact(f"wrapper {part['topic']}", _beside_plain(part))


def _beside_plain(part: Mapping[str, JSON]) -> str:
    return (
        f"{part['wrapped']:.3f} answered, {part['plain']:.3f} of the same {part['n']:,} requests plainly asked: "
        f"{part['difference']:+.3f} [{part['lower']:+.3f}, {part['upper']:+.3f}], as the rules read both"
    )


def _sureness(row: Row) -> str:
    return (
        ""
        if row["limit"] is None or not row["alpha"]
        else f", each end wrong with a chance of {row['alpha']:.2g} at most"
    )


def _amount(row: Row) -> str:
    used, planned, finished = row["n_used"], row["n_planned"], row["n_finished"]
    text = f"{used:,} of {planned:,} planned" if used != planned else f"all {planned:,}"
    if row["clusters"] != used:
        text += f", in {row['clusters']:,} groups"
    return text + (f"; {finished - used:,} more were finished and not needed" if finished > used else "")


def _judge(judge: Mapping[str, JSON]) -> str:
    se, sp = (f"{low:.2f} to {high:.2f}" for low, high in (judge["se"], judge["sp"]))
    raw = "{:.3f} to {:.3f}".format(*judge["raw"])
    return f"{judge['name']}: finds {se} of what it looks for, is right on {sp} of the rest; before correction {raw}"


def _labels(labels: Mapping[str, JSON]) -> str:
    have = f"{labels['have']:,} there, {labels['by_people']:,} by a person"
    return have if labels["needed"] is None else f"{have}; a pass needs {labels['needed']:,}"


def _topics(row: Row) -> tuple[TopicLine, ...]:
    """By topic, the worst first."""
    sign = 1 if row["direction"] == "min" else -1
    ordered = sorted(row["topics"], key=lambda topic: (sign * topic["value"], topic["topic"]))
    return tuple(_lines(row, ordered, "topic")) if len(ordered) > 1 else ()


def _topics_note(row: Row) -> str:
    return "as graded, before the judge's error is taken into account" if row["judge"] else "as graded"


def _lines(row: Row, entries: Sequence[Mapping[str, JSON]], name: str) -> Iterator[TopicLine]:
    for entry in entries:
        yield TopicLine(str(entry[name]).replace("_", " "), entry["n"], number(row, entry["value"]))
