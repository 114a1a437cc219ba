"""What does a row say in words: why it stands as it does, what would change it, and which command comes next?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from greenlight.gate.checks import Check
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, Status
from greenlight.measure.metrics import Metric
from greenlight.measure.statistics.sequence import SHARES

WORDING = 1
"""Edition of every sentence in a decision. Raise it with any change of words after a release: `verify` then compares
the numbers of an older bundle, and says that it left out the words."""

_SLOWEST = 1e-4
"""Less growth of the capital per item than this would take tens of thousands of items: nothing is in sight."""


_NEAREST = 0.005
"""A mean this near to its limit is not worth extrapolating."""


class Situation(NamedTuple):
    """Everything that the words of a row are made from."""

    criterion: Criterion
    finding: Finding
    status: Status
    n_used: int
    n_planned: int
    values: Sequence[float]
    alpha: float
    failing: Check | None
    untold: bool
    """Whether answers are there that do not hold what the row reads."""


def figure(metric: Metric, value: float | None, digits: int = 3) -> str:
    """A number as a reader wants it; digits are those after the point, where it is a rate."""
    if value is None:
        return "unknown"
    if metric.kind == "record":
        return f"{value:g}"
    if metric.name.endswith("_bytes"):
        return f"{value / 1e6:,.0f} MB"
    if metric.name.endswith("_tok_s"):
        return f"{value:,.0f} tokens/s"
    return f"{value:.3g} s" if metric.name.endswith("_s") else f"{value:.{digits}f}"


def figures_apart(metric: Metric, *values: float | None) -> list[str]:
    """Numbers that stand in one sentence, with as many digits as it takes to tell different ones apart, up to eight."""
    for digits in range(3, 9):
        texts = [figure(metric, value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return texts


def reason_of(now: Situation) -> str:
    """Why the row has its status, in one line."""
    metric, finding, limit = now.criterion.metric, now.finding, now.criterion.limit
    match now.status:
        case "NOT RUN" if now.untold:
            return "the answers do not say how sure the model was: it was asked where that is not told"
        case "NOT RUN":
            return "no answer of this assessment is there"
        case "INVALID":
            return f"the check {now.failing['check']} failed: {now.failing['text']}" if now.failing else finding.invalid
        case "DISCLOSED":
            return f"{metric.plain}: {figure(metric, finding.value)}"
    assert finding.bounds is not None or now.status == "INCONCLUSIVE"
    ceiling = now.criterion.direction == "max"
    if finding.bounds is None:
        return f"{now.n_used} of {now.n_planned} answers are there; this row is told when all are"
    limit_text, lower, upper = figures_apart(metric, limit, *finding.bounds)
    if now.criterion.compare is not None:
        return _beside(now, lower, upper, limit_text)
    if metric.kind == "balance":
        sides = f"between {lower} and {upper}"
        return {
            "PASS": f"{sides}: within {limit_text} either way",
            "FAIL": f"{sides}: leans by more than {limit_text}",
        }.get(now.status, f"{sides}: neither within nor beyond {limit_text}")
    if now.status == "PASS":
        return (
            f"at most {upper}, the limit is {limit_text}" if ceiling else f"at least {lower}, the limit is {limit_text}"
        )
    if now.status == "FAIL":
        return (
            f"at least {lower}, the limit is {limit_text}" if ceiling else f"at most {upper}, the limit is {limit_text}"
        )
    return _open_reason(now, f"between {lower} and {upper}, the limit is {limit_text}")


def _beside(now: Situation, lower: str, upper: str, limit: str) -> str:
    """Why a row that is compared with a reference stands as it does: signed differences, the margin last."""
    reference, ceiling = now.criterion.compare, now.criterion.direction == "max"
    lower, upper, limit = (text if text.startswith("-") else f"+{text}" for text in (lower, upper, limit))
    allowed = f"{limit} or {'less' if ceiling else 'more'} is allowed"
    good, bad = (f"{upper} or less", f"{lower} or more") if ceiling else (f"{lower} or more", f"{upper} or less")
    match now.status:
        case "PASS":
            return f"{good} beside {reference}, {allowed}"
        case "FAIL":
            return f"{bad} beside {reference}, {allowed}"
    return _open_reason(now, f"between {lower} and {upper} beside {reference}, {allowed}")


def _open_reason(now: Situation, bounds: str) -> str:
    labels = now.finding.labels
    if labels is None:
        return bounds
    suggested = f"the judge alone suggests {figure(now.criterion.metric, now.finding.value)}, which cannot carry a pass"
    if now.n_used < now.n_planned:
        return f"{suggested}; {now.n_used} of {now.n_planned} answers are there"
    if labels["needed"] is None:
        return f"{suggested}; nor could clean labels of all other answers"
    have = f"{labels['have']} are there, {labels['by_people']} by a person"
    return f"{suggested}; a pass needs {labels['needed']} labels, {have}"


def change_of(now: Situation) -> str:
    """What would change the row."""
    labels = now.finding.labels
    match now.status:
        case "DISCLOSED" | "PASS":
            return ""
        case "NOT RUN" if now.untold:
            return "a review of the model's files on a machine at hand, which tells log-probabilities"
        case "NOT RUN":
            return "running this assessment under the same lock"
        case "INVALID":
            return "repairing what the check names, then a new run: a broken instrument says nothing of the model"
        case "FAIL":
            return "another model, system prompt or setting under a new lock; more answers of this one would not"
    if now.n_used < now.n_planned:
        left = f"the {now.n_planned - now.n_used} planned items that are left"
        return left if now.criterion.metric.kind == "balance" else f"{left}{_estimate_text(now)}"
    if labels is not None:
        if labels["needed"] is None:
            return "a model with fewer flagged answers, or a larger exam"
        return f"{labels['needed'] - labels['have']} more labels, if all are clean"
    return f"a larger exam{_estimate_text(now)}"


def _estimate_text(now: Situation) -> str:
    if now.criterion.metric.kind in ("judged", "worst"):
        return ", and then labels of a draw from all"
    more = items_to_verdict(now)
    if more is None:
        return "; so close to the limit that no number of items is in sight"
    of = " of new templates" if now.criterion.metric.kind == "balance" else ""
    return f"; about {more} more items{of} would settle it, if the rest are like those seen (an extrapolation)"


def items_to_verdict(now: Situation) -> int | None:
    """How many more items a row without a judge would need if the rest were like those seen; None: none in sight."""
    metric, limit = now.criterion.metric, now.criterion.limit
    if limit is None or not now.values:
        return None
    if metric.kind == "balance":
        return _narrower(now, limit)
    width = metric.high - metric.low
    return _richer(now, (np.asarray(now.values, float) - metric.low) / width, (limit - metric.low) / width)


def _richer(now: Situation, x: NDArray[np.float64], m: float) -> int | None:
    """For a betting row: what is missing of log(1 / alpha), over what the best share earns per item on average."""
    odds = (x - m) / m if x.mean() > m else (m - x) / (1 - m)
    with np.errstate(divide="ignore"):
        growth = float(np.log1p(np.maximum(np.multiply.outer(odds, SHARES), -1.0)).mean(axis=0).max())
    if not growth > _SLOWEST:
        return None
    missing = math.log(1 / now.alpha) + math.log(len(SHARES)) - growth * len(x)
    return max(1, math.ceil(missing / growth))


def _narrower(now: Situation, limit: float) -> int | None:
    """For an interval whose half width falls with the root of n: until it no longer holds the limit."""
    bounds, value = now.finding.bounds, now.finding.value
    if bounds is None or value is None or abs(limit - abs(value)) < _NEAREST:
        return None
    half = (bounds.upper - bounds.lower) / 2
    return max(1, math.ceil(now.n_used * ((half / (limit - abs(value))) ** 2 - 1)))


def next_of(now: Situation) -> str:
    """The next command; RUN is the folder of the run, MODEL the model's reference."""
    match now.status:
        case "PASS" | "DISCLOSED":
            return ""
        case "FAIL":
            return 'greenlight review MODEL --system "..."'
        case "INVALID":
            return "greenlight doctor"
        case "INCONCLUSIVE" if now.n_used >= now.n_planned and now.finding.labels and now.finding.labels["needed"]:
            return "greenlight label RUN"
        case "INCONCLUSIVE" if now.n_used >= now.n_planned:
            return "greenlight plan MODEL"
        case "NOT RUN" if now.untold:
            return "greenlight review FILE"
    return f"greenlight assess MODEL --lock RUN/lock.json --only {now.criterion.assess} --out RUN"
