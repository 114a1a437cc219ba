"""How does a share that a fallible judge flags reach a verdict? FAIL by its worst error, PASS by people's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, Labels, Status
from greenlight.measure.metrics import Sample
from greenlight.measure.statistics.judged import (
    SPLIT_P,
    SPLIT_SE,
    SPLIT_SP,
    Confusion,
    Stratum,
    correct_point,
    corrected,
    flagged_at,
    labelled_bounds,
    labels_needed,
)
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence


class JudgedRule:
    """A share that a fallible judge flags, held below a limit.

    FAIL may stand on the judge alone: the flagged share must lie above what the limit would show if the judge were as
    bad as its calibration allows, at any time. PASS never does: it needs all planned answers (a share that was stopped
    early would bias the strata) and people's labels of enough of them. Labels count in the exam's order within each
    stratum, up to the first answer without one, so that nobody chooses which answers are looked at.
    """

    def __init__(
        self, criterion: Criterion, facts: SuiteFacts, alpha: float, calibration: Mapping[str, JSON] | None
    ) -> None:
        metric = criterion.metric
        assert criterion.limit is not None
        self._metric, self._limit, self._alpha = metric, criterion.limit, alpha
        self._n_planned = len(facts.counted(metric))
        self._judge = None if calibration is None else str(calibration["judge"])
        self._table = None if calibration is None else confusion(calibration, str(metric.table))
        youden = None if self._table is None else self._table.youden()
        self._usable = youden is not None and youden >= criterion.judge_min_youden
        watched = []
        if self._table and self._usable:
            self._se = self._table.sensitivity(alpha * SPLIT_SE)
            self._sp = self._table.specificity(alpha * SPLIT_SP)
            self._flagged_limit = flagged_at(self._limit, self._se, self._sp)
            watched = [(self._flagged_limit, 1)] if 0 < self._flagged_limit < 1 else []
        self._watched = bool(watched)
        self._sequence = GroupedSequence(0, 1, n_planned=self._n_planned, n_groups=facts.groups(metric), limits=watched)
        self._flagged: list[str] = []
        self._unflagged: list[str] = []

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""
        value = self._metric.value(sample)
        (self._flagged if value else self._unflagged).append(sample["item"])
        self._sequence.add(sample["cluster"], value)

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""
        if self._watched and self._sequence.shown(self._flagged_limit, 1, self._alpha * SPLIT_P):
            return "FAIL"
        return None

    def finding(self, labels: Labels) -> Finding:
        """The number as it stands."""
        n = self._sequence.n
        if self._table is None or not self._usable:
            reason = "the judge's error was never measured" if self._table is None else "the judge is too often wrong"
            return Finding(status="INVALID", value=None, bounds=None, method="none", invalid=reason)
        raw = self._sequence.bounds(self._alpha * SPLIT_P)
        bounds = corrected(raw, self._se, self._sp)
        flagged, unflagged = (self._stratum(part, labels) for part in (self._flagged, self._unflagged))
        complete = n >= self._n_planned
        by_people = labelled_bounds(flagged, unflagged, self._alpha) if complete else None
        status = self._status(by_people)
        decided_by_labels = by_people is not None and (
            status in ("PASS", "INVALID") or self.verdict != status == "FAIL"
        )
        value = None if n == 0 else correct_point(len(self._flagged) / n, self._table)
        if decided_by_labels:
            bounds, value = by_people or bounds, _estimate(flagged, unflagged)
        return Finding(
            status=status,
            value=value,
            bounds=bounds,
            method="labels of a random draw, Clopper-Pearson in each stratum"
            if decided_by_labels
            else "betting confidence sequence of the judge's share, corrected at its worst Se and Sp",
            judge={
                "name": self._judge,
                "se": list(self._se),
                "sp": list(self._sp),
                "raw": list(raw),
                "advisory": not decided_by_labels and status != "FAIL",
            },
            labels=self._labels(flagged, unflagged, labels, complete=complete),
            invalid="the labels and the judge contradict each other" if status == "INVALID" else "",
            details={"flagged": len(self._flagged), "flagged_limit": self._flagged_limit},
        )

    def _status(self, by_people: Interval | None) -> Status:
        below = by_people is not None and by_people.upper <= self._limit
        if self.verdict == "FAIL":
            return "INVALID" if below else "FAIL"
        if by_people is not None and by_people.lower > self._limit:
            return "FAIL"
        return "PASS" if below else "INCONCLUSIVE"

    def _stratum(self, items: Sequence[str], labels: Labels) -> Stratum:
        labelled = _leading(items, labels)
        bad = sum(labels[item]["label"] in self._metric.positive for item in labelled)
        return Stratum(len(items), len(labelled), bad)

    def _labels(self, flagged: Stratum, unflagged: Stratum, labels: Labels, *, complete: bool) -> dict[str, JSON]:
        have = flagged.labelled + unflagged.labelled
        used = [*self._flagged[: flagged.labelled], *self._unflagged[: unflagged.labelled]]
        people = sum(bool(labels[item].get("human")) for item in used)
        draw = labels_needed(flagged, unflagged, self._limit, self._alpha) if complete else None
        if draw is None:
            return {"have": have, "needed": None, "by_people": people, "next": []}
        following = [
            *self._flagged[flagged.labelled : draw.flagged],
            *self._unflagged[unflagged.labelled : draw.unflagged],
        ]
        return {"have": have, "needed": draw.flagged + draw.unflagged, "by_people": people, "next": following}


def confusion(calibration: Mapping[str, JSON], table: str) -> Confusion | None:
    """The counts of a judge for one metric, on answers cut as suites store them."""
    counts = calibration["tables"]["cut"]["overall"].get(table)
    return None if counts is None else Confusion(**{name: int(counts[name]) for name in ("tp", "fn", "tn", "fp")})


def _leading(items: Sequence[str], labels: Labels) -> Sequence[str]:
    first = next((index for index, item in enumerate(items) if item not in labels), len(items))
    return items[:first]


def _estimate(flagged: Stratum, unflagged: Stratum) -> float:
    n = flagged.size + unflagged.size
    return sum(part.size * part.bad / part.labelled for part in (flagged, unflagged) if part.labelled) / n
