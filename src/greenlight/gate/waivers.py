"""Which rows are set aside, by whom and until when, and does the policy allow it?"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from greenlight.errors import EvidenceError, PolicyError
from greenlight.evidence import JSON, is_date, read_lines
from greenlight.gate.policy import Policy
from greenlight.gate.tables import nearest

FILE = "waivers.jsonl"
"""Where a run keeps them: a journal of its lock, covered by the manifest like everything that decides."""

MAX_TEXT = 500

USED, _REPLACED = "used", "replaced by a later one"

_WAIVABLE = ("FAIL", "INCONCLUSIVE", "NOT RUN")
"""What a waiver can set aside. An instrument that failed says nothing of the model: nobody can answer for that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """One person answers for one row, for a while."""

    row: str
    """Which row."""

    who: str
    """A name of the policy's."""

    why: str
    """The reason, which is published with it."""

    given: str
    """The day it was given."""

    until: str
    """The last day on which it has effect."""

    def fault(self, policy: Policy) -> str:
        """Why the policy does not allow it; empty where it does."""
        rule, rows = policy.waiver, {criterion.name for criterion in policy.criteria}
        if rule is None:
            return f"the policy {policy.name} lets nobody waive a row"
        if self.who not in rule.who:
            return f"{self.who!r} may not waive; the policy names {', '.join(rule.who)}"
        if self.row not in rows:
            return f"the policy {policy.name} has no row {self.row!r}"
        days = (datetime.date.fromisoformat(self.until) - datetime.date.fromisoformat(self.given)).days
        if not 0 <= days <= rule.max_days:
            return f"{days} days from {self.given} to {self.until}; the policy allows 0 to {rule.max_days}"
        return ""

    def remedy(self, policy: Policy) -> str:
        """What to give instead of what the policy does not allow, in the words of the command line."""
        rule, rows = policy.waiver, [criterion.name for criterion in policy.criteria]
        if rule is None:
            return "a policy that names them: [waiver] with who = [...] and max_days, before the lock is made"
        if self.who not in rule.who:
            return f"--who {' or --who '.join(repr(name) for name in rule.who)}"
        if self.row not in rows:
            near = nearest(self.row, rows)
            return (f"did you mean {near}? " if near else "") + f"ROW is one of {', '.join(rows)}"
        last = datetime.date.fromisoformat(self.given) + datetime.timedelta(days=rule.max_days)
        return f"--until from {self.given} to {last}"

    def adds_nothing_to(self, earlier: Waiver) -> bool:
        """Whether the same person set the same row aside before, for at least as long."""
        same = (earlier.row, earlier.who) == (self.row, self.who)
        return same and earlier.given <= self.given and self.until <= earlier.until

    def effect(self, status: str, day: str) -> str:
        """What it does to a row of this status on a day: `used`, or why nothing."""
        if day < self.given:
            return f"not given before {self.given}"
        if day > self.until:
            return f"expired on {self.until}"
        if status == "INVALID":
            return "a waiver never covers a row that is INVALID"
        return USED if status in _WAIVABLE else "not needed"


OPTIONS: Mapping[str, str] = {"row": "ROW", "who": "--who", "why": "--why", "until": "--until"}
"""What the command line calls a field."""


def parse_waiver(value: Mapping[str, JSON], where: str, called: Mapping[str, str] = MappingProxyType({})) -> Waiver:
    """A waiver from its fields.

    Args:
        value: the fields.
        where: what they are of.
        called: what its reader calls a field, where that is not its name.

    Raises:
        EvidenceError: a field is missing, unknown, too long, or a day is none.
    """
    fields = ("row", "who", "why", "given", "until")
    found = "" if set(value) == set(fields) else f"fields {', '.join(sorted(map(str, value)))[:120]}"
    for field in fields:
        text = value.get(field)
        if not found and not (isinstance(text, str) and text.strip() and len(text) <= MAX_TEXT):
            found = f"{called.get(field, field)} is {str(text)[:60]!r}, must be words, {MAX_TEXT} characters at most"
    for field in ("given", "until"):
        if not found and not is_date(value[field]):
            found = f"{called.get(field, field)} is {value[field][:60]!r}, must be a day, YYYY-MM-DD"
    if found:
        raise EvidenceError(
            "a waiver is written otherwise",
            where=where,
            found=found,
            do='greenlight waive RUN ROW --who "A. Name" --why "the reason" --until 2026-03-01',
        )
    return Waiver(**{field: value[field] for field in fields})


def read_waivers(folder: Path, lock_id: str, policy: Policy) -> tuple[Waiver, ...]:
    """The waivers of a run, in the order in which they were given; none where there is no such file.

    Raises:
        EvidenceError: damaged, or made under another lock.
        PolicyError: one that the policy does not allow; its line is named.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    header, entries = read_lines(path, "waivers")
    if header.get("lock") != lock_id:
        raise EvidenceError(
            "these waivers were made under another lock",
            where=f"{path}, line 1",
            found=f"lock {str(header.get('lock'))[:8]}, expected {lock_id[:8]}",
            do="remove the file; a waiver is given for one run: greenlight waive RUN ROW …",
        )
    waivers = []
    for number, entry in enumerate(entries, start=2):
        waiver = parse_waiver(entry, f"{path}, line {number}")
        if found := waiver.fault(policy):
            raise PolicyError(
                "a waiver that the policy does not allow", where=f"{path}, line {number}", found=found, do="remove it"
            )
        waivers.append(waiver)
    return tuple(waivers)


def set_aside(
    rows: Sequence[dict[str, JSON]], waivers: Sequence[Waiver], day: str
) -> tuple[list[dict[str, JSON]], list[dict[str, JSON]]]:
    """The rows as they stand with the waivers that have effect, and what became of each waiver.

    Args:
        rows: as judged.
        waivers: all that were given; of several for one row the last that has effect counts.
        day: of the decision, YYYY-MM-DD.
    """
    status = {row["row"]: row["status"] for row in rows}
    effects = [waiver.effect(status[waiver.row], day) for waiver in waivers]
    used = {waiver.row: waiver for waiver, effect in zip(waivers, effects, strict=True) if effect == USED}
    told = [
        {
            **asdict(waiver),
            "effect": _REPLACED if effect == USED and used[waiver.row] != waiver else effect,
        }
        for waiver, effect in zip(waivers, effects, strict=True)
    ]
    return [_waived(row, used[row["row"]]) if row["row"] in used else row for row in rows], told


def _waived(row: Mapping[str, JSON], waiver: Waiver) -> dict[str, JSON]:
    reason = f"set aside by {waiver.who} until {waiver.until}: {waiver.why}; else {row['status']}: {row['reason']}"
    return {**row, "status": "WAIVED", "waived": {**asdict(waiver), "was": row["status"]}, "reason": reason}
