"""Which run stands better under a policy? Each one's verdict and rows, and where one is ahead; never a single score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from greenlight.evidence import JSON, now, read_json
from greenlight.gate.decision import verdict_of
from greenlight.gate.explanation import statement_row
from greenlight.gate.lock import policy_of
from greenlight.gate.policy import Policy
from greenlight.gate.waivers import read_waivers, set_aside
from greenlight.release.comparing.sides import Side

_RANK = {"FAIL": 0, "INVALID": 1, "NOT RUN": 1, "INCONCLUSIVE": 1, "PASS": 2}
"""What is known to be broken, what is not known, what is known to be kept."""

_KEPT = (
    "row",
    "level",
    "direction",
    "limit",
    "status",
    "value",
    "lower",
    "upper",
    "n_used",
    "metric",
    "assess",
    "reason",
)


class Waived(NamedTuple):
    """A row that a person set aside in one run: what is shown of it here is what was measured all the same."""

    row: str
    who: str
    why: str
    until: str
    """The last day on which the waiver has effect."""

    was: str
    """What the row is without it, under the run's own policy."""


class Standing(NamedTuple):
    """One run under the policy."""

    name: str
    folder: str
    kind: str
    """What its lock is: an exploratory run is never a GO."""

    verdict: str
    """As measured: waivers are people's word for one release, and no property of a model that is compared."""

    rows: tuple[Mapping[str, JSON], ...]
    """As measured, too."""

    waived: tuple[Waived, ...] = ()
    """Rows that stand waived in this run."""

    verdict_waived: str | None = None
    """What its own policy comes to with them; None where no row stands waived."""

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {**self._asdict(), "rows": list(self.rows), "waived": [each._asdict() for each in self.waived]}


class Ahead(NamedTuple):
    """Where two runs stand apart on rows with a limit."""

    second: str
    second_ahead: tuple[str, ...]
    first_ahead: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """In words, with `the first` for the run that the others are compared with."""
        if self.second_ahead and self.first_ahead:
            return "neither: each is ahead somewhere"
        if self.second_ahead:
            return f"{self.second}: ahead on {', '.join(self.second_ahead)}, behind on no row"
        if self.first_ahead:
            return f"the first: {self.second} is behind on {', '.join(self.first_ahead)}, ahead on no row"
        return "the policy does not tell them apart: every row has the same status in both"


def standing_of(side: Side, policy: Policy) -> Standing:
    """Verdict and rows of one run, every row judged from its answers."""
    rows = side.evidence.rows(policy) + [statement_row(statement) for statement in policy.statements]
    kind, attempt = side.lock["kind"], side.lock.get("attempt")
    spent = attempt is not None and attempt > policy_of(side.lock).attempts
    kept = tuple({field: row.get(field) for field in _KEPT} for row in rows if row["metric"] != "statement")
    verdict = verdict_of(rows, kind=kind, spent=spent)
    return Standing(side.name, str(side.folder), kind, verdict, kept, *_with_waivers(side, spent=spent))


def _with_waivers(side: Side, *, spent: bool) -> tuple[tuple[Waived, ...], str | None]:
    """Rows that stand waived in a run, and the verdict with them: on the day it was decided; undecided, today."""
    policy = policy_of(side.lock)
    waivers = read_waivers(side.folder, side.lock["id"], policy)
    if not waivers:
        return (), None
    path = side.folder / "decision.json"
    day = str(read_json(path, "decision")["decided"] if path.exists() else now())[:10]
    judged = side.evidence.rows(policy) + [statement_row(statement) for statement in policy.statements]
    rows, _ = set_aside(judged, waivers, day)
    found = tuple(
        Waived(row["row"], *(str(row["waived"][field]) for field in ("who", "why", "until", "was")))
        for row in rows
        if row["status"] == "WAIVED"
    )
    return found, verdict_of(rows, kind=side.lock["kind"], spent=spent) if found else None


def ahead(first: Standing, second: Standing) -> Ahead:
    """Where each of two is ahead of the other."""
    ours, theirs = (_ranks(standing.rows) for standing in (first, second))
    return Ahead(
        second.name,
        tuple(row for row in ours if theirs[row] > ours[row]),
        tuple(row for row in ours if theirs[row] < ours[row]),
    )


def _ranks(rows: Sequence[Mapping[str, JSON]]) -> dict[str, int]:
    return {row["row"]: _RANK[row["status"]] for row in rows if row["level"] != "disclose"}
