"""How do the stages meet? Functions that take a reference or a folder and play several stages in order.

Names are loaded when they are used: talking to a model should not wait for the statistics of a decision.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenlight.compose.assessing import assess
    from greenlight.compose.comparing import compare_references
    from greenlight.compose.exam import lock, plan, redraw
    from greenlight.compose.models import Loaded, load
    from greenlight.compose.observer import Observer
    from greenlight.compose.participants import Participants
    from greenlight.compose.replaying import replay
    from greenlight.compose.review import Review, decide, decide_under, report
    from greenlight.compose.settings import Settings
    from greenlight.compose.verbs import (
        assess_reference,
        find_examinee,
        lock_reference,
        plan_reference,
        review_reference,
        verify,
    )

_PLACES = {
    "assessing": ("assess",),
    "comparing": ("compare_references",),
    "exam": ("lock", "plan", "redraw"),
    "models": ("Loaded", "load"),
    "observer": ("Observer",),
    "participants": ("Participants",),
    "replaying": ("replay",),
    "review": ("Review", "decide", "decide_under", "report"),
    "settings": ("Settings",),
    "verbs": ("assess_reference", "find_examinee", "lock_reference", "plan_reference", "review_reference", "verify"),
}

__all__ = [
    "Loaded",
    "Observer",
    "Participants",
    "Review",
    "Settings",
    "assess",
    "assess_reference",
    "compare_references",
    "decide",
    "decide_under",
    "find_examinee",
    "load",
    "lock",
    "lock_reference",
    "plan",
    "plan_reference",
    "redraw",
    "replay",
    "report",
    "review_reference",
    "verify",
]


def __getattr__(name: str) -> object:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"greenlight.compose.{module}"), name)
    raise AttributeError(f"module 'greenlight.compose' has no attribute {name!r}")
