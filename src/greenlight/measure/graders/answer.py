"""What does a grader read, and what does it say?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from greenlight.errors import ConfigError

JSON: TypeAlias = Any
"""Whatever json can hold."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model gave for one item: text where it was generated, numbers where choices were scored."""

    text: str = ""
    """The answer as stored, without special tokens."""

    choice_logprobs: tuple[tuple[float, ...], ...] = ()
    """For each choice the log-probability (nats) of each of its tokens."""

    finish: str = "stop"
    """Why generation ended: `stop`, or `length` where the answer was cut at its declared tokens."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a grader made of one answer."""

    label: str
    """One word of the grader's vocabulary; `empty` and `unparsed` are outcomes of their own."""

    score: float | None
    """1 as the key asks, 0 not; None where nothing could be graded, which is neither."""

    parsed: str
    """What the grader read out of the answer, so that a reader can follow it."""


Grader: TypeAlias = Callable[[Mapping[str, JSON], Answer], Grade]

EMPTY = Grade("empty", None, "")
"""An answer without a visible character."""


def need(key: Mapping[str, JSON], name: str, kind: type | tuple[type, ...], grader: str) -> JSON:
    """A field of an item's key.

    Raises:
        ConfigError: it is missing or of another type: the item is wrong, not the answer.
    """
    value = key.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ConfigError(
            "an item's key does not fit its grader",
            where=f"grader {grader}, key field {name!r}",
            found=repr(value),
            do="draw the items again with the suite that belongs to this grader",
        )
    return value
