"""What does another tool's grade come to? Its score as it stands, under labels of our own; nothing is read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenlight.measure.graders.answer import Grade

GIVEN = "given"
"""What a suite names as its grader where the grades are another tool's."""


def grade_given(given: Mapping[str, Any]) -> Grade:
    """The grade that a tool gave.

    Args:
        given: `score`, 0 to 1 or None where the tool gave none; `reading`, what it read out of the answer.

    Returns:
        `right` for 1, `wrong` for 0, `partly` between, `unparsed` (score None) where there is no score.
    """
    score, reading = given["score"], str(given["reading"])
    if score is None:
        return Grade("unparsed", None, reading)
    return Grade({1.0: "right", 0.0: "wrong"}.get(float(score), "partly"), float(score), reading)


def disagree(given: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether a tool's score and our grade of one answer differ; what a side could not grade counts as wrong there."""
    return bool((given["score"] or 0.0) != (ours["score"] or 0.0))
