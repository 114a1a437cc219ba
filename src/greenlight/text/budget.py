"""How much may a template do? A budget of work, so that a hostile one ends in an error and not in a full machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenlight.errors import TextError

MAX_TEXT = 4 * 2**20
"""Longest string, in characters, that a template may make; also the longest output."""

BASE_UNITS = 300_000
"""Work allowed to every rendering; under a second when spent in the smallest steps."""

UNITS_PER_CHAR = 4
"""More work for longer conversations, which are the caller's own."""

MAX_INT_BITS = 4096
"""Largest number that a template may compute with."""

_CHARS_PER_UNIT = 16


class Budget:
    """Counts work and refuses more than was allowed.

    Args:
        units: what may be spent. Each step costs at least one; text costs one more per 16 characters.
    """

    def __init__(self, units: int) -> None:
        self._left = units

    def spend(self, units: int = 1) -> None:
        """Pay for work before it is done.

        Raises:
            TextError: nothing is left.
        """
        self._left -= units
        if self._left < 0:
            raise TextError(
                "the chat template does too much work",
                where="chat template",
                found="an endless or exponential computation",
                do="use another template; this one cannot be trusted",
            )

    def text(self, length: int) -> None:
        """Pay for a string of this many characters.

        Raises:
            TextError: it is longer than any prompt needs.
        """
        if length > MAX_TEXT:
            raise TextError(
                "the chat template makes too long a text",
                where="chat template",
                found=f"{length} characters, at most {MAX_TEXT}",
                do="use another template; this one cannot be trusted",
            )
        self.spend(1 + length // _CHARS_PER_UNIT)

    def bits(self, bits: int) -> None:
        """Refuse a number of more bits than any template needs; arithmetic would not be one step.

        Raises:
            TextError: it is larger.
        """
        if bits > MAX_INT_BITS:
            raise TextError(
                "the chat template computes with too large a number",
                where="chat template",
                found=f"{bits} bits, at most {MAX_INT_BITS}",
                do="use another template; this one cannot be trusted",
            )

    def shallow(self, value: Any, times: int = 1) -> None:
        """Pay for touching a value so many times: a string's characters, a container's entries, a number."""
        if isinstance(value, str):
            self.text(len(value) * times)
            return
        if isinstance(value, int):
            self.bits(value.bit_length())
        self.spend(times * (1 + (len(value) if isinstance(value, list | tuple | dict) else 0)))

    def deep(self, value: Any, times: int = 1) -> None:
        """Pay for touching all that a value holds, as often as it holds it."""
        stack = [value]
        while stack:
            item = stack.pop()
            self.shallow(item, times)
            if isinstance(item, Mapping):
                stack.extend(item.keys())
                stack.extend(item.values())
            elif isinstance(item, list | tuple):
                stack.extend(item)
