"""Which words fill the slots? Banks of plain words from words.toml, and words made up on the spot."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from greenlight.assess.suites.draws import Draws

Bank: TypeAlias = Sequence[str] | Callable[[Draws], str]
"""Values to choose from, or a way to make one."""

_COINED_LETTERS = 8


@cache
def texts(name: str) -> Mapping[str, Any]:
    """The words of a suite, from `<name>.toml` beside this file."""
    return tomllib.loads(files("greenlight.assess.suites").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


@cache
def banks() -> Mapping[str, Bank]:
    """Slot name, without its number, to the values that it takes."""
    words = texts("words")
    return {
        **words,
        "company": tuple(form.replace("{}", name) for name in words["surname"] for form in words["firm"]),
        "town": tuple(start + end for start in words["town_start"] for end in words["town_end"]),
        "coined": coined,
        "pair": pair,
        "number": lambda draws: str(draws.between(101, 989)),
    }


def coined(draws: Draws) -> str:
    """A word that no dictionary has, of at least eight letters, such as `Kroundzaelt`."""
    words, made = texts("words"), ""
    while len(made) < _COINED_LETTERS:
        made += "".join(draws.choice(words[part]) for part in ("onset", "vowel", "coda"))
    return made.capitalize()


def pair(draws: Draws) -> str:
    """Two words that seldom meet, such as `amber ladder`."""
    words = texts("words")
    return f"{draws.choice(words['adjective'])} {draws.choice(words['noun'])}"
