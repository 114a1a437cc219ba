"""Is a mean no worse than a reference's, on the same items? Bets while answers come, and one look when all are there.

Stopping early costs power that a paired row needs: two models that are equally good differ on few items. So alpha is
parted: a small share lets a plain failure end the row early, the rest is kept for one look at the end, by the paired
bounds that a comparison shows.
"""

from __future__ import annotations

from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, LabelsOf, Status
from greenlight.measure.metrics import Sample
from greenlight.measure.statistics.paired import Loss, discordant, loss
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence

EARLY = 0.2
"""Share of alpha for looks while answers come."""

LISTED = 20
"""Items that got worse, or better, which a row names; all of them are counted."""


class PairedMeanRule:
    """A mean of differences held against a margin.

    Args:
        criterion: as read: its metric is the difference, its limit the margin that is allowed.
        facts: the exam.
        alpha: what the row may use.
    """

    def __init__(self, criterion: Criterion, facts: SuiteFacts, alpha: float) -> None:
        assert criterion.limit is not None
        metric = criterion.metric
        self._metric, self._alpha = metric, alpha
        self._bad = 1 if criterion.direction == "max" else -1
        self._margin = criterion.limit * self._bad
        self._n_planned, self._n_groups = len(facts.counted(metric)), facts.groups(metric)
        self._items: list[str] = []
        self._losses: list[float] = []
        self._groups: list[str] = []
        self._sequence = GroupedSequence(
            metric.low,
            metric.high,
            n_planned=self._n_planned,
            n_groups=self._n_groups,
            limits=((self._margin, 1), (self._margin, -1)),
        )
        self._last: Loss | None = None

    def add(self, sample: Sample) -> None:
        """Take the next counted answer, joined with the reference's."""
        value = self._bad * self._metric.value(sample)
        self._items.append(sample["item"])
        self._losses.append(value)
        self._groups.append(sample["cluster"])
        self._sequence.add(sample["cluster"], value)
        if len(self._losses) == self._n_planned:
            width = self._metric.high
            last = self._alpha * (1 - EARLY)
            self._last = loss(self._losses, self._groups, width=width, alpha=last, planned=None)

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""
        if self._shown(-1) or (self._last is not None and self._last.bounds.upper < self._margin):
            return "PASS"
        failed = self._shown(1) or (self._last is not None and self._last.bounds.lower > self._margin)
        return "FAIL" if failed else None

    def _shown(self, side: int) -> bool:
        return self._sequence.shown(self._margin, side, self._alpha * EARLY)

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands."""
        n = len(self._losses)
        return Finding(
            status=self.verdict or "INCONCLUSIVE",
            value=self._bad * sum(self._losses) / n if n else None,
            bounds=self._bounds(),
            method=self._method(),
            details=self._flips() if n else {},
        )

    def _flips(self) -> dict[str, JSON]:
        """Items that got worse and better, and how unlikely so uneven a split is if neither model is worse."""
        split = discordant(self._losses)
        # McNemar's exact test asks after yes or no, takes items for independent, and their number for fixed.
        yes_or_no = self._last is not None and self._metric.high == 1 and set(self._losses) <= {-1.0, 0.0, 1.0}
        flips = [(item, value) for item, value in zip(self._items, self._losses, strict=True) if value]
        return {
            "worse": split.worse,
            "better": split.better,
            "worse_items": [item for item, value in flips if value > 0][:LISTED],
            "better_items": [item for item, value in flips if value < 0][:LISTED],
            "mcnemar_p": split.p if yes_or_no and self._n_groups == self._n_planned else None,
        }

    def _bounds(self) -> Interval:
        """What neither the bets nor the last look exclude, in the metric's own direction."""
        lower, upper = self._sequence.bounds(self._alpha * EARLY)
        if self._last is not None:
            lower, upper = max(lower, self._last.bounds.lower), min(upper, self._last.bounds.upper)
        return Interval(lower, upper) if self._bad > 0 else Interval(-upper, -lower)

    def _method(self) -> str:
        early = "betting confidence sequence, valid at every stop"
        if self._last is None:
            return f"{early} ({EARLY:g} of alpha)"
        return f"{early} ({EARLY:g} of alpha); at the end {self._last.method} (the rest)"
