"""How is text of unknown origin shown? Whole enough to judge, short enough to read, with nothing hidden in it."""

from __future__ import annotations

import re
from typing import NamedTuple

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad"  # controls but tab and newline, soft hyphen
    "\u061c\u115f\u1160\u17b4\u17b5\u180e"  # a direction mark, fillers, invisible vowels, a separator
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # zero width, directions, line separators, invisible operators
    "\u3164\ufeff\uffa0\ufff9-\uffff"  # fillers, byte order mark, annotations, no characters
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # half pairs, tags
)
"""Characters that change what a reader sees without being seen. Joiners of scripts and emoji (U+200C, U+200D) stay.

The ranges are written out, not looked up: a page must come out the same under every version of Unicode.
"""


class Excerpt(NamedTuple):
    """The beginning of a text."""

    text: str
    left_out: int
    """Characters that are not shown."""


def visible(text: str) -> str:
    """Text in which nothing acts unseen: control and direction characters stand there by their code point."""
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


def excerpt(text: str, length: int) -> Excerpt:
    """The first characters of a text; a text that is barely longer stays whole."""
    if len(text) <= length * 1.1:
        return Excerpt(text, 0)
    return Excerpt(text[:length], len(text) - length)


def words(name: str) -> str:
    """A name of the code as a reader wants it: `non_refusal` is non-refusal; a symbol such as `s_amb` stays."""
    return name if name[1:2] == "_" else name.replace("non_", "non-").replace("_", " ")
