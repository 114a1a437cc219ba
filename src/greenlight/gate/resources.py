"""What did the machine's figures come to? Medians of the rounds in resources.json, against a limit where one is set."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from greenlight.evidence import JSON
from greenlight.gate.criteria import row_json
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, Status
from greenlight.gate.words import figure
from greenlight.measure.statistics.proportions import Interval


def rounds_needed(criterion: Criterion, alpha: float) -> int:
    """How many rounds can show a limit at alpha: 1 for a size, which does not vary; ceil(log2(1 / alpha)) otherwise."""
    if _is_size(criterion.metric.name):
        return 1
    return max(1, math.ceil(-math.log2(alpha)))


def resource_row(criterion: Criterion, resources: Mapping[str, JSON] | None, alpha: float) -> dict[str, JSON]:
    """The row of one figure: the median of the rounds; a verdict only where the rounds can carry one.

    All of k rounds lie on one side of the true median with probability 0.5^k at most, so the extreme of the rounds
    bounds it where 0.5^k <= alpha; no form of noise is assumed.
    """
    values = figures_of(criterion.metric.name, resources)
    if not values:
        return _row(criterion, Finding(status="NOT RUN", value=None, bounds=None, method="none"), alpha, 0)
    repeated = len(values) > 1
    bounds = Interval(min(values), max(values))
    status: Status = "DISCLOSED"
    if criterion.limit is not None:
        status = _held(bounds, criterion, sure=len(values) >= rounds_needed(criterion, alpha))
    method = f"median of {len(values)} rounds, least and most" if repeated else "as measured"
    finding = Finding(status=status, value=statistics.median(values), bounds=bounds, method=method)
    return _row(criterion, finding, alpha, len(values))


def figures_of(name: str, resources: Mapping[str, JSON] | None) -> Sequence[float]:
    """Every round of one figure; one where it does not vary, none where nothing was measured."""
    if resources is None:
        return []
    if _is_size(name):
        return [float(resources[name])]
    return [float(run[name]) for run in resources["runs"]]


def _is_size(name: str) -> bool:
    return name.endswith("_bytes")


def _held(bounds: Interval, criterion: Criterion, *, sure: bool) -> Status:
    limit = criterion.limit
    assert limit is not None
    if not sure:
        return "INCONCLUSIVE"
    ceiling = criterion.direction == "max"
    if bounds.upper <= limit if ceiling else bounds.lower >= limit:
        return "PASS"
    return "FAIL" if (bounds.lower > limit if ceiling else bounds.upper < limit) else "INCONCLUSIVE"


def _row(criterion: Criterion, finding: Finding, alpha: float, n: int) -> dict[str, JSON]:
    metric, limit = criterion.metric, criterion.limit
    value = figure(metric, finding.value)
    held = "" if limit is None else f", the limit is {figure(metric, limit)}"
    words = {"reason": f"{metric.plain}: {value}{held}", "change": "", "next": ""}
    if finding.status == "NOT RUN":
        words = {
            "reason": "the machine's figures were not taken",
            "change": "measuring them under the same lock",
            "next": "greenlight assess MODEL --lock RUN/lock.json --only resources --out RUN",
        }
    elif finding.status in ("FAIL", "INCONCLUSIVE"):
        rounds = f"{rounds_needed(criterion, alpha)} rounds on one side"
        words["change"] = "another machine or model" if finding.status == "FAIL" else rounds
        words["next"] = "greenlight inspect MODEL"
    counts = {"n_used": n, "n_finished": n, "n_planned": 0, "clusters": n}
    return row_json(criterion, finding, status=finding.status, alpha=alpha, counts=counts, checks=[], words=words)
