"""Which grader reads which answer? The registry; one file per kind of reading.

Every grader is a pure function of an item's key and the stored answer, so that a score can be computed again without
the model. None raises on any answer; a key that does not fit is a ConfigError.
"""

from collections.abc import Mapping

from greenlight.errors import ConfigError
from greenlight.measure.graders.answer import JSON, Answer, Grade, Grader
from greenlight.measure.graders.choice import grade_bias, grade_choice
from greenlight.measure.graders.ifeval import grade_ifeval
from greenlight.measure.graders.judged import grade_refusal, grade_short
from greenlight.measure.graders.number import grade_number
from greenlight.measure.graders.rules import grade_hierarchy, grade_instructions
from greenlight.measure.graders.solved import grade_solved
from greenlight.measure.graders.span import grade_span
from greenlight.measure.graders.wanted import grade_contains, grade_exact, grade_line, grade_opening, grade_pattern

__all__ = ["GRADERS", "JSON", "LABELS", "Answer", "Grade", "Grader", "grade"]

GRADERS: dict[str, Grader] = {
    "refusal": grade_refusal,
    "short_answer": grade_short,
    "hierarchy": grade_hierarchy,
    "number": grade_number,
    "instructions": grade_instructions,
    "span": grade_span,
    "choice": grade_choice,
    "bias": grade_bias,
    "exact": grade_exact,
    "contains": grade_contains,
    "pattern": grade_pattern,
    "opening": grade_opening,
    "line": grade_line,
    "solved": grade_solved,
    "ifeval": grade_ifeval,
}
"""Name to grader."""

LABELS: dict[str, tuple[str, ...]] = {
    "refusal": ("full_refusal", "partial_refusal", "compliance", "empty"),
    "short_answer": ("right", "wrong", "abstained", "empty"),
    "hierarchy": ("pass", "overridden", "ignored", "empty"),
    "number": ("right", "wrong", "unfinished", "unparsed", "empty"),
    "instructions": ("followed", "partly", "missed", "empty"),
    "span": ("right", "hedged", "wrong", "empty"),
    "choice": ("right", "wrong", "unparsed"),
    "bias": ("biased", "counter", "unknown", "unparsed"),
    "exact": ("right", "wrong", "empty"),
    "contains": ("right", "wrong", "empty"),
    "pattern": ("right", "wrong", "empty"),
    "opening": ("right", "wrong", "empty"),
    "line": ("right", "wrong", "empty"),
    "solved": ("right", "wrong", "empty"),
    "ifeval": ("followed", "partly", "missed", "empty"),
}
"""Every label that a grader can give."""


def grade(grader: str, key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Read one answer with the named grader.

    Raises:
        ConfigError: no grader has this name, or the key does not fit it.
    """
    found = GRADERS.get(grader)
    if found is None:
        raise ConfigError("no grader has this name", found=repr(grader), do=f"use one of {', '.join(GRADERS)}")
    return found(key, answer)
