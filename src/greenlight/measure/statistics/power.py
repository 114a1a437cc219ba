"""Could a perfect model pass? What each kind of bound needs, asked of the same code that will judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from greenlight.measure.statistics.judged import Stratum, labels_needed
from greenlight.measure.statistics.paired import loss
from greenlight.measure.statistics.sequence import Capital, GroupedSequence, peaks

MOST = 100_000
"""Exams longer than this are not looked for."""

_NEGLIGIBLE = 1e-9


def passes_after(
    values: Sequence[float], groups: Sequence[str], limit: float, side: int, low: float, high: float, alpha: float
) -> int | None:
    """After how many items these values show that their mean lies on the good side; None if never."""
    sequence = GroupedSequence(low, high, n_planned=len(values), n_groups=len(set(groups)), limits=((limit, side),))
    for index, (value, group) in enumerate(zip(values, groups, strict=True), start=1):
        sequence.add(group, value)
        if sequence.shown(limit, side, alpha):
            return index
    return None


def items_needed(value: float, limit: float, side: int, low: float, high: float, alpha: float) -> int | None:
    """How many independent answers of one value show that the mean is on the good side of a limit; None: no number."""
    width = high - low
    capital = Capital((limit - low) / width, side)
    for n in range(1, MOST + 1):
        capital.add((value - low) / width)
        if capital.log >= -math.log(alpha):
            return n
        if n == 1000 and capital.log <= 0:
            return None
    return None


def p_labels_suffice(n: int, specificity: float, limit: float, alpha: float) -> float:
    """Probability that labels of a perfect model's answers can show the limit, over what the judge flags by mistake.

    The number flagged is binomial (n, 1 - specificity); every label is clean.
    """
    flagged = np.arange(n + 1)
    rate = 1 - specificity
    log_p = gammaln(n + 1) - gammaln(flagged + 1) - gammaln(n - flagged + 1)
    log_p = log_p + xlogy(flagged, rate) + xlog1py(n - flagged, -rate)
    p = np.exp(log_p)
    likely = flagged[p > _NEGLIGIBLE]
    enough = [labels_needed(Stratum(k, 0, 0), Stratum(n - k, 0, 0), limit, alpha) is not None for k in likely.tolist()]
    return float(min(1.0, p[likely][enough].sum()))


def p_ever_shown(rate: float, n: int, limit: float, alpha: float, runs: int = 400) -> float:
    """How often n answers with this rate of hits ever show that it is above a limit, by seeded simulation."""
    if not 0 < limit < 1:
        return 0.0
    raw = np.random.PCG64(n).random_raw(runs * n)
    hits = ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53 < rate).reshape(runs, n)
    return float(np.mean(peaks(hits.astype(float), limit, 1) >= -math.log(alpha)))


NINE_OF_TEN = 0.9
"""How often a model should pass that is told to be good enough."""

_STEPS = 7


def passes_at(n: int, limit: float, side: int, alpha: float, runs: int = 100) -> float | None:
    """The share at which independent yes-or-no answers pass a limit in nine of ten exams, by seeded simulation.

    What lies between it and the limit cannot be told from the limit by so many answers: the least effect that the exam
    detects. None where not even answers that are all good pass.

    Args:
        n: answers in all, or groups of them.
        limit: what the share is held against.
        side: +1 for a floor, -1 for a ceiling.
        alpha: of the claim.
        runs: simulated exams at each share that is tried.
    """
    raw = np.random.PCG64(n).random_raw(runs * n)
    chance = ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(runs, n)

    def passes(rate: float) -> bool:
        shown = peaks((chance < rate).astype(float), limit, side) >= -math.log(alpha)
        return bool(shown.mean() >= NINE_OF_TEN)

    good, bad = (1.0, limit) if side > 0 else (0.0, limit)
    if not passes(good):
        return None
    for _ in range(_STEPS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if passes(middle) else (good, middle)
    return good


DISCORDANT = 0.10
"""Share of items on which two models that are equally good differ, half of them each way: an assumption of planning."""


def p_no_worse(
    n: int,
    n_groups: int,
    margin: float,
    width: float,
    alpha: float,
    early: float,
    runs: int = 200,
    *,
    worse: float = DISCORDANT / 2,
    better: float = DISCORDANT / 2,
) -> float:
    """How often a model as good as its reference is shown to be no worse by more than a margin, by seeded simulation.

    Looked at with a share of alpha while items come, and with the rest once when all are there.

    Args:
        n: items.
        n_groups: groups that they come in, of equal size.
        margin: difference that is allowed, in the metric's unit.
        width: range of the metric; a difference lies between minus and plus this.
        alpha: of the claim.
        early: share of it for looks before the end.
        runs: simulated comparisons.
        worse: share of items that only the reference gets right.
        better: share of items that only the candidate gets right.
    """
    size = n // n_groups
    raw = np.random.PCG64(n).random_raw(runs * n_groups * size)
    chance = (raw >> np.uint64(11)).astype(np.float64).reshape(runs, n_groups, size) * 2.0**-53
    losses = width * (np.where(chance < worse + better, 1.0, 0.0) - 2 * np.where(chance < better, 1.0, 0.0))
    # In [0, 1] of the range from -width to width: no difference is one half.
    bets = peaks(0.5 + losses[:, :, 0] / (2 * width), 0.5 + margin / (2 * width), -1)
    weight = 1.0 if size == 1 else max(0.5, n_groups / n)
    shown = bets + math.log(weight) >= -math.log(alpha * early)
    groups = np.repeat(np.arange(n_groups), size).astype(str).tolist()
    for run in np.flatnonzero(~shown):
        last = loss(losses[run].ravel().tolist(), groups, width=width, alpha=alpha * (1 - early), planned=None)
        shown[run] = last.bounds.upper < margin
    return float(np.mean(shown))
