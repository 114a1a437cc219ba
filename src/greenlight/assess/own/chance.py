"""What does a test give away for nothing? The score of the best single answer, given to every item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from greenlight.assess.suites.item import Item
from greenlight.assess.suites.selftest import gold
from greenlight.errors import TaskError
from greenlight.measure.graders import Answer, grade

_COMMON = 20


def constant_score(grader: str, items: Sequence[Item]) -> float:
    """What the best single answer scores when it is given to every item: the chance level of the test."""
    if grader == "refusal":
        expected = Counter(str(item.key["expect"]) for item in items)
        return max(expected.values()) / len(items)
    common = [answer for answer, _ in Counter(map(made_up, items)).most_common(_COMMON)]
    return max(sum(score_of(grader, item, answer) for item in items) / len(items) for answer in common)


def made_up(item: Item) -> Answer:
    """An answer that must score 1.

    Raises:
        TaskError: none can be made from the key alone, and the row gives none.
    """
    try:
        return gold(item)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise TaskError(
            "no right answer can be made up for an item",
            where=item.id,
            found=f"{type(error).__name__}: {error}"[:120],
            do='give one in "right": ["..."]',
        ) from error


def score_of(grader: str, item: Item, answer: Answer) -> float:
    """The score of an answer; 0 where it could not be graded."""
    return grade(grader, item.key, answer).score or 0.0
