"""How large may a proportion really be? Clopper-Pearson bounds for gating, Wilson's interval for display."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

from greenlight.measure.statistics.guards import FEWEST_FOR_WILSON, undercovers


class Interval(NamedTuple):
    """Two bounds; what level they hold at, and each alone or both together, is said where it is made."""

    lower: float
    upper: float


def upper_bounds(hits: ArrayLike, n: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """One-sided exact upper bounds for many (hits, n) at once (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    The bound is the rate at which so few hits or fewer have probability alpha: a quantile of Beta(hits + 1, n - hits).
    Where n is 0 nothing is known: 1.
    """
    x, size = np.broadcast_arrays(np.asarray(hits, float), np.asarray(n, float))
    inside = x < size
    safe = np.where(inside, size - x, 1.0)
    found: NDArray[np.float64] = np.where(inside, betaincinv(x + 1, safe, 1 - alpha), 1.0)
    return found


def upper_bound(hits: float, n: float, alpha: float) -> float:
    """The rate is at most this, wrong with probability at most alpha. Sizes need not be whole (effective n)."""
    return float(upper_bounds(hits, n, alpha))


def lower_bound(hits: float, n: float, alpha: float) -> float:
    """The rate is at least this, wrong with probability at most alpha."""
    return 1.0 - upper_bound(n - hits, n, alpha)


def clopper_pearson(hits: float, n: float, alpha: float) -> Interval:
    """Exact two-sided interval: each side wrong with probability at most alpha / 2."""
    return Interval(lower_bound(hits, n, alpha / 2), upper_bound(hits, n, alpha / 2))


def wilson(hits: float, n: float, alpha: float = 0.05) -> Interval:
    """Interval for display, honest near 0 and 1 (Wilson 1927, doi:10.2307/2276774); two-sided at 1 - alpha.

    Raises:
        UndercoverageError: there are fewer than 30 answers.
    """
    if n < FEWEST_FOR_WILSON:
        raise undercovers("Wilson's interval", f"{n:g} answers, fewer than {FEWEST_FOR_WILSON}", "clopper_pearson")
    z = float(ndtri(1 - alpha / 2))
    p, spread = hits / n, z**2 / n
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def clean_needed(limit: float, alpha: float) -> int:
    """How many clean answers in a row show that a rate is at most `limit`: the least n with (1 - limit)^n <= alpha."""
    n = max(1, math.ceil(math.log(alpha) / math.log1p(-limit)))
    while upper_bound(0, n, alpha) > limit:  # rounding in the logarithms
        n += 1
    return n
