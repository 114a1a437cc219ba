"""When is a mean certain enough to stop asking? Bounds that stay true however often one looks (betting).

Someone who believes that a mean is above m bets on each next value: a share c of the capital, at odds that are fair if
the mean is m. If the mean is m or less, the capital cannot be expected to grow, and that it ever reaches 1 / alpha has
probability alpha at most (Ville 1939). So once it does, the mean is above m, wrong with probability alpha, no matter
when one looked or why one stopped (Waudby-Smith and Ramdas 2024, arXiv:2010.09686). Here the capital is a fixed mixture
over shares c in (0, 1]:

    above m:  sum_c w_c * prod_i (1 + c * (x_i - m) / m)
    below m:  sum_c w_c * prod_i (1 - c * (x_i - m) / (1 - m))

Each falls (rises) in m, so the bound is found by bisection. The share c = 1 is lost at the first value at the wrong end
and grows fastest when there is none: it is what lets a model without a failure pass early.

Groups. Values of one group (template, scenario) are not independent; groups are. In the exam's random order the first
value of each group forms a sequence of independent values, whatever the later members do, so the capital that bets on
these first values alone is fair in the presence of everything else seen: it may be looked at after every item. The
later members enter once, when all planned items are there: a second capital bets on the group means (independent too).
The two are averaged with fixed weights: at any time before the end the average is at least its first part, so stopping
on that part alone errs on the safe side. The mean in question gives each group the same weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from greenlight.measure.statistics.proportions import Interval

Floats = NDArray[np.float64]

_LOST_SHARE = 0.35
_N_SHARES = 8
SHARES: Floats = np.concatenate([[1.0], np.geomspace(0.9, 0.05, _N_SHARES)])
"""Shares of the capital that are bet: all of it, and eight from 0.9 to 0.05, so that one is always near the best."""

WEIGHTS: Floats = np.concatenate([[_LOST_SHARE], np.full(_N_SHARES, (1 - _LOST_SHARE) / _N_SHARES)])
"""How the capital is split over the shares at the start."""

_LOG_WEIGHTS = np.log(WEIGHTS)
_EDGE = 1e-9
_STEPS = 50


def _factors(values: Floats, m: float, side: int) -> Floats:
    """Log of what each value multiplies each share's capital by; side +1 bets on above m, -1 on below. (n, shares)."""
    odds = (values - m) / (m if side > 0 else m - 1)  # at least -1
    with np.errstate(divide="ignore"):
        logs: Floats = np.log1p(np.maximum(np.multiply.outer(odds, SHARES), -1.0))
    return logs


def _mix(logs: Floats) -> Floats:
    """Log of the mixture's capital; logs end in the axis of shares."""
    weighted = logs + _LOG_WEIGHTS
    top = weighted.max(axis=-1, keepdims=True)  # finite: shares below 1 never lose everything
    mixed: Floats = top[..., 0] + np.log(np.exp(weighted - top).sum(axis=-1))
    return mixed


class Capital:
    """The running capital of one bet: that the mean of values in [0, 1] is above (side +1) or below (-1) m."""

    def __init__(self, m: float, side: int) -> None:
        self._m, self._side = m, side
        self._logs = np.zeros(len(SHARES))

    def add(self, value: float) -> None:
        """Take the next value."""
        self._logs = self._logs + _factors(np.array([value]), self._m, self._side)[0]

    @property
    def log(self) -> float:
        """Log of the capital now; it was 0 at the start."""
        return float(_mix(self._logs))


def peak(values: Sequence[float] | Floats, m: float, side: int) -> float:
    """Log of the most capital ever held over the values in their order."""
    return float(peaks(np.asarray(values, float)[None], m, side)[0]) if len(values) else 0.0


def peaks(runs: Floats, m: float, side: int) -> Floats:
    """Log of the most capital ever held, for many runs of values in [0, 1] at once: (runs, n) to (runs,)."""
    found: Floats = np.maximum(0.0, _mix(_factors(runs, m, side).cumsum(axis=-2)).max(axis=-1))
    return found


def final(values: Sequence[float] | Floats, m: float, side: int) -> float:
    """Log of the capital after all values."""
    return float(_mix(_factors(np.asarray(values, float), m, side).sum(axis=0)))


def finals(runs: Floats, m: float, side: int) -> Floats:
    """Log of the capital after all values, for many runs of values in [0, 1] at once: (runs, n) to (runs,)."""
    return _mix(_factors(runs, m, side).sum(axis=-2))


def fixed_bounds(values: Floats, low: float, high: float, alpha: float) -> Interval:
    """Exact bounds of the mean of independent values in [low, high], looked at once; each bound alone at alpha."""
    scaled = (values - low) / (high - low)
    threshold = -math.log(alpha)
    lower = _edge_of(lambda m: final(scaled, m, 1) >= threshold, rising=False)
    upper = _edge_of(lambda m: final(scaled, m, -1) >= threshold, rising=True)
    return Interval(low + lower * (high - low), low + upper * (high - low))


class GroupedSequence:
    """Bounds at any time for the mean over groups of values in [low, high], taken in the exam's order.

    Args:
        low, high: what a value can be.
        n_planned: values in all.
        n_groups: groups in all; as many as values where none share one.
        limits: (m, side) pairs in the values' own unit that are watched after every value, such as (0.05, 1) for
            "the mean is above 0.05".
    """

    def __init__(
        self, low: float, high: float, *, n_planned: int, n_groups: int, limits: Sequence[tuple[float, int]] = ()
    ) -> None:
        self._low, self._high, self._n_planned = low, high, n_planned
        self._weight = 1.0 if n_groups >= n_planned else max(0.5, n_groups / n_planned)
        self._groups: dict[str, list[float]] = {}
        self._limits = {limit: Capital(self._scale(limit[0]), limit[1]) for limit in limits}
        self._peaks = dict.fromkeys(self._limits, 0.0)
        self.n = 0

    def _scale(self, value: float) -> float:
        return (value - self._low) / (self._high - self._low)

    def add(self, group: str, value: float) -> None:
        """Take the next value of the exam's order."""
        self.n += 1
        scaled = self._scale(value)
        members = self._groups.setdefault(group, [])
        members.append(scaled)
        if len(members) == 1:
            for limit, capital in self._limits.items():
                capital.add(scaled)
                self._peaks[limit] = max(self._peaks[limit], capital.log)

    def shown(self, m: float, side: int, alpha: float) -> bool:
        """Whether a watched claim (m, side) is shown, wrong with probability at most alpha."""
        return self._joined(self._scale(m), side, self._peaks[m, side]) >= -math.log(alpha)

    def p_value(self, m: float, side: int) -> float:
        """The least alpha at which a watched claim (m, side) is shown: a p-value that holds at every time."""
        return min(1.0, math.exp(-self._joined(self._scale(m), side, self._peaks[m, side])))

    def bounds(self, alpha: float) -> Interval:
        """The values of m that neither side has excluded so far; each bound alone holds at alpha, at every time."""
        threshold = -math.log(alpha)
        lower = _edge_of(lambda m: self._excluded(m, 1) >= threshold, rising=False)
        upper = _edge_of(lambda m: self._excluded(m, -1) >= threshold, rising=True)
        width = self._high - self._low
        return Interval(self._low + lower * width, self._low + upper * width)

    def _excluded(self, m: float, side: int) -> float:
        return self._joined(m, side, peak([members[0] for members in self._groups.values()], m, side))

    def _joined(self, m: float, side: int, log_peak: float) -> float:
        """Log of the averaged capital: first values at their best, group means only when all values are there."""
        if self._weight == 1.0:
            return log_peak
        early = log_peak + math.log(self._weight)
        if self.n < self._n_planned:
            return early
        firsts = [members[0] for members in self._groups.values()]
        means = [math.fsum(members) / len(members) for members in self._groups.values()]
        last = np.logaddexp(
            final(firsts, m, side) + math.log(self._weight), final(means, m, side) + math.log1p(-self._weight)
        )
        return max(early, float(last))


def _edge_of(excluded: Callable[[float], bool], *, rising: bool) -> float:
    """Where in [0, 1] a monotone claim about m flips, by bisection; the safe side of the last step."""
    low, high = 0.0, 1.0
    if not excluded(1 - _EDGE if rising else _EDGE):
        return 1.0 if rising else 0.0
    for _ in range(_STEPS):
        middle = min(max((low + high) / 2, _EDGE), 1 - _EDGE)
        if excluded(middle) == rising:
            high = middle
        else:
            low = middle
    return high if rising else low
