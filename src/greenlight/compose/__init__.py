"""How do the stages meet? Functions that take a reference or a folder and play several stages in order."""

from __future__ import annotations

from greenlight.compose.exam import Settings, lock, plan, redraw
from greenlight.compose.models import Loaded, load
from greenlight.compose.observer import Observer
from greenlight.compose.review import Review, assess, decide, decide_under, report, review
from greenlight.compose.verbs import assess_reference, lock_reference, plan_reference, review_reference, verify

__all__ = [
    "Loaded",
    "Observer",
    "Review",
    "Settings",
    "assess",
    "assess_reference",
    "decide",
    "decide_under",
    "load",
    "lock",
    "lock_reference",
    "plan",
    "plan_reference",
    "redraw",
    "report",
    "review",
    "review_reference",
    "verify",
]
