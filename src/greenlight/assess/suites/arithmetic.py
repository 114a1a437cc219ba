"""Can the model work out a number? Word problems in four levels, from one-digit sums to many steps with idle facts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.templates import Fill, generate, mixed, sentences
from greenlight.assess.suites.words import texts

VERSION = 1
DEFAULT_SIZE = 200


@dataclass(frozen=True, slots=True)
class Level:
    """What one level asks, so that difficulty is changed in one place."""

    number: int
    """1 the easiest."""

    endings: tuple[str, ...]
    """One of these is said after the problem."""

    scenes: int = 0
    """How many sentences of scenery stand before the problem."""

    idle: int = 0
    """How many facts with numbers stand before the question and do not matter."""


_SHORT = ("Answer with a number.", "Give the number.", "Reply with the number.", "Only the number, please.")
_STEPS = (
    'Work it out, then end with "The answer is" and the number.',
    'Go step by step. Your last words: "The answer is" and the number.',
    'Show how you get there and close with "The answer is" and the number.',
    'Think first; finish with "The answer is" and the number.',
)
LEVELS = (
    Level(1, _SHORT),
    Level(2, _SHORT),
    Level(3, _STEPS, scenes=1),
    Level(4, _STEPS, scenes=1, idle=2),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One template: a text whose numbers are drawn, and the sum that it comes to."""

    id: str
    """The cluster of its items."""

    level: int
    """Which of LEVELS it belongs to."""

    text: str
    """Slots in braces; single letters are numbers."""

    ranges: Mapping[str, tuple[int, int]]
    """Lowest and highest value of each number."""

    answer: str
    """A formula of the numbers, see `evaluate`."""


@cache
def problems(level: int) -> tuple[Problem, ...]:
    """The templates of one level."""
    return tuple(
        Problem(
            id=f"compete.arithmetic.l{level}.{row['id']}",
            level=level,
            text=row["text"],
            ranges={name: (low, high) for name, (low, high) in row["ranges"].items()},
            answer=row["answer"],
        )
        for row in texts("arithmetic")["problems"]
        if row["level"] == level
    )


def evaluate(formula: str, numbers: Mapping[str, int]) -> int | None:
    """The value of a formula of +, -, *, / (exact) and brackets; None where a division leaves a rest."""
    return _value(ast.parse(formula, mode="eval").body, numbers)


def _value(node: ast.expr, numbers: Mapping[str, int]) -> int | None:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return numbers[name]
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, numbers), _value(right, numbers)
            return None if a is None or b is None else _combine(a, op, b)
    raise ValueError(f"a formula holds {ast.dump(node)}")


def _combine(a: int, op: ast.operator, b: int) -> int | None:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.Div():
            return None if a % b else a // b
    raise ValueError(f"a formula holds {ast.dump(op)}")


def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
    """The exam: as many problems of each level, in random order."""
    draws, distinct = Draws(seed, "compete.arithmetic", VERSION), Distinct()
    counts = sizes(n, DEFAULT_SIZE, len(LEVELS))
    groups = []
    for level, count in zip(LEVELS, counts, strict=True):
        groups.append(
            generate(problems(level.number), count, draws.derive(f"level {level.number}"), distinct, _maker(level))
        )
    return mixed(groups, draws)


def _maker(level: Level) -> Callable[[Problem, int, Draws], Item]:
    def make(problem: Problem, index: int, draws: Draws) -> Item:
        numbers, answer = _numbers(problem, draws)
        return Item(
            id=f"compete.arithmetic.l{level.number}-{index + 1:03d}",
            topic=f"level {level.number}",
            cluster=problem.id,
            messages=(Message("user", _tell(problem, level, numbers, draws)),),
            key={"answer": answer},
            note=f"Generated from the template {problem.id}; the answer is computed from the numbers drawn.",
            level=str(level.number),
        )

    return make


def _tell(problem: Problem, level: Level, numbers: Mapping[str, int], draws: Draws) -> str:
    """Scenery, problem, idle facts before its last sentence (the question), ending."""
    fill = Fill(draws, numbers)
    story, stop, question = fill(problem.text).rpartition(". ")
    scenes = [fill(text) for text in draws.sample(texts("arithmetic")["scenes"], level.scenes)]
    idle: list[str] = []
    for text in draws.sample(texts("arithmetic")["idle"], level.idle):
        facts = Fill(draws, {**fill.values, "idle": draws.between(3, 99)})  # two idle facts may be of one bank
        idle.append(facts(text.replace("7}", f"7{len(idle)}}}")))
    parts = [*scenes, f"{story}{stop}".strip(), *idle, question, draws.choice(level.endings)]
    return sentences(" ".join(part for part in parts if part))


def _numbers(problem: Problem, draws: Draws) -> tuple[dict[str, int], int]:
    """Numbers for which the answer is whole and not negative, and that answer."""
    while True:
        numbers = {name: draws.between(low, high) for name, (low, high) in problem.ranges.items()}
        answer = evaluate(problem.answer, numbers)
        if answer is not None and answer >= 0:
            return numbers, answer
