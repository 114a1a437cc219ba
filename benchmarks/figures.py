"""What is a figure worth? Rounds that alternate with the peer, medians, paired ratios, and what makes a figure void."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

LEAST_OF_PEER = 0.8
"""A peer that runs below this part of its known speed was disturbed: what was measured beside it says nothing."""

Status = Literal["met", "missed", "void", "not run", "shown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One thing that was measured, ours and the peer's, round by round."""

    name: str
    """What was measured, unique in a run."""

    unit: str
    """tok/s, s, MB, ..."""

    ours: tuple[float, ...]
    """Ours, one per round; empty where it was not measured."""

    peer: tuple[float, ...] = ()
    """The peer's, of the same rounds; empty where there is none."""

    peer_name: str = ""
    """Who the peer is."""

    more_is_better: bool = True
    """False for seconds and bytes."""

    ratio_floor: float | None = None
    """The ratio that ours must reach."""

    at_least: float | None = None
    """What ours must reach by itself."""

    at_most: float | None = None
    """What ours must not exceed."""

    known: float | None = None
    """The peer's figure on a quiet machine, where one is known (peer_figures.py)."""

    best: float | None = None
    """The peer's best setting (threads, batch size) when they were tried, in the figure's unit."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """How both were run."""

    counted: bool = False
    """True where another round would give the same: no clock is in it."""

    why_not: str = ""
    """Why it was not measured."""


def median(values: Sequence[float]) -> float | None:
    """The middle value; None of nothing."""
    return statistics.median(values) if values else None


def paired_ratio(figure: Figure) -> float | None:
    """Median over rounds of how much better ours was in that round: 2 is twice the speed, or half the seconds."""
    if not figure.ours or len(figure.ours) != len(figure.peer):
        return None
    pairs = zip(figure.ours, figure.peer, strict=True)
    return median([ours / peer if figure.more_is_better else peer / ours for ours, peer in pairs])


def void_because(figure: Figure) -> str | None:
    """What disqualifies the comparison; None where nothing does."""
    peer = median(figure.peer)
    if peer is None:
        return None
    for value, whose in ((figure.known, "its figure on a quiet machine"), (figure.best, "its own best setting")):
        if value is None:
            continue
        part = peer / value if figure.more_is_better else value / peer
        if part < LEAST_OF_PEER:
            return f"{figure.peer_name} ran at {part:.0%} of {whose} ({value:g} {figure.unit})"
    return None


def status(figure: Figure) -> Status:
    """Whether what is required of a figure was reached; a void figure reaches nothing and misses nothing."""
    ours = median(figure.ours)
    if ours is None:
        return "not run"
    if void_because(figure) is not None:
        return "void"
    ratio = paired_ratio(figure)
    checks = []
    if figure.ratio_floor is not None:
        checks.append(ratio is not None and ratio >= figure.ratio_floor)
    if figure.at_least is not None:
        checks.append(ours >= figure.at_least)
    if figure.at_most is not None:
        checks.append(ours <= figure.at_most)
    if not checks:
        return "shown"
    return "met" if all(checks) else "missed"


def alternate(
    rounds: int, sides: Mapping[str, Callable[[], float]], *, between: Callable[[], object], warm_up: bool = True
) -> dict[str, tuple[float, ...]]:
    """Measure sides in turn, the first of each round being the last of the next.

    Args:
        rounds: how many are kept.
        sides: what measures each side once.
        between: called before each measurement, so that nobody's threads still spin.
        warm_up: measure once more at the start and forget it.

    Returns:
        Each side's values, one per round.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(-1 if warm_up else 0, rounds):
        for name in order:
            between()
            value = sides[name]()
            if number >= 0:
                values[name].append(value)
        order.reverse()
    return {name: tuple(kept) for name, kept in values.items()}
