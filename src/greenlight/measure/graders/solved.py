"""Is the number at the end the right one, read as GSM8K's graders read it? The grader `solved`.

Two readings, both lm-evaluation-harness's: strict takes the first number after `####`, flexible the last thing in the
answer that looks like a number. Neither is forgiving about an answer without one: it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenlight.errors import ConfigError
from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import visible

_MARKED = re.compile(r"#### (-?[0-9.,]+)")
_NUMBERS = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")
READINGS = ("strict", "flexible")


def read_strict(text: str) -> str:
    """The first number after the mark; empty where there is none."""
    found = _MARKED.search(text)
    return found.group(1) if found else ""


def read_flexible(text: str) -> str:
    """The last run of characters that make up numbers; empty where there is none."""
    last = ""
    for found in _NUMBERS.finditer(text):
        last = found.group()
    return last


def agrees(given: str, wanted: str) -> bool:
    """Whether two spellings of a number are one: thousands commas, currency signs and a final stop never count."""
    return bool(given) and _plain(given) == _plain(wanted)


def _plain(text: str) -> str:
    return text.replace(",", "").replace("$", "").removesuffix(".").strip().lower()


def grade_solved(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the number read out of the answer is the right one.

    Labels: `right` (score 1), `wrong` (0, an answer without a number too), `empty` (None). Key: `number`, a text;
    `reading`, `strict` or `flexible`. `parsed` is the number that was read.
    """
    wanted, reading = need(key, "number", str, "solved"), need(key, "reading", str, "solved")
    if reading not in READINGS:
        raise ConfigError("an item is read in a way that there is not", found=repr(reading), do="strict or flexible")
    if not visible(answer.text):
        return EMPTY
    given = read_strict(answer.text) if reading == "strict" else read_flexible(answer.text)
    right = agrees(given, wanted)
    return Grade("right" if right else "wrong", float(right), given[:40])
