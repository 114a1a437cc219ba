"""What number does one answer add to a row? Every metric by name: its range, which items count, how a grade is read.

Metrics belong to families of assessments: what can be read from `refuse` can be read from `refuse.harmbench`, too.

An answer that could not be graded (`empty`, `unparsed`, `no_verdict`) is never dropped. It counts against the model: as
the value that is worst for the row, named in each metric's `unscored`. How many there were is a check of its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from greenlight.errors import PolicyError
from greenlight.measure.metrics.metric import JSON, Direction, Kind, Metric, Sample
from greenlight.measure.metrics.table import ALL
from greenlight.measure.metrics.values import picked

__all__ = [
    "JSON",
    "METRICS",
    "ROUNDS",
    "Direction",
    "Kind",
    "Metric",
    "Sample",
    "difference",
    "find_metric",
    "known_metrics",
    "metric_of",
    "picked",
]

ROUNDS = 9
"""How often the machine's figures are measured."""

METRICS: dict[tuple[str, str], Metric] = {(metric.assess, metric.name): metric for metric in ALL}
"""(assessment or family of assessments, metric) to how it is read."""


@cache
def find_metric(assess: str, name: str) -> Metric | None:
    """The metric of this name, of the assessment itself or of the nearest family that it belongs to; None if none."""
    family = assess
    while family:
        if found := METRICS.get((family, name)):
            return found if family == assess else replace(found, assess=assess)
        family = family.rpartition(".")[0]
    return None


def metric_of(assess: str, name: str, where: str | None = None) -> Metric:
    """The metric of this name.

    Raises:
        PolicyError: there is none; the known ones are named.
    """
    found = find_metric(assess, name)
    if found is None:
        families = sorted({metric.assess.partition(".")[0] for metric in ALL})
        if assess.partition(".")[0] not in families:
            raise _unknown("assessment", assess, assess, families, where)
        raise _unknown("metric", f"{assess}.{name}", name, known_metrics(assess), where)
    return found


@cache
def difference(metric: Metric) -> Metric:
    """How much more a metric reads in an answer than in the reference's to the same item."""
    width = metric.high - metric.low
    return replace(
        metric,
        low=-width,
        high=width,
        binary=False,
        value=lambda sample: metric.value(sample) - metric.value(sample["reference"]),
        ideal=lambda _item: 0.0,
    )


def known_metrics(assess: str) -> list[str]:
    """Names of the metrics that can be read from an assessment."""
    names = {metric.name for metric in ALL if assess == metric.assess or assess.startswith(f"{metric.assess}.")}
    return sorted(names)


def _unknown(kind: str, full: str, name: str, known: Sequence[str], where: str | None) -> PolicyError:
    near = difflib.get_close_matches(name, known, n=1)
    return PolicyError(
        f"no {kind} is called {full}",
        where=where,
        found=f"known are {', '.join(known)}",
        do=f"did you mean {near[0]}?" if near else f"use {', '.join(known)}",
    )
