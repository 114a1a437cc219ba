"""How does a share that a fallible judge flags reach a verdict? FAIL by its worst error, PASS by people's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenlight.evidence import JSON
from greenlight.gate.criterion import Criterion
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.rules import Finding, LabelsOf, Status
from greenlight.gate.strata import Strata, found_bad
from greenlight.measure.metrics import Sample
from greenlight.measure.statistics.judged import (
    SPLIT_P,
    SPLIT_SE,
    SPLIT_SP,
    Confusion,
    correct_point,
    corrected,
    flagged_at,
    tells,
)
from greenlight.measure.statistics.labels import Look
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """A judge whose error was measured, with exact bounds of it."""

    name: str
    """Its version."""

    table: Confusion
    """How often it agreed with people."""

    se: Interval
    """Bounds of its sensitivity, each alone at its share of alpha."""

    sp: Interval
    """Bounds of its specificity, likewise."""

    def to_json(self, raw: Interval, *, advisory: bool) -> dict[str, JSON]:
        """As a row records it, beside the share that it flagged."""
        return {
            "name": self.name,
            "se": list(self.se),
            "sp": list(self.sp),
            "raw": list(raw),
            "advisory": advisory,
        }


def instrument_of(
    calibration: Mapping[str, JSON] | None, criterion: Criterion, alpha: float
) -> tuple[Instrument | None, str]:
    """The judge of a row as an instrument; where it is none, why."""
    table = None if calibration is None else confusion(calibration, str(criterion.metric.table))
    youden = None if table is None else table.youden()
    if calibration is None or table is None or youden is None:
        return None, "the judge's error was never measured"
    if youden < criterion.judge_min_youden:
        return None, "the judge is too often wrong"
    se, sp = table.sensitivity(alpha * SPLIT_SE), table.specificity(alpha * SPLIT_SP)
    if not tells(se, sp):
        return None, "too few labelled answers tell how often the judge is wrong"
    return Instrument(name=str(calibration["judge"]), table=table, se=se, sp=sp), ""


def confusion(calibration: Mapping[str, JSON], table: str) -> Confusion | None:
    """The counts of a judge for one metric, on answers cut as suites store them."""
    counts = calibration["tables"]["cut"]["overall"].get(table)
    return None if counts is None else Confusion(**{name: int(counts[name]) for name in ("tp", "fn", "tn", "fp")})


UNEVEN = "groups of items differ in size, and labels of one answer of each say nothing of the rate over all items"


class JudgedRule:
    """A share that a fallible judge flags, held below a limit.

    FAIL may stand on the judge alone: the flagged share must lie above what the limit would show if the judge were as
    bad as its calibration allows, at any time. PASS never does: it needs all planned answers (a share that was stopped
    early would bias the strata) and labels of enough of them. Labels count in the exam's order within each stratum,
    up to the first answer without one, so that nobody chooses which answers are looked at, and in stages fixed
    beforehand.

    Where the judge shows a FAIL and the labels of all planned answers a PASS, the judge's calibration does not hold for
    this model, and the row is INVALID.

    Args:
        criterion: the row.
        facts: its exam.
        alpha: what a PASS may use.
        calibration: the judge's error.
        fail_alpha: what a FAIL may use, where it is one of several any of which would fail a row.
    """

    def __init__(
        self,
        criterion: Criterion,
        facts: SuiteFacts,
        alpha: float,
        calibration: Mapping[str, JSON] | None,
        *,
        fail_alpha: float | None = None,
    ) -> None:
        metric = criterion.metric
        assert criterion.limit is not None
        self._metric, self._limit, self._alpha = metric, criterion.limit, alpha
        self._fail_alpha = alpha if fail_alpha is None else fail_alpha
        self._n_planned = len(facts.counted(metric))
        self._judge, self._unusable = instrument_of(calibration, criterion, self._fail_alpha)
        if facts.uneven(metric):
            self._judge, self._unusable = None, UNEVEN
        self._flagged_limit = 0.0
        if self._judge is not None:
            self._flagged_limit = flagged_at(self._limit, self._judge.se, self._judge.sp)
        self._watched = 0 < self._flagged_limit < 1
        watched = [(self._flagged_limit, 1)] if self._watched else []
        self._sequence = GroupedSequence(0, 1, n_planned=self._n_planned, n_groups=facts.groups(metric), limits=watched)
        self._strata = Strata(facts.groups(metric), self._limit, alpha)
        self._n_flagged = 0

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""
        value = self._metric.value(sample)
        self._n_flagged += bool(value)
        self._strata.add(sample["item"], sample["cluster"], flagged=bool(value))
        self._sequence.add(sample["cluster"], value)

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""
        if self._watched and self._sequence.shown(self._flagged_limit, 1, self._fail_alpha * SPLIT_P):
            return "FAIL"
        return None

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands."""
        n = self._sequence.n
        if self._judge is None:
            return Finding(status="INVALID", value=None, bounds=None, method="none", invalid=self._unusable)

        def bad(item: str) -> bool | None:
            return found_bad(labels.own, item, self._metric.positive)

        raw = self._sequence.bounds(self._fail_alpha * SPLIT_P)
        complete = n >= self._n_planned
        people = self._strata.look(bad) if complete else None
        against = self._strata.look(bad, self._fail_alpha) if complete else None
        status = self._status(people, against)
        by_people = people is not None and people.passes is not None and (self.verdict is None or status == "INVALID")
        value = None if n == 0 else correct_point(self._n_flagged / n, self._judge.table)
        bounds: Interval | None = corrected(raw, self._judge.se, self._judge.sp)
        method = "betting confidence sequence of the judge's share, corrected at its worst Se and Sp"
        if people is not None and by_people:
            value, bounds = people.estimate, people.bounds
            method = f"labels of a random draw, look {people.stage}: Clopper-Pearson in each stratum"
        return Finding(
            status=status,
            value=value,
            bounds=bounds,
            method=method,
            judge=self._judge.to_json(raw, advisory=not by_people and status != "FAIL"),
            labels=self._strata.count([labels.own], bad, people),
            invalid="the labels and the judge contradict each other" if status == "INVALID" else "",
            details={"flagged": self._n_flagged, "flagged_limit": self._flagged_limit},
        )

    def _status(self, people: Look | None, against: Look | None) -> Status:
        passes = people is not None and people.passes is True
        if self.verdict == "FAIL":
            return "INVALID" if passes else "FAIL"
        if passes:
            return "PASS"
        return "FAIL" if against is not None and against.passes is False else "INCONCLUSIVE"
