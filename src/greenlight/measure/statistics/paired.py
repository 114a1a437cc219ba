"""How much worse is one model than another on the same items? Paired bounds, exact McNemar, Holm over a list.

A loss is what the second model adds in the bad direction, item by item: above 0 it did worse. Losses of one cluster are
not independent; clusters are. Three situations, three kinds of bounds, each bound alone at alpha:

- finished in full, and many clusters differ: cluster-robust t;
- finished in full, and few differ: exact bounds. Of independent items with values of yes or no, from how often they
  differ and which way those go (as McNemar's test is); of others, a bet on the cluster means;
- stopped early: bounds that hold at every stop (betting), because why a run stopped may hang on its answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from greenlight.measure.statistics.clusters import MIN_LEANING, GroupSums, balance, by_group, skewed_t, standard_error
from greenlight.measure.statistics.proportions import Interval, lower_bound, upper_bound
from greenlight.measure.statistics.sequence import GroupedSequence, final, fixed_bounds


class Discordant(NamedTuple):
    """Items on which exactly one of two models failed, with McNemar's exact tests (1947, doi:10.1007/BF02295996)."""

    worse: int
    """Items that the second model alone got wrong."""

    better: int
    """Items that the first model alone got wrong."""

    @property
    def p(self) -> float:
        """Two-sided: how likely a split at least this uneven is if neither is worse."""
        n = self.worse + self.better
        return min(1.0, 2 * float(bdtr(min(self.worse, self.better), n, 0.5))) if n else 1.0

    @property
    def p_worse(self) -> float:
        """One-sided: how likely so many items would be worse if the second model is not worse."""
        n = self.worse + self.better
        return float(bdtr(self.better, n, 0.5)) if n else 1.0

    def bounds(self, n: int, alpha: float) -> Interval:
        """Exact bounds of the mean loss over n independent items, each alone at alpha.

        The loss is the share of items that differ, times how much more of those get worse than get better. Each factor
        is bounded by Clopper-Pearson; most of alpha goes to the second, which tells the sign.
        """
        total, way = self.worse + self.better, alpha * _WAY
        if total == 0:
            return Interval(-upper_bound(0, n, alpha), upper_bound(0, n, alpha))
        most, least = upper_bound(total, n, alpha - way), lower_bound(total, n, alpha - way)
        up = 2 * upper_bound(self.worse, total, way) - 1
        down = 2 * lower_bound(self.worse, total, way) - 1
        return Interval(down * (least if down > 0 else most), up * (most if up > 0 else least))


_WAY = 0.9
"""Share of alpha for which way items differ."""

_EXACT = "exact, paired: little differs"


class Loss(NamedTuple):
    """How much worse the second model is."""

    value: float
    """Mean loss per item."""

    bounds: Interval
    """Each bound alone at alpha."""

    p_worse: float
    """One-sided: of no loss, against a loss."""

    p_better: float
    """One-sided: of no gain, against a gain."""

    method: str
    """How the bounds were made."""


def loss(
    losses: Sequence[float], groups: Sequence[str], *, width: float, alpha: float, planned: tuple[int, int] | None
) -> Loss:
    """Bounds of the mean loss.

    Args:
        losses: one per item, in the exam's order, each in [-width, width].
        groups: the cluster of each.
        width: greatest value of the metric minus its least.
        alpha: of each bound alone.
        planned: items and clusters in all, where some are missing; None where all are there.
    """
    if not losses:
        return Loss(0.0, Interval(-width, width), 1.0, 1.0, "nothing to compare")
    if planned is not None:
        return _stopped(losses, groups, width, alpha, planned)
    sums = by_group(losses, groups)
    ternary = width == 1 and set(losses) <= {-1.0, 0.0, 1.0}
    by_t = _by_t(sums, width, alpha)
    if not (ternary and len(sums.totals) == len(losses)):
        return by_t or _by_bets(sums, width, alpha, ternary=ternary)
    split = discordant(losses)  # no two share a cluster: the exact test holds
    bounds, method = (split.bounds(len(losses), alpha), _EXACT) if by_t is None else (by_t.bounds, by_t.method)
    return Loss(sums.mean, bounds, split.p_worse, Discordant(split.better, split.worse).p_worse, method)


def _by_t(sums: GroupSums, width: float, alpha: float) -> Loss | None:
    """By cluster-robust t, where enough clusters differ and they differ otherwise from one another."""
    if np.count_nonzero(sums.totals) < MIN_LEANING or standard_error(sums) == 0:
        return None
    lower, upper = skewed_t(sums, alpha)
    return Loss(sums.mean, Interval(max(-width, lower), min(width, upper)), *_t_tests(sums), "cluster-robust t, paired")


def _by_bets(sums: GroupSums, width: float, alpha: float, *, ternary: bool) -> Loss:
    """By bets on the cluster means, exact at any size."""
    values = sums.totals / sums.sizes
    bounds = balance(sums, alpha) if ternary else fixed_bounds(values, -width, width, alpha)
    scaled = (values + width) / (2 * width)
    p_worse, p_better = (min(1.0, math.exp(-final(scaled, 0.5, side))) for side in (1, -1))
    return Loss(sums.mean, bounds, p_worse, p_better, _EXACT)


def _t_tests(sums: GroupSums) -> tuple[float, float]:
    """The least alpha at which each bound leaves no loss, or no gain, outside: so p and bounds never disagree."""
    return _least(lambda alpha: skewed_t(sums, alpha).lower > 0), _least(lambda alpha: skewed_t(sums, alpha).upper < 0)


def _least(excluded: Callable[[float], bool]) -> float:
    """Where in (0, 1/2) a claim begins to hold, from the safe side; 1 where it does not hold even there."""
    low, high = _LEAST_P, 0.5
    if not excluded(high):
        return 1.0
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high


_LEAST_P, _STEPS = 1e-12, 60


def _stopped(
    losses: Sequence[float], groups: Sequence[str], width: float, alpha: float, planned: tuple[int, int]
) -> Loss:
    sides = ((0.0, 1), (0.0, -1))
    sequence = GroupedSequence(-width, width, n_planned=planned[0], n_groups=planned[1], limits=sides)
    for group, value in zip(groups, losses, strict=True):
        sequence.add(group, value)
    p_worse, p_better = (sequence.p_value(*side) for side in sides)
    mean = math.fsum(losses) / len(losses)
    return Loss(mean, sequence.bounds(alpha), p_worse, p_better, "betting confidence sequence, valid at every stop")


def discordant(losses: Sequence[float]) -> Discordant:
    """Counts of losses of yes-or-no values."""
    return Discordant(sum(loss > 0 for loss in losses), sum(loss < 0 for loss in losses))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for having looked at all of them (Holm 1979, Scandinavian Journal of Statistics 6, 65).

    Rejecting where the adjusted value is at most alpha is wrong anywhere with probability alpha at most, however the
    tests depend on each other.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, most = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = most
    return adjusted
