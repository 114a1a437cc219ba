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
    Draw,
    correct_point,
    corrected,
    flagged_at,
    tells,
)
from greenlight.measure.statistics.labels import Look, Part, look, stages
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence


class JudgedRule:
    """A share that a fallible judge flags, held below a limit.

    FAIL may stand on the judge alone: the flagged share must lie above what the limit would show if the judge were as
    bad as its calibration allows, at any time. PASS never does: it needs all planned answers (a share that was stopped
    early would bias the strata) and labels of enough of them. Labels count in the exam's order within each stratum,
    up to the first answer without one, so that nobody chooses which answers are looked at, and in stages fixed
    beforehand.

    Where the judge shows a FAIL and the labels of all planned answers a PASS, the judge's calibration does not hold for
    this model, and the row is INVALID.
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
        watched = []
        self._unusable = _unusable(youden, criterion.judge_min_youden)
        if self._table and not self._unusable:
            self._se = self._table.sensitivity(alpha * SPLIT_SE)
            self._sp = self._table.specificity(alpha * SPLIT_SP)
            if not tells(self._se, self._sp):
                self._unusable = "too few labelled answers tell how often the judge is wrong"
        if self._table and not self._unusable:
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
        if self._table is None or self._unusable:
            return Finding(status="INVALID", value=None, bounds=None, method="none", invalid=self._unusable)
        raw = self._sequence.bounds(self._alpha * SPLIT_P)
        people = self._look(labels) if n >= self._n_planned else None
        status = self._status(people)
        by_people = people is not None and people.passes is not None and (self.verdict is None or status == "INVALID")
        value = None if n == 0 else correct_point(len(self._flagged) / n, self._table)
        bounds: Interval | None = corrected(raw, self._se, self._sp)
        method = "betting confidence sequence of the judge's share, corrected at its worst Se and Sp"
        if people is not None and by_people:
            value, bounds = people.estimate, people.bounds
            method = f"labels of a random draw, look {people.stage}: Clopper-Pearson in each stratum"
        return Finding(
            status=status,
            value=value,
            bounds=bounds,
            method=method,
            judge={
                "name": self._judge,
                "se": list(self._se),
                "sp": list(self._sp),
                "raw": list(raw),
                "advisory": not by_people and status != "FAIL",
            },
            labels=self._labels(labels, people),
            invalid="the labels and the judge contradict each other" if status == "INVALID" else "",
            details={"flagged": len(self._flagged), "flagged_limit": self._flagged_limit},
        )

    def _status(self, people: Look | None) -> Status:
        passes = None if people is None else people.passes
        if self.verdict == "FAIL":
            return "INVALID" if passes else "FAIL"
        return "INCONCLUSIVE" if passes is None else "PASS" if passes else "FAIL"

    def _look(self, labels: Labels) -> Look:
        return look(self._part(self._flagged, labels), self._part(self._unflagged, labels), self._limit, self._alpha)

    def _part(self, items: Sequence[str], labels: Labels) -> Part:
        bad = [labels[item]["label"] in self._metric.positive for item in _leading(items, labels)]
        return Part(len(items), bad)

    def _labels(self, labels: Labels, people: Look | None) -> dict[str, JSON]:
        """How many labels there are and are needed; what is needed is expected only, while answers are missing."""
        used = [_leading(items, labels) for items in (self._flagged, self._unflagged)]
        following = self._expected() if people is None else people.following
        wanted: list[str] = []
        if people is not None and following is not None:
            wanted = [
                *self._flagged[len(used[0]) : following.flagged],
                *self._unflagged[len(used[1]) : following.unflagged],
            ]
        return {
            "have": sum(map(len, used)),
            "needed": None if following is None else following.flagged + following.unflagged,
            "by_people": sum(bool(labels[item].get("human")) for items in used for item in items),
            "next": wanted,
        }

    def _expected(self) -> Draw | None:
        """The first look, if the share that is flagged stays what it is."""
        seen = len(self._flagged) + len(self._unflagged)
        flagged = round(self._n_planned * len(self._flagged) / seen) if seen else 0
        first = stages(flagged, self._n_planned - flagged, self._limit, self._alpha)
        return first[0].draw if first else None


def _unusable(youden: float | None, least: float) -> str:
    """Why a judge with this Se + Sp - 1 is no instrument; empty where it is one."""
    if youden is None:
        return "the judge's error was never measured"
    return "" if youden >= least else "the judge is too often wrong"


def confusion(calibration: Mapping[str, JSON], table: str) -> Confusion | None:
    """The counts of a judge for one metric, on answers cut as suites store them."""
    counts = calibration["tables"]["cut"]["overall"].get(table)
    return None if counts is None else Confusion(**{name: int(counts[name]) for name in ("tp", "fn", "tn", "fp")})


def _leading(items: Sequence[str], labels: Labels) -> Sequence[str]:
    first = next((index for index, item in enumerate(items) if item not in labels), len(items))
    return items[:first]
