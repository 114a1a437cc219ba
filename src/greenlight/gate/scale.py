"""What is worth knowing beside a mean: is there room left on its scale, and how alike are answers to one question?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from greenlight.evidence import JSON
from greenlight.gate.criterion import Criterion
from greenlight.measure.metrics import Metric, Sample
from greenlight.measure.statistics.clusters import by_group, standard_error

NEAR = 2.0
"""Standard errors within which a mean lies at an end of its scale."""

FEWEST = 20
"""From fewer answers nothing is said of where on the scale a mean lies."""

AGAIN = "~"
"""What the id of a question that is asked again has before the number of the turn."""


def beside_the_mean(criterion: Criterion, samples: Sequence[Sample]) -> dict[str, JSON]:
    """What a row's details say besides its own; empty where there is nothing to say."""
    metric = criterion.metric
    if metric.kind != "mean":
        return {}
    found = _within(metric, samples)
    if metric.assess.partition(".")[0] == "compete" and len(samples) >= FEWEST:
        found |= _headroom(criterion, samples)
    return found


def _headroom(criterion: Criterion, samples: Sequence[Sample]) -> dict[str, JSON]:
    """Where a capability lies at chance or at the ceiling: there a difference of two models hardly shows."""
    ends = [_end(criterion.metric, samples)]
    if criterion.compare is not None:
        ends.append(_end(criterion.metric, [sample["reference"] for sample in samples]))
    if None in ends:
        return {}
    who = "the model is" if len(ends) == 1 else "both models are"
    where = " and ".join(dict.fromkeys(str(end) for end in ends))
    return {"headroom": f"{who} within {NEAR:g} standard errors of {where}: a difference could hardly show here"}


def _end(metric: Metric, samples: Sequence[Sample]) -> str | None:
    sums = by_group([metric.value(sample) for sample in samples], [sample["cluster"] for sample in samples])
    reach = NEAR * standard_error(sums)
    chance = metric.low + (metric.high - metric.low) * _chance(samples)
    if sums.mean <= chance + reach:
        return f"chance ({chance:.2f})"
    return f"the ceiling ({metric.high:g})" if sums.mean >= metric.high - reach else None


def _chance(samples: Sequence[Sample]) -> float:
    """The share that guessing gets right: one in n of n choices, nothing of what is written freely."""
    n_choices = [int(sample["key"].get("n") or 0) for sample in samples]
    return math.fsum(1 / n for n in n_choices if n) / len(samples)


def _within(metric: Metric, samples: Sequence[Sample]) -> dict[str, JSON]:
    """How far answers to the same question vary, where questions were asked more than once."""
    turns: dict[str, list[float]] = {}
    for sample in samples:
        turns.setdefault(str(sample["item"]).partition(AGAIN)[0], []).append(metric.value(sample))
    spreads = [_variance(values) for values in turns.values() if len(values) > 1]
    if not spreads:
        return {}
    return {"asked_again": len(spreads), "variance_within_items": math.fsum(spreads) / len(spreads)}


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
