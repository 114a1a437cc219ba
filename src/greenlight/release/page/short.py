"""What does someone ask first? Why this verdict, how sure it is, and what comes next, each in a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.gate.lock import NEVER_GO
from greenlight.release.explanation import title
from greenlight.release.order import deciding

_REASONS = 3
"""Rows that are named; the others are counted."""

_SURE = {
    "go": "each limit called kept is kept, but for a chance of {chance}",
    "go_with_conditions": "each limit called kept is kept, but for a chance of {chance}",
    "hold": "nothing is claimed of what is open: more answers or labels could settle it either way",
    "no_go": "each limit called broken is broken, but for a chance of {chance}; more answers would not change it",
}


class Answer(NamedTuple):
    """One question and its answer."""

    question: str
    lines: tuple[str, ...]
    command: str = ""


def short(decision: Mapping[str, JSON]) -> Iterator[Answer]:
    """The questions in their order."""
    yield Answer("Why", tuple(_reasons(decision)))
    yield Answer("How sure", (_sureness(decision),))
    if following := _next(decision):
        yield following


def _reasons(decision: Mapping[str, JSON]) -> Iterator[str]:
    rows = deciding(decision)
    if decision["verdict"] == "go":
        yield f"all {len(rows)} limits are shown to be kept"
        return
    if decision["verdict"] == "hold" and decision["kind"] in NEVER_GO:
        yield f"this run is {decision['explanation']['kind']}"
    for row in rows[:_REASONS]:
        yield f"{row['plain']}: {row['reason']} ({title(row)})"
    if len(rows) > _REASONS:
        yield f"and {len(rows) - _REASONS} more, below"


def _sureness(decision: Mapping[str, JSON]) -> str:
    alphas = [row["alpha"] for row in deciding(decision) if row["alpha"]]
    chance = f"{max(alphas, default=decision['alpha']) * 100:.2g} in 100"
    return _SURE[decision["verdict"]].format(chance=chance)


def _next(decision: Mapping[str, JSON]) -> Answer | None:
    facts = decision["explanation"]
    first = next((entry for entry in facts["settle"] if entry["text"]), None)
    review = f"looked at again by {facts['next_review']}" if facts["next_review"] else ""
    lines = tuple(text for text in (first["text"] if first else "", review) if text)
    return Answer("What next", lines, first["next"] if first else "") if lines else None
