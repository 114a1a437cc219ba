"""How does a row reach its verdict? What a rule is, and the rules for means and for balances.

A rule takes the counted answers in the exam's order. `verdict` is what is certain already (PASS, FAIL or None): it
depends on the order alone, not on timing. `finding` is the row's number as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.policy import Criterion
from greenlight.measure.metrics import Sample
from greenlight.measure.statistics.clusters import MIN_GROUPS, balance, by_group
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.sequence import GroupedSequence

Status = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "NOT RUN", "DISCLOSED", "WAIVED"]

Labels: TypeAlias = Mapping[str, Sequence[Mapping[str, JSON]]]
"""What each labeller said last of an answer, by item."""


class LabelsOf(NamedTuple):
    """Labels of the candidate's answers to one suite, and of a reference's."""

    own: Labels
    reference: Labels


NO_LABELS = LabelsOf({}, {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A row's number as it stands."""

    status: Status
    """What it comes to."""

    value: float | None
    """The estimate."""

    bounds: Interval | None
    """What is not excluded."""

    method: str
    """How the bounds were made."""

    judge: Mapping[str, JSON] | None = None
    """Se, Sp and the raw share, for a judged row."""

    labels: Mapping[str, JSON] | None = None
    """How many people's labels there are, are needed, and of which items next."""

    details: Mapping[str, JSON] = field(default_factory=dict)
    """What else is worth saying."""

    invalid: str = ""
    """Why nothing can be said, where the status is INVALID."""


class Rule(Protocol):
    """What Watch drives."""

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands, with labels by item."""


class MeanRule:
    """A mean held against a limit at any time, by betting; the row stops when its verdict is certain."""

    def __init__(self, criterion: Criterion, facts: SuiteFacts, alpha: float) -> None:
        metric = criterion.metric
        assert criterion.limit is not None
        self._metric, self._limit, self._alpha = metric, criterion.limit, alpha
        self._good = -1 if criterion.direction == "max" else 1
        self._sequence = GroupedSequence(
            metric.low,
            metric.high,
            n_planned=len(facts.counted(metric)),
            n_groups=facts.groups(metric),
            limits=((self._limit, 1), (self._limit, -1)),
        )
        self._total = 0.0

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""
        value = self._metric.value(sample)
        self._total += value
        self._sequence.add(sample["cluster"], value)

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""
        if self._sequence.shown(self._limit, self._good, self._alpha):
            return "PASS"
        return "FAIL" if self._sequence.shown(self._limit, -self._good, self._alpha) else None

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands."""
        n = self._sequence.n
        return Finding(
            status=self.verdict or "INCONCLUSIVE",
            value=self._total / n if n else None,
            bounds=self._sequence.bounds(self._alpha),
            method="betting confidence sequence, valid at every stop",
        )


class BalanceRule:
    """A mean over templates that may lean neither way by more than a limit; told once, when all answers are there."""

    def __init__(self, criterion: Criterion, facts: SuiteFacts, alpha: float) -> None:
        assert criterion.limit is not None
        self._metric, self._limit, self._alpha = criterion.metric, criterion.limit, alpha
        self._n_planned, self._n_groups = len(facts.counted(self._metric)), facts.groups(self._metric)
        self._values: list[float] = []
        self._groups: list[str] = []

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""
        self._values.append(self._metric.value(sample))
        self._groups.append(sample["cluster"])

    @property
    def verdict(self) -> Status | None:
        """PASS or FAIL once it is certain."""
        if len(self._values) < self._n_planned or self._n_groups < MIN_GROUPS:
            return None
        bounds = self._bounds()
        if max(-bounds.lower, bounds.upper) <= self._limit:
            return "PASS"
        return "FAIL" if max(bounds.lower, -bounds.upper) > self._limit else None

    def _bounds(self) -> Interval:
        return balance(by_group(self._values, self._groups), self._alpha)

    def finding(self, labels: LabelsOf) -> Finding:
        """The number as it stands."""
        complete = len(self._values) >= self._n_planned
        if self._n_groups < MIN_GROUPS:
            reason = f"{self._n_groups} templates are too few for an interval that keeps its promise ({MIN_GROUPS})"
            return Finding(status="INVALID", value=None, bounds=None, method="none", invalid=reason)
        return Finding(
            status=self.verdict or "INCONCLUSIVE",
            value=math.fsum(self._values) / len(self._values) if self._values else None,
            bounds=self._bounds() if complete and self._values else None,
            method="cluster-robust t over templates, exact where little happened; told when all answers are there",
        )
