"""What did two runs answer to the same items, as one metric reads it? Pairs in the exam's order; what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from greenlight.gate.criterion import Criterion, Track
from greenlight.gate.folder import SuiteEvidence
from greenlight.gate.partners import Partners
from greenlight.measure.metrics import Metric, Sample
from greenlight.release.comparing.sides import Side


class Pair(NamedTuple):
    """One item that both have answered."""

    item: str
    cluster: str
    first: float
    second: float


class Pairs(NamedTuple):
    """What there is to compare of one row."""

    pairs: tuple[Pair, ...]
    """In the exam's order of the first run, up to the first item that one of them lacks."""

    n_planned: int
    """Items that the metric is about."""

    n_groups: int
    """Their clusters."""

    unused: int
    """Items that both finished beyond the first missing one."""

    @property
    def complete(self) -> bool:
        """Whether both runs have finished everything that the metric is about."""
        return len(self.pairs) == self.n_planned


def suite_of(side: Side, criterion: Criterion) -> SuiteEvidence:
    """The run's own answers, as the row's judge reads them."""
    return side.evidence.suite(criterion.assess, Track(None, criterion.judge))


def pairs_of(first: Side, second: Side, criterion: Criterion) -> Pairs:
    """Pair two runs by item."""
    metric = criterion.metric
    suite = suite_of(first, criterion)
    ours, theirs = (_values(suite_of(side, criterion), metric) for side in (first, second))
    counted = suite.facts.counted(metric)
    found: list[Pair] = []
    for item in counted:
        name = item["id"]
        if name not in ours or name not in theirs:
            break
        found.append(Pair(name, item["cluster"], ours[name], theirs[name]))
    both = sum(item["id"] in ours and item["id"] in theirs for item in counted)
    return Pairs(tuple(found), len(counted), len({item["cluster"] for item in counted}), both - len(found))


def _values(suite: SuiteEvidence, metric: Metric) -> dict[str, float]:
    """What each finished item adds to the metric; of a metric of partners, the item that it counts."""
    samples: list[Sample] = [suite.samples[index] for index in sorted(suite.samples)]
    if metric.partnered:
        partners = Partners()
        samples = [joined for sample in samples for joined in partners.add(sample)]
    return {sample["item"]: metric.value(sample) for sample in samples if metric.counts(sample)}


class Missing(NamedTuple):
    """Items of one suite that only one of two runs has finished."""

    suite: str
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    neither: int
    n: int
    """Items of the suite."""


def missing_of(first: Side, second: Side, suite: str) -> Missing | None:
    """What one run lacks of a suite that the other has; None where nothing is missing."""
    ours, theirs = (
        {sample["item"] for sample in side.evidence.suite(suite, Track(None, "rules")).samples.values()}
        for side in (first, second)
    )
    order: Mapping[str, object] = first.items[suite]
    found = Missing(
        suite,
        tuple(item for item in order if item in ours and item not in theirs),
        tuple(item for item in order if item in theirs and item not in ours),
        sum(item not in ours and item not in theirs for item in order),
        len(order),
    )
    return found if found.only_first or found.only_second or found.neither else None
