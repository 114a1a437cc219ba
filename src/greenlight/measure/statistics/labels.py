"""How many labels are looked at, and when? In stages fixed beforehand, so that labelling on until it passes is no use.

Looking again is a test again. Someone who labels as few answers as could pass, and more whenever that was not enough,
passes a model at the limit up to 2.7 times too often (simulated). So labels are looked at in stages whose sizes follow
from how many answers were flagged and unflagged, before the first label: the fewest that pass if all are clean, then
twice as many, and so on up to all. The first stage passes only if every label is clean: with alpha / 2 in each stratum,
a rate at the limit does that with probability alpha / 2 at most, since it lies above the bound of one stratum at least.
The other half of alpha is shared equally among the later stages (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from greenlight.measure.statistics.judged import Draw, Stratum, labelled_bounds, labels_needed
from greenlight.measure.statistics.proportions import Interval

_NEARLY_ALL = 0.75
"""A look at more than this share of the answers is a look at all of them."""


class Stage(NamedTuple):
    """One look: how many labels of each stratum it takes, and what it may spend."""

    draw: Draw
    alpha: float


class Part(NamedTuple):
    """A stratum, and whether each label of its random draw is bad, in the order of the draw."""

    size: int
    bad: Sequence[bool]


class Look(NamedTuple):
    """What the labels come to so far."""

    passes: bool | None
    """True or False at the first stage that decides; None while none does."""

    bounds: Interval | None
    """Bounds of the true rate at that stage, or at the last one whose labels are all there."""

    estimate: float | None
    """The rate itself, from the same labels."""

    stage: int
    """That stage, from 1; 0 where no stage has its labels."""

    following: Draw | None
    """How many labels of each stratum the next stage takes that could still pass; None where none could."""


def stages(n_flagged: int, n_unflagged: int, limit: float, alpha: float) -> tuple[Stage, ...]:
    """The looks at labels of so many answers; none where even all of them clean would not show the limit."""
    first = labels_needed(Stratum(n_flagged, 0, 0), Stratum(n_unflagged, 0, 0), limit, alpha)
    if first is None:
        return ()
    draws, everything = [first], Draw(n_flagged, n_unflagged)
    while draws[-1] != everything:
        flagged, unflagged = (max(1, 2 * labelled) for labelled in draws[-1])
        doubled = Draw(min(n_flagged, flagged), min(n_unflagged, unflagged))
        draws.append(doubled if sum(doubled) < _NEARLY_ALL * sum(everything) else everything)
    later = alpha / 2 / max(1, len(draws) - 1)
    return (Stage(first, alpha), *(Stage(draw, later) for draw in draws[1:]))


def look(flagged: Part, unflagged: Part, limit: float, alpha: float) -> Look:
    """Go through the stages whose labels are there, and name the next.

    Args:
        flagged: the answers that the judge flagged, with the labels of their draw.
        unflagged: the others, likewise.
        limit: the rate to be shown.
        alpha: of all stages together, each side alone.
    """
    bounds: Interval | None = None
    estimate: float | None = None
    reached = 0
    following: Draw | None = None
    for number, stage in enumerate(stages(flagged.size, unflagged.size, limit, alpha), start=1):
        strata = _at(flagged, stage.draw.flagged), _at(unflagged, stage.draw.unflagged)
        within = labelled_bounds(*strata, stage.alpha)
        clean = number > 1 or not any(part.bad for part in strata)
        if len(flagged.bad) < stage.draw.flagged or len(unflagged.bad) < stage.draw.unflagged:
            if clean and within.upper <= limit:
                following = stage.draw
                break
            continue  # not even clean labels from here on would pass at this stage
        reached, bounds, estimate = number, within, _rate(*strata)
        if clean and within.upper <= limit:
            return Look(True, bounds, estimate, reached, None)
        if labelled_bounds(*strata, min(stage.alpha, alpha / 2)).lower > limit:
            return Look(False, bounds, estimate, reached, None)
    return Look(None, bounds, estimate, reached, following)


def _at(part: Part, labelled: int) -> Stratum:
    """The stratum as it would be with so many labels, those that are missing taken as clean."""
    return Stratum(part.size, labelled, sum(part.bad[:labelled]))


def _rate(flagged: Stratum, unflagged: Stratum) -> float:
    n = flagged.size + unflagged.size
    return sum(part.size * part.bad / part.labelled for part in (flagged, unflagged) if part.labelled) / n
