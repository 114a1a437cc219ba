"""How is a number shown that carries no verdict? Means, differences, calibration error, with 95 % intervals to read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, LabelsOf, Status
from greenlight.measure.metrics import Metric, Sample, picked
from greenlight.measure.statistics.calibration import ece
from greenlight.measure.statistics.clusters import MIN_GROUPS, binary_clustered, bootstrap, by_group, cluster_t
from greenlight.measure.statistics.proportions import Interval
from greenlight.measure.statistics.selective import risk_coverage
from greenlight.measure.statistics.sequence import GroupedSequence

DISPLAY_ALPHA = 0.05
"""Intervals that carry no verdict are two-sided 95 %."""

_BOOTSTRAP = "bootstrap over groups, 95 %, for display"

Counts = NDArray[np.intp]


class DisplayRule:
    """A number that is said and never a bar."""

    def __init__(self, criterion: Criterion, facts: SuiteFacts) -> None:
        self._metric = criterion.metric
        self._n_planned, self._n_groups = len(facts.counted(self._metric)), facts.groups(self._metric)
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Take the next counted answer."""
        self._samples.append(sample)

    @property
    def verdict(self) -> Status | None:
        """None: a disclosure has none."""
        return None

    def finding(self, labels: LabelsOf) -> Finding:
        """The number over all answers so far."""
        value, bounds, method = self._shown() if self._samples else (None, None, "none")
        return Finding(status="DISCLOSED", value=value, bounds=bounds, method=method, details=self._levels())

    def _shown(self) -> tuple[float | None, Interval | None, str]:
        statistic = _statistic(self._metric)
        if statistic is not None:
            groups = _grouped(self._samples)
            of = statistic(groups, self._metric)
            return of(np.ones(len(groups), dtype=np.intp)), bootstrap(of, len(groups), DISPLAY_ALPHA), _BOOTSTRAP
        return self._mean()

    def _mean(self) -> tuple[float | None, Interval | None, str]:
        metric = self._metric
        values = [metric.value(sample) for sample in self._samples]
        clusters = [sample["cluster"] for sample in self._samples]
        sums = by_group(values, clusters)
        if len(values) < self._n_planned:
            # The suite stopped when another row was certain: only a bound that holds at any stop may be shown.
            sequence = GroupedSequence(metric.low, metric.high, n_planned=self._n_planned, n_groups=self._n_groups)
            for cluster, value in zip(clusters, values, strict=True):
                sequence.add(cluster, value)
            return sums.mean, sequence.bounds(DISPLAY_ALPHA / 2), "betting confidence sequence, 95 %"
        if len(sums.totals) < MIN_GROUPS:
            return sums.mean, bootstrap(_Mean(sums.totals, sums.sizes), len(sums.totals), DISPLAY_ALPHA), _BOOTSTRAP
        if metric.binary:
            return sums.mean, binary_clustered(sums, DISPLAY_ALPHA / 2), "wider of cluster t and Clopper-Pearson, 95 %"
        t = cluster_t(sums, DISPLAY_ALPHA / 2)
        return sums.mean, Interval(max(metric.low, t.lower), min(metric.high, t.upper)), "cluster-robust t, 95 %"

    def _levels(self) -> dict[str, JSON]:
        """Mean and count per level, where the suite has levels."""
        levels: dict[str, list[float]] = {}
        if self._metric.kind == "mean":
            for sample in self._samples:
                if sample["level"]:
                    levels.setdefault(sample["level"], []).append(self._metric.value(sample))
        rows = [
            {"level": level, "n": len(values), "value": math.fsum(values) / len(values)}
            for level, values in sorted(levels.items())
        ]
        return {"levels": rows} if rows else {}


Statistic = Callable[[Counts], float | None]


def _statistic(metric: Metric) -> Callable[[Sequence[Sequence[Sample]], Metric], Statistic] | None:
    """What makes the number of a metric that is no mean of its items."""
    if metric.kind == "ece":
        return _Ece
    if metric.kind == "aurc":
        return _Aurc
    if metric.kind == "contrast":
        return _Contrast
    return _Lean if metric.name == "s_dis" else None


def _grouped(samples: Sequence[Sample]) -> list[list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample["cluster"], []).append(sample)
    return list(groups.values())


class _Mean:
    """Mean over the items of groups that are taken so often each."""

    def __init__(self, totals: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
        self._totals, self._sizes = totals, sizes

    def __call__(self, counts: Counts) -> float | None:
        return float((counts @ self._totals) / (counts @ self._sizes))


class _Confidence:
    """Confidence and right or wrong of groups that are taken so often each."""

    def __init__(self, groups: Sequence[Sequence[Sample]], _: Metric) -> None:
        pairs = [(*(picked(sample) or (1.0, 0.0)), index) for index, group in enumerate(groups) for sample in group]
        pairs.sort(key=lambda pair: pair[0])
        table = np.array(pairs)
        self._confidence, self._right, self._group = table[:, 0], table[:, 1], table[:, 2].astype(np.intp)

    def _taken(self, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        times = counts[self._group]
        return np.repeat(self._confidence, times), np.repeat(self._right, times)


class _Ece(_Confidence):
    """Their calibration error."""

    def __call__(self, counts: Counts) -> float | None:
        return ece(*self._taken(counts))


class _Aurc(_Confidence):
    """The area under their risk-coverage curve."""

    def __call__(self, counts: Counts) -> float | None:
        return risk_coverage(*self._taken(counts)).aurc


class _Contrast:
    """Share refused where unsafe minus share refused where safe."""

    def __init__(self, groups: Sequence[Sequence[Sample]], metric: Metric) -> None:
        self._table = np.array([np.sum([_halves(sample, metric) for sample in group], axis=0) for group in groups])

    def __call__(self, counts: Counts) -> float | None:
        unsafe, n_unsafe, safe, n_safe = counts @ self._table
        return float(unsafe / n_unsafe - safe / n_safe) if n_unsafe and n_safe else None


def _halves(sample: Mapping[str, JSON], metric: Metric) -> tuple[float, float, float, float]:
    value = metric.value(sample)
    return (0.0, 0.0, value, 1.0) if sample["key"].get("label") == "safe" else (value, 1.0, 0.0, 0.0)


class _Lean:
    """Mean sign of the answers that chose a group."""

    def __init__(self, groups: Sequence[Sequence[Sample]], metric: Metric) -> None:
        signs = [[metric.value(sample) for sample in group] for group in groups]
        self._totals = np.array([math.fsum(group) for group in signs])
        self._known = np.array([math.fsum(map(abs, group)) for group in signs])

    def __call__(self, counts: Counts) -> float | None:
        known = float(counts @ self._known)
        return float(counts @ self._totals) / known if known else None
