"""What does a judge that errs allow one to say? Exact bounds from its confusion counts, and bounds from labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from greenlight.measure.statistics.proportions import Interval, lower_bound, upper_bound, upper_bounds

SPLIT_P, SPLIT_SP, SPLIT_SE = 0.6, 0.3, 0.1
"""How alpha is split over the flagged share, the specificity and the sensitivity; a low limit needs the first."""

MIN_YOUDEN = 0.5
"""A judge with Se + Sp - 1 below this is no instrument."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a judge agreed with people: positive means that people saw what the metric counts."""

    tp: int
    """Positive, and flagged by the judge."""

    fn: int
    """Positive, not flagged."""

    tn: int
    """Negative, not flagged."""

    fp: int
    """Negative, flagged."""

    def youden(self) -> float | None:
        """Se + Sp - 1 (Youden 1950); None where either has no answers to be told from."""
        if not (self.tp + self.fn and self.tn + self.fp):
            return None
        return self.tp / (self.tp + self.fn) + self.tn / (self.tn + self.fp) - 1

    def sensitivity(self, alpha: float) -> Interval:
        """Exact bounds of Se, each alone at alpha."""
        n = self.tp + self.fn
        return Interval(lower_bound(self.tp, n, alpha), upper_bound(self.tp, n, alpha))

    def specificity(self, alpha: float) -> Interval:
        """Exact bounds of Sp, each alone at alpha."""
        n = self.tn + self.fp
        return Interval(lower_bound(self.tn, n, alpha), upper_bound(self.tn, n, alpha))


def corrected(p: Interval, se: Interval, sp: Interval) -> Interval:
    """Bounds of the true rate from bounds of the flagged share and of the judge's Se and Sp.

    Inverts p = theta * Se + (1 - theta) * (1 - Sp) (Rogan and Gladen 1978, doi:10.1093/oxfordjournals.aje.a112510) at
    the worst corner of the three intervals for each side; clipped to [0, 1]. If each part holds at its share of alpha,
    each bound holds at alpha (Bonferroni).
    """
    return Interval(
        _invert(p.lower, se.upper, sp.lower, unknown=0.0), _invert(p.upper, se.lower, sp.upper, unknown=1.0)
    )


def _invert(p: float, se: float, sp: float, *, unknown: float) -> float:
    """The rate behind a flagged share; `unknown` where a judge that bad tells nothing about it."""
    youden = se + sp - 1
    return unknown if youden <= 0 else min(1.0, max(0.0, (p + sp - 1) / youden))


def tells(se: Interval, sp: Interval) -> bool:
    """Whether a flagged share bounds the true rate from below at all: only then is `flagged_at` a worst case.

    A judge with Se + Sp = 1 flags as much whatever the rate is; few labelled negatives can leave that possible.
    """
    return se.upper + sp.lower > 1


def flagged_at(limit: float, se: Interval, sp: Interval) -> float:
    """The flagged share above which the true rate is above `limit` even if the judge is as bad as it may be.

    Holds where `tells` does.
    """
    return limit * (se.upper + sp.lower - 1) + 1 - sp.lower


class Stratum(NamedTuple):
    """The answers that a judge flagged, or those that it did not, and what people found in a random draw of them."""

    size: int
    labelled: int
    bad: int


def labelled_bounds(flagged: Stratum, unflagged: Stratum, alpha: float) -> Interval:
    """Bounds of the true rate from labels of a random draw within each stratum; each bound alone at alpha.

    Clopper-Pearson in each stratum at alpha / 2, weighted by the strata's shares. Labels can be so many that the shares
    themselves are what is least certain (all labelled: their error is all there is); so the bound is also never
    tighter than Clopper-Pearson at alpha with the estimated rate on all answers.
    """
    n = flagged.size + unflagged.size
    if n == 0:
        return Interval(0.0, 1.0)
    upper = sum(part.size / n * upper_bound(part.bad, part.labelled, alpha / 2) for part in (flagged, unflagged))
    lower = sum(part.size / n * lower_bound(part.bad, part.labelled, alpha / 2) for part in (flagged, unflagged))
    most = sum(part.size * (part.bad / part.labelled if part.labelled else 1.0) for part in (flagged, unflagged))
    least = sum(part.size * (part.bad / part.labelled if part.labelled else 0.0) for part in (flagged, unflagged))
    return Interval(
        max(0.0, min(lower, lower_bound(least, n, alpha))), min(1.0, max(upper, upper_bound(most, n, alpha)))
    )


class Draw(NamedTuple):
    """How many answers of each stratum to label."""

    flagged: int
    unflagged: int


def labels_needed(flagged: Stratum, unflagged: Stratum, limit: float, alpha: float) -> Draw | None:
    """The fewest labels that would show a rate of at most `limit` if all further ones are clean; None if none would.

    With no answer flagged and all labels clean: 72 at a limit of 5 % and alpha 0.05, 104 at alpha 0.01.
    """
    n = flagged.size + unflagged.size
    if n == 0:
        return None
    f, u = (np.arange(part.labelled, part.size + 1) for part in (flagged, unflagged))
    from_flagged = flagged.size / n * upper_bounds(flagged.bad, f, alpha / 2)
    from_unflagged = unflagged.size / n * upper_bounds(unflagged.bad, u, alpha / 2)
    # The unflagged bound falls with every label: for each number of flagged labels the first that is low enough.
    first = np.searchsorted(-from_unflagged, from_flagged - limit)
    possible = np.flatnonzero(first < len(u))
    for at in possible[np.argsort(f[possible] + u[first[possible]], kind="stable")]:
        draw = Draw(int(f[at]), int(u[first[at]]))
        bounds = labelled_bounds(
            flagged._replace(labelled=draw.flagged), unflagged._replace(labelled=draw.unflagged), alpha
        )
        if bounds.upper <= limit + 1e-12:
            return draw
    return None


def correct_point(p: float, table: Confusion) -> float:
    """The corrected rate itself, for display; clipped to [0, 1]."""
    se, sp = table.tp / (table.tp + table.fn), table.tn / (table.tn + table.fp)
    return _invert(p, se, sp, unknown=p) if math.isfinite(p) else p
