"""How is a field of config.json or of GGUF metadata read? By name and type, with its file in every error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from greenlight.errors import FormatError, UnsupportedError

MOST = 2**31 - 1
"""No size or length of a model is larger: more would not fit the kernels' counters."""

MAX_LAYERS = 10_000
"""Released models have up to 126: a damaged count is refused before a list as long as it is made."""


class Fields:
    """Named values from one file; remembers which were asked for, so that the rest can be named.

    Args:
        where: the file, for messages.
        values: its fields; None counts as absent.
        prefix: put before every name asked for (GGUF's architecture).
    """

    def __init__(self, where: str, values: Mapping[str, Any], prefix: str = "") -> None:
        self.where, self.prefix = where, prefix
        self._values = values
        self._asked: set[str] = set()

    def get(self, name: str) -> Any:
        """The value as it stands, or None."""
        self._asked.add(self.prefix + name)
        return self._values.get(self.prefix + name)

    def peek(self, name: str) -> Any:
        """The value as it stands, for whoever decides by it who is to read it."""
        return self._values.get(self.prefix + name)

    def says(self, name: str) -> bool:
        """Whether the file has the field at all, be it null."""
        return self.prefix + name in self._values

    def unset(self, name: str) -> bool:
        """Whether the file says nothing, or the 0 that means nothing."""
        value = self.get(name)
        return value is None or (isinstance(value, int | float) and value == 0)

    def integer(self, name: str, default: int | None = None, most: int = MOST) -> int:
        """A whole number of 1 to `most`; required where there is no default."""
        value = self._or_default(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            small = most == MOST and (not isinstance(value, int) or value <= most)
            raise self.wrong(name, value, f"a whole number of 1 {'or more' if small else f'to {most:,}'}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._or_default(name, default)
        if not _is_finite(value):
            raise self.wrong(name, value, "a finite number")
        return float(value)

    def positive(self, name: str, default: float) -> float:
        """A finite number above 0."""
        value = self.number(name, default)
        if value <= 0:
            raise self.wrong(name, value, "a number above 0")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._or_default(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    @overload
    def text(self, name: str, default: str) -> str: ...

    @overload
    def text(self, name: str, default: None = None) -> str | None: ...

    def text(self, name: str, default: str | None = None) -> str | None:
        """A string; None where absent and without default."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, value, "a string")
        return value

    def group(self, name: str) -> Fields | None:
        """Fields of an object within; None where absent or empty."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, value, "an object")
        return Fields(f"{self.where}, {name}", value) if value else None

    def refuse_unless(self, name: str, *neutral: Any) -> None:
        """Refuse a field that changes the computation, unless it is absent or has a value that changes nothing."""
        value = self.get(name)
        if value is not None and not any(type(value) is type(same) and value == same for same in neutral):
            raise UnsupportedError(
                f"{self.prefix}{name} = {_shown(value)} is not supported",
                where=f"{self.where}, {self.prefix}{name}",
                found=f"{_shown(value)}, expected {' or '.join(['absent', *map(repr, neutral)])}",
                do="this model computes something that this version does not; use another model",
            )

    def unread(self) -> list[str]:
        """Names, with the prefix, that hold a value and were never asked for."""
        return [
            name
            for name, value in self._values.items()
            if name.startswith(self.prefix) and name not in self._asked and value is not None
        ]

    def wrong(self, name: str, value: Any, expected: str) -> FormatError:
        """The error for a value that cannot be."""
        return FormatError(
            "a field has an impossible value" if value is not None else "a field is missing",
            where=f"{self.where}, {self.prefix}{name}",
            found=f"{_shown(value)}, expected {expected}" if value is not None else f"nothing, expected {expected}",
            do="check that the file belongs to this model and is whole",
        )

    def _or_default(self, name: str, default: Any) -> Any:
        value = self.get(name)
        return default if value is None else value


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # JSON has whole numbers that no float holds
        return False


def _shown(value: Any) -> str:
    """A value short enough for a message."""
    text = f"{len(value)} values" if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
