"""Which settings does an endpoint take that say "off"? A server has defaults of its own; what is left out it fills in.

llama-cpp-python's server penalises repetition by 1.1 and several cut the vocabulary unless they are told otherwise: the
model that answers is then not the one that a lock describes. So every setting is sent, those that are off with the
value that means so. Strict servers refuse names that they do not know; such a server has no setting of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from greenlight.engine.remote.client import RefusedError
from greenlight.evidence import JSON

OFF: Mapping[str, float] = {
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_k": 0,
    "min_p": 0.0,
    "repeat_penalty": 1.0,
    "repetition_penalty": 1.0,
}
"""Settings by the names that servers know, with the values that turn them off; the last two are two names of one."""

STANDARD = frozenset({"top_p", "presence_penalty", "frequency_penalty"})
"""Those of the OpenAI chat API; a server that refuses without naming what it refuses is asked with these alone."""

Reply = TypeVar("Reply")


def find_neutral(ask: Callable[[Mapping[str, float]], Reply]) -> tuple[dict[str, float], Reply]:
    """The settings that an endpoint takes, and its reply to the question that showed it.

    Args:
        ask: puts one question with these settings.

    Raises:
        EngineError: it is refused without any of them as well, or fails otherwise.
    """
    off = dict(OFF)
    while off:
        try:
            return dict(off), ask(off)
        except RefusedError as error:
            off = _without_refused(off, error.said)
    return {}, ask(off)


def _without_refused(off: Mapping[str, float], said: str) -> dict[str, float]:
    """Fewer settings: without those that the refusal names, else those of the standard, else none."""
    left = {name: value for name, value in off.items() if name not in said}
    if len(left) < len(off):
        return left
    standard = {name: value for name, value in off.items() if name in STANDARD}
    return standard if len(standard) < len(off) else {}


def own_defaults(off: Mapping[str, JSON]) -> tuple[str, ...]:
    """Settings that an endpoint was not told are off; two names of one count once."""
    told = set(map(_one_name, off))
    return tuple(name for name in dict.fromkeys(map(_one_name, OFF)) if name not in told)


def _one_name(name: str) -> str:
    return "repetition_penalty" if name == "repeat_penalty" else name
