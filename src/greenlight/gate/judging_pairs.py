"""Is a judged share no worse than a reference's, on the same items? FAIL by the judge's worst error, PASS by labels.

For a PASS, what is looked for is the item that the candidate gets wrong and the reference does not. The difference of
the two true rates is at most the share of such items, so showing that this share is within the margin shows that the
candidate is no worse by more than the margin; it also is what a team wants to know: how much went wrong that used to go
right.

For a FAIL, the candidate's share at the best that the judge's error allows must lie above the reference's at the worst:
nothing is assumed of how the judge errs on one compared with the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.evidence import JSON
from greenlight.gate.criterion import Criterion
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.judging import UNEVEN, Instrument, instrument_of
from greenlight.gate.rules import Finding, LabelsOf, Status
from greenlight.gate.strata import Strata, found_bad
from greenlight.measure.metrics import Sample, metric_of
from greenlight.measure.statistics.judged import SPLIT_P, correct_point, corrected
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence

LOOK_EVERY = 25
"""Bounds of two shares are costly: they are looked at after so many answers each time, and at the end."""


class PairedJudgedRule:
    """A judged share that may lie above a reference's by a margin at most.

    Args:
        criterion: the row.
        facts: its exam.
        alpha: what each side may use.
        calibration: the judge's error.
    """

    def __init__(
        self, criterion: Criterion, facts: SuiteFacts, alpha: float, calibration: Mapping[str, JSON] | None
    ) -> None:
        assert criterion.limit is not None
        self._metric = metric_of(criterion.metric.assess, criterion.metric.name)
        self._margin, self._alpha = criterion.limit, alpha
        self._n_planned, n_groups = len(facts.counted(self._metric)), facts.groups(self._metric)
        self._judge, self._unusable = instrument_of(calibration, criterion, alpha / 2)
        if facts.uneven(self._metric):
            self._judge, self._unusable = None, UNEVEN
        self._shares = [GroupedSequence(0, 1, n_planned=self._n_planned, n_groups=n_groups) for _ in range(2)]
        self._n_flagged = [0, 0]
        self._strata = Strata(n_groups, self._margin, alpha)
        self._n = self._n_worse = 0
        self._failed = False

    def add(self, sample: Sample) -> None:
        """Take the next counted answer with the reference's."""
        own, other = self._metric.value(sample), self._metric.value(sample["reference"])
        for index, value in enumerate((own, other)):
            self._shares[index].add(sample["cluster"], value)
            self._n_flagged[index] += bool(value)
        self._n += 1
        self._n_worse += own > other
        self._strata.add(sample["item"], sample["cluster"], flagged=own > other)
        n = self._n
        if self._judge is not None and (n % LOOK_EVERY == 0 or n >= self._n_planned) and not self._failed:
            self._failed = self._bounds(self._judge).lower > self._margin

    @property
    def verdict(self) -> Status | None:
        """FAIL once it is certain."""
        return "FAIL" if self._failed else None

    def _bounds(self, judge: Instrument) -> Interval:
        """Bounds of the true difference: each share at its own worst, with half of alpha each (Bonferroni)."""
        own, other = (corrected(share.bounds(self._alpha / 2 * SPLIT_P), judge.se, judge.sp) for share in self._shares)
        return Interval(own.lower - other.upper, own.upper - other.lower)

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands."""
        if self._judge is None:
            return Finding(status="INVALID", value=None, bounds=None, method="none", invalid=self._unusable)

        def bad(item: str) -> bool | None:
            own, other = (found_bad(said, item, self._metric.positive) for said in labels)
            return None if own is None or other is None else own and not other

        n, judge = self._n, self._judge
        people = self._strata.look(bad) if n >= self._n_planned else None
        passes = people is not None and people.passes is True
        status: Status = "PASS" if passes else "INCONCLUSIVE"
        if self._failed:
            status = "INVALID" if passes else "FAIL"
        points = [correct_point(flagged / n, judge.table) for flagged in self._n_flagged] if n else []
        value, bounds = points[0] - points[1] if points else None, self._bounds(judge)
        method = "betting confidence sequences of both shares, each corrected at the judge's worst Se and Sp"
        if people is not None and passes and people.bounds is not None:
            value, bounds = people.estimate, Interval(-1.0, people.bounds.upper)
            method = f"labels of a random draw of pairs, look {people.stage}: share of items that got worse"
        raw = self._shares[0].bounds(self._alpha / 2 * SPLIT_P)
        return Finding(
            status=status,
            value=value,
            bounds=bounds,
            method=method,
            judge=judge.to_json(raw, advisory=status == "INCONCLUSIVE"),
            labels=self._strata.count(labels, bad, people),
            invalid="the labels and the judge contradict each other" if status == "INVALID" else "",
            details={"worse": self._n_worse},
        )
