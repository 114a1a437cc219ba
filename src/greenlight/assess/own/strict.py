"""How are a task's files read? Bounded, by name and type; what is unknown is refused, with its place and a remedy."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from greenlight.errors import TaskError
from greenlight.evidence import JSON

MAX_TOML_BYTES = 64 * 2**10
MAX_ROWS_BYTES = 32 * 2**20
MAX_ROWS = 20_000
MAX_TEXT = 100_000
"""Characters of one text of a task."""

_NESTED = 20


class Fields:
    """A table or row, and where it stands.

    Args:
        values: its fields.
        where: what an error calls it.
        known: fields that it may have.

    Raises:
        TaskError: it has another field; the nearest known one is offered.
    """

    def __init__(self, values: Mapping[str, JSON], where: str, known: Collection[str]) -> None:
        self._values, self.where = values, where
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise TaskError(
                    f"a task has no field {name[:60]!r} here",
                    where=where,
                    found=f"known are {', '.join(known)}",
                    do=f"did you mean {near[0]!r}?" if near else "remove it",
                )

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def raw(self, name: str) -> JSON:
        """The value as it stands, or None."""
        return self._values.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A text with something to see in it; required where there is no default."""
        if default is not None and name not in self._values:
            return default  # a default may be empty; what is written may not
        value = self._values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "a text", f'write "{name}"')
        return self._bounded(name, value)

    def texts(self, name: str, *, least: int = 0, blank: bool = False) -> list[str]:
        """A list of texts, at least so many, with something to see in each; a single text counts as a list of one."""
        value = self._values.get(name, [])
        found = [value] if isinstance(value, str) else value
        if (
            not isinstance(found, list)
            or len(found) < least
            or not all(isinstance(t, str) and (t if blank else t.strip()) for t in found)
        ):
            raise self.wrong(name, f"a list of {least} or more texts", f'write "{name}": ["..."]')
        return [self._bounded(name, text) for text in found]

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false", f"change {name}")
        return value

    def number(self, name: str) -> int | float:
        """A finite number of bearable size that must be there."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _bearable(value):
            raise self.wrong(name, "a number", f'write "{name}": 12')
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from low to high."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}", f"change {name}")
        return value

    def wrong(self, name: str, expected: str, do: str) -> TaskError:
        """A field that is missing or not what it must be."""
        what = "a field of a task is not what it must be" if name in self._values else "a task lacks a field"
        found = _short(self._values.get(name)) if name in self._values else "nothing"
        return TaskError(what, where=f"{self.where}, {name}", found=f"{found}, expected {expected}", do=do)

    def _bounded(self, name: str, text: str) -> str:
        if len(text) > MAX_TEXT:
            raise self.wrong(name, f"at most {MAX_TEXT:,} characters", "shorten it")
        if any(0xD800 <= ord(character) < 0xE000 for character in text):
            raise self.wrong(name, "text without halves of characters (surrogates)", "write the character itself")
        return text


def _bearable(value: int | float) -> bool:
    return abs(value) < 10**30 if isinstance(value, int) else math.isfinite(value)


def _short(value: JSON) -> str:
    try:
        text = repr(value)
    except ValueError:  # of whole numbers with too many digits to print
        return "a very long number"
    return text if len(text) <= 60 else f"{text[:60]}..."


def read_bytes(path: Path, most: int) -> bytes:
    """A file of a task.

    Raises:
        TaskError: it is not there, is no plain file, or is too large.
    """
    try:
        if not path.is_file():
            raise TaskError("a file of a task is not there", where=str(path), do="check the path")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise TaskError("a file of a task cannot be read", where=str(path)[:200], found=str(error)[:200]) from error
    if len(data) > most:
        raise TaskError("a file of a task is too large", where=str(path), found=f"more than {most:,} bytes")
    return data


def parse_toml(data: bytes, where: str) -> dict[str, JSON]:
    """A TOML document.

    Raises:
        TaskError: it is none.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TaskError("a task is not TOML", where=where, found=str(error)[:200]) from error


def parse_rows(data: bytes, where: str) -> list[tuple[int, dict[str, JSON]]]:
    """The rows of a JSONL file with the numbers of their lines.

    Raises:
        TaskError: a line is no JSON object, says a field twice, or there are none or too many.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError("a task's items are not UTF-8", where=where, found=str(error)[:200]) from error
    rows = [(n, _object(line, f"{where}, line {n}")) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not 2 <= len(rows) <= MAX_ROWS:
        raise TaskError(
            "a task has too few items, or too many",
            where=where,
            found=f"{len(rows)}, expected 2 to {MAX_ROWS:,}",
            do="write one JSON object a line",
        )
    return rows


def _object(line: str, where: str) -> dict[str, JSON]:
    if _depth(line) > _NESTED:
        raise TaskError("an item is nested too deep", where=where, found=f"more than {_NESTED} levels")
    try:
        value = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TaskError("an item is not JSON", where=where, found=str(error)[:200], do="one object a line") from error
    if not isinstance(value, dict):
        raise TaskError("an item is not a JSON object", where=where, found=_short(value), do="one object a line")
    return value


def _depth(line: str) -> int:
    """The most brackets that can be open at once; those in texts count, which only makes it stricter by far."""
    depth = deepest = 0
    quoted = escaped = False
    for character in line:
        if quoted:
            quoted, escaped = escaped or character != '"', not escaped and character == "\\"
        elif character == '"':
            quoted = True
        else:
            depth += (character in "[{") - (character in "]}")
            deepest = max(deepest, depth)
    return deepest


def _once(pairs: Sequence[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a field occurs twice")
    return value


def _no_constant(name: str) -> JSON:
    raise ValueError(f"{name} is no number")
