"""Does the model do exactly as told? Tasks with constraints that a program can check, in four levels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.templates import Fill, generate, mixed
from greenlight.assess.suites.words import texts
from greenlight.measure.graders import JSON

VERSION = 1
DEFAULT_SIZE = 200
LEVELS = (1, 2, 3, 4)
"""One constraint that is met almost by itself, one that takes care, two, three or more."""

_NUMBER = re.compile(r"\{([a-z])\}")


@dataclass(frozen=True, slots=True)
class Task:
    """One template: what is asked, and the checks that decide."""

    id: str
    """The cluster of its items."""

    text: str
    """What the user asks, with slots in braces; single letters are numbers."""

    ranges: Mapping[str, Sequence[int]]
    """Lowest and highest value of each number."""

    checks: Sequence[Mapping[str, JSON]]
    """Checks whose parameters may hold slots."""


@cache
def tasks(level: int) -> tuple[Task, ...]:
    """The templates of one level."""
    return tuple(
        Task(f"compete.instructions.l{level}.{row['id']}", row["text"], row.get("ranges", {}), row["checks"])
        for row in texts("instructions")["tasks"]
        if row["level"] == level
    )


def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
    """The exam: as many tasks of each level, in random order."""
    draws, distinct = Draws(seed, "compete.instructions", VERSION), Distinct()
    counts = sizes(n, DEFAULT_SIZE, len(LEVELS))
    groups = [
        generate(tasks(level), count, draws.derive(f"level {level}"), distinct, _maker(level))
        for level, count in zip(LEVELS, counts, strict=True)
    ]
    return mixed(groups, draws)


def _maker(level: int) -> Callable[[Task, int, Draws], Item]:
    def make(task: Task, index: int, draws: Draws) -> Item:
        numbers = {name: draws.between(low, high) for name, (low, high) in task.ranges.items()}
        fill = Fill(draws, numbers)
        text = fill(task.text)
        lower = any(check["check"] == "lower" for check in task.checks)  # such a task sets the example
        return Item(
            id=f"compete.instructions.l{level}-{index + 1:03d}",
            topic=f"level {level}",
            cluster=task.id,
            messages=(Message("user", text if lower else text[0].upper() + text[1:]),),
            key={"checks": [_filled(check, fill, numbers) for check in task.checks]},
            note=f"Generated from the template {task.id}; the checks hold the words and numbers drawn.",
            level=str(level),
        )

    return make


def _filled(value: JSON, fill: Fill, numbers: Mapping[str, int]) -> JSON:
    """A check with its slots filled; a parameter that is one number's slot becomes that number."""
    if isinstance(value, str):
        number = _NUMBER.fullmatch(value)
        return numbers[number.group(1)] if number else fill(value)
    if isinstance(value, Mapping):
        return {name: _filled(inner, fill, numbers) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, fill, numbers) for inner in value]
    return value
