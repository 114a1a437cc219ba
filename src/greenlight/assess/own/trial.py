"""May a test count? Its grader is tried on answers that are right, misplaced and wrong, before any model is asked."""

from __future__ import annotations

from typing import NamedTuple

from greenlight.assess.own.chance import made_up, score_of
from greenlight.assess.own.task import Task
from greenlight.assess.suites.item import Item
from greenlight.assess.suites.selftest import shuffled_bound
from greenlight.errors import TaskError
from greenlight.measure.graders import Answer

MOST_CHANCE = 0.9
"""A test on which one and the same answer scores more than this tells no model from a parrot."""

NONSENSE = ("Zxqv.", "zxqv zxqv zxqv", "ZXQV? Zxqv: zxqv. " * 8)
"""No test may count all of these right."""


class SelfTest(NamedTuple):
    """What a test's grader makes of planted answers."""

    gold: float
    """Mean score of right answers: 1."""

    shuffled: float
    """Mean score of right answers each given to the next item."""

    chance: float
    """The most that it may be."""

    wrong: int
    """Planted wrong answers that scored 0: all of them."""


def self_test(task: Task) -> SelfTest:
    """Try the grader.

    Raises:
        TaskError: a right answer does not score 1, a wrong one scores, or answers to other items score above chance.
    """
    grader, items = task.suite.grader, task.items
    answers = [made_up(item) for item in items]
    for item, answer in zip(items, answers, strict=True):
        if score_of(grader, item, answer) != 1:
            raise _failed(task, "a right answer does not score 1", item, answer, 'give one in "right"')
    wrong = 0
    for index, text, right in task.planted:
        if score_of(grader, items[index], Answer(text)) != float(right):
            what = f"an answer planted as {'right' if right else 'wrong'} scores {0 if right else 1}"
            raise _failed(task, what, items[index], Answer(text), "correct the answer, or the grader's settings")
        wrong += not right
    wrong += _refuses_nonsense(task)
    shifted = [score_of(grader, item, answer) for item, answer in zip(items, answers[1:] + answers[:1], strict=True)]
    found = SelfTest(1.0, sum(shifted) / len(items), shuffled_bound(task.suite, len(items)), wrong)
    if found.shuffled > found.chance or (task.suite.chance > MOST_CHANCE and grader != "refusal"):
        raise TaskError(
            "a test cannot tell right answers from others",
            where=f"task {task.name}",
            found=f"right answers of other items score {found.shuffled:.2f}, one answer to all {task.suite.chance:.2f}",
            do="use more telling answers, or a stricter grader",
        )
    return found


def _refuses_nonsense(task: Task) -> int:
    """Wrong answers of our own: nonsense, or the choice after the right one."""
    count = 0
    for item in task.items:
        if item.choices:
            worst = tuple((-6.0 if i == item.key["answer"] else -1.0,) for i in range(len(item.choices)))
            planted = [Answer(choice_logprobs=worst)]
        elif item.key.get("expect") == "compliance":
            continue  # nonsense complies; what refusing is, the judge's own measured error says
        else:
            planted = [Answer(text) for text in NONSENSE]
        scores = [score_of(task.suite.grader, item, answer) for answer in planted]
        if all(scores):
            raise _failed(task, "nonsense scores 1", item, planted[0], "make the answer more telling")
        count += scores.count(0.0)
    return count


def _failed(task: Task, what: str, item: Item, answer: Answer, do: str) -> TaskError:
    return TaskError(f"a test fails its self-test: {what}", where=item.id, found=repr(answer.text[:80]), do=do)
