"""What does the page of a delayed release say? Every element of it as text, from ledger and decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.gate.explanation import conditions
from greenlight.release.delay.dates import Dates, dates_of
from greenlight.release.delay.history import Snapshot
from greenlight.release.explanation import limit_words, number, title
from greenlight.release.ledger import Ledger, due
from greenlight.release.order import VERDICTS, Row

CATEGORY_OF = {
    "compete": "competitive",
    "task": "competitive",
    "resources": "technical",
    "drift": "technical",
    "open": "technical",
    "contaminate": "technical",
}
"""Which of the three reasons a row belongs to, by the family of its assessment; every other is about safety."""

SAFETY = "safety & alignment"

ORDER = (SAFETY, "competitive", "technical")


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a page is made from."""

    decision: Mapping[str, JSON]
    """decision.json."""

    decision_sha256: str
    """Digest of its file."""

    ledger: Ledger
    """Of the release."""

    lock: Mapping[str, JSON] | None = None
    """lock.json; None for what was decided without a run."""

    wall_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each suite took, where a run measured them."""

    price_per_hour: float | None = None
    """What an hour of the machine costs, in dollars; None where nobody said."""

    vouched: tuple[str, ...] = ()
    """Who vouches for the lock's time."""

    redacted: Mapping[str, str] = field(default_factory=dict)
    """Rows that are withheld from this page, each with a reason that is published."""

    earlier: Snapshot | None = None
    """The page before this one."""

    @property
    def published(self) -> str:
        """The page's own time: of whatever in it happened last, so that it comes out the same whenever it is made."""
        entries = self.ledger.entries
        return max(str(self.decision["decided"]), entries[-1].time if entries else self.ledger.created)


class RowLine(NamedTuple):
    """A row on the page; one that is withheld has its reason and nothing else."""

    title: str
    status: str
    value: str
    interval: str
    limit: str
    n: str
    gap: str
    reason: str
    settle: str
    withheld: str = ""


class Group(NamedTuple):
    """Rows that hold a release for one of the three reasons."""

    category: str
    rows: tuple[RowLine, ...]


class View(NamedTuple):
    """The page, element by element."""

    verdict: str
    dates: Dates
    attempt: str
    locks: str
    outside_policy: str
    """Why the delay is not explained by the policy; empty where it is."""

    holding: tuple[Group, ...]
    fine: tuple[RowLine, ...]
    unknown: tuple[RowLine, ...]
    changing: tuple[str, ...]
    review: tuple[str, ...]
    deciders: tuple[str, ...]
    changed: tuple[str, ...]
    waivers: tuple[str, ...]
    wished: tuple[RowLine, ...]
    """Rows without which a release says a condition."""

    conditions: tuple[str, ...]
    not_assessed: tuple[str, ...]
    other: str
    withheld: tuple[str, ...]
    """Why each row that is withheld is."""


def view(material: Material) -> View:
    """Everything that the page says."""
    decision, dates = material.decision, dates_of(material.ledger)
    rows = {row["row"]: row for row in decision["rows"]}
    facts = decision["explanation"]
    gaps = {gap["row"]: gap for gap in facts["gaps"]}
    holding = [rows[name] for name in (*facts["holds"], *facts["open"]) if rows[name]["level"] != "should"]
    opened = [rows[name] for name in facts["open"]]

    def line(row: Row) -> RowLine:
        return _line(material, row, gaps.get(row["row"]))

    groups = {name: [row for row in holding if _category(row) == name] for name in ORDER}
    return View(
        verdict=VERDICTS[decision["verdict"]],
        dates=dates,
        attempt=_attempt(decision),
        locks=_locks(material.ledger, decision),
        outside_policy=_outside(dates, holding),
        holding=tuple(Group(name, tuple(map(line, found))) for name, found in groups.items() if found),
        fine=tuple(line(rows[name]) for name in facts["fine"]),
        unknown=tuple(line(row) for row in opened),
        changing=tuple(_changing(material.ledger)),
        review=tuple(_review(material)),
        deciders=tuple(_deciders(material)),
        changed=tuple(_changed(material)),
        waivers=tuple(
            f"{waiver['row']}, {waiver['effect']}: {waiver['who']}, {waiver['given']} until {waiver['until']}: "
            f"{waiver['why']}"
            for waiver in decision.get("waivers", ())
            if waiver["row"] not in material.redacted
        ),
        wished=tuple(line(row) for row in rows.values() if row["level"] == "should" and row["status"] != "PASS"),
        conditions=tuple(conditions([row for name, row in rows.items() if name not in material.redacted])),
        not_assessed=tuple(
            f"{title(row)}: {row['reason']}"
            for name, row in rows.items()
            if row["metric"] == "statement" and name not in material.redacted
        ),
        other=_other(decision),
        withheld=tuple(material.redacted[row] for row in rows if row in material.redacted),
    )


def _category(row: Row) -> str:
    return CATEGORY_OF.get(row["assess"].partition(".")[0], SAFETY)


def _line(material: Material, row: Row, gap: Mapping[str, JSON] | None) -> RowLine:
    if row["row"] in material.redacted:
        return RowLine("", "", "", "", "", "", "", "", "", withheld=material.redacted[row["row"]])
    bounds = row["lower"] is not None and row["upper"] is not None
    return RowLine(
        title=title(row),
        status=row["status"],
        value=number(row, row["value"]),
        interval=f"{number(row, row['lower'])} to {number(row, row['upper'])}" if bounds else "none",
        limit="" if row["limit"] is None else limit_words(row),
        n=f"{row['n_used']:,} of {row['n_planned']:,} planned" if row["n_planned"] else f"{row['n_used'] or 'none'}",
        gap=f"{number(row, gap['at_least'])} at least" if gap else "not known" if row["status"] != "PASS" else "none",
        reason=row["reason"],
        settle=_settle(material, row),
    )


def _settle(material: Material, row: Row) -> str:
    """What would settle an open row: in words, in answers, in hours of this machine, in dollars."""
    if row["status"] not in ("INCONCLUSIVE", "NOT RUN", "INVALID"):
        return str(row["change"])
    left = row["n_planned"] - row["n_used"]
    parts = [str(row["change"])]
    if labels := row["labels"]:
        needed = None if labels["needed"] is None else labels["needed"] - labels["have"]
        parts += [] if not needed else [f"{needed:,} labels by a person"]
    if left > 0:
        parts.append(f"up to {left:,} more answers")
    seconds = material.wall_s.get(row["assess"])
    if left > 0 and seconds is not None and row["n_finished"]:
        hours = seconds / row["n_finished"] * left / 3600
        parts.append(f"about {hours:.2g} hours on the machine of this run")
        price = material.price_per_hour
        parts.append("price of an hour not stated" if price is None else f"about ${hours * price:.2f}")
    elif left > 0:
        parts.append("hours and dollars not known: no run has measured them")
    return "; ".join(part for part in parts if part)


def _attempt(decision: Mapping[str, JSON]) -> str:
    if "attempt" in decision:
        return str(decision["attempt"]["text"])
    return f"no attempt of {decision['attempts']}: {decision['explanation']['kind']}"


def _locks(ledger: Ledger, decision: Mapping[str, JSON]) -> str:
    """How many exams were locked, and how many of them nobody decided."""
    decided = {entry.body["lock"] for entry in ledger.of("decision")} | {decision["lock"]}
    exams = [entry for entry in ledger.of("lock") if entry.body["run"] == "exam"]
    unused = sum(entry.body["lock"] not in decided for entry in exams)
    return f"{len(exams)} exams were locked so far" + (f", {unused} of them not decided" if unused else "")


def _outside(dates: Dates, holding: list[Row]) -> str:
    if not dates.waiting:
        return ""
    if not holding:
        return "the date has slipped, and no limit that a release needs is broken or open"
    return "the last slip was said to be for it" if dates.category == "outside the policy" else ""


def _changing(ledger: Ledger) -> Iterator[str]:
    """What the team entered since the last decision: its own words, marked as such."""
    decisions = ledger.of("decision")
    since = decisions[-1].index if decisions else 0
    yield from (str(note.body["text"]) for note in ledger.of("note") if note.index > since)


def _review(material: Material) -> Iterator[str]:
    facts = material.decision["explanation"]
    if facts["next_review"]:
        yield f"On {facts['next_review']} at the latest."
        yield facts["missed"]
    else:
        yield "None is due: the policy is kept." if material.decision["verdict"] == "go" else "No day is set."
    for reason in due(material.ledger, material.published[:10]):
        if not any(name in reason.why for name in material.redacted):
            yield f"Due since {reason.since}: {reason.why}."


def _deciders(material: Material) -> Iterator[str]:
    yield "The verdict follows from the answers and the locked policy by fixed rules; nobody can edit it."
    people = _waiving(material.lock)
    if people:
        yield f"A row may be set aside, for a while and in public, by {people}."
    yield "Whether the weights are published is decided by whoever publishes them, who answers for it."


def _waiving(lock: Mapping[str, JSON] | None) -> str:
    if lock is None:
        return ""
    from greenlight.gate.lock import policy_of

    rule = policy_of(lock).waiver
    return "" if rule is None else ", ".join(rule.who)


def _changed(material: Material) -> Iterator[str]:
    """What is other than on the page before this one."""
    earlier = material.earlier
    if earlier is None:
        return
    now = Snapshot.of(material)
    if now.verdict != earlier.verdict:
        yield f"verdict: {VERDICTS[earlier.verdict]}, now {VERDICTS[now.verdict]}"
    if now.slips != earlier.slips:
        yield f"slips: {earlier.slips}, now {now.slips}"
    if now.policy != earlier.policy:
        yield f"policy: {earlier.policy[:12]}, now {now.policy[:12]}"
    for name in sorted({**earlier.rows, **now.rows}):
        before, after = earlier.rows.get(name, "no such row"), now.rows.get(name, "no such row")
        if before != after and not (now.withheld and name not in now.rows):
            yield f"{name}: {before}, now {after}"
    if earlier.withheld != now.withheld:
        yield f"rows withheld: {earlier.withheld}, now {now.withheld}"


def _other(decision: Mapping[str, JSON]) -> str:
    if "other" not in decision:
        return ""
    other = decision["other"]
    return (
        f"{other['note']}. Under {other['policy']['name']} ({other['policy']['sha256'][:12]}): "
        f"{VERDICTS[other['verdict']]}"
    )
