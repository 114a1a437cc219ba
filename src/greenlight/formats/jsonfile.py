"""How is a JSON object read from a file that may be hostile? Bounded, and refusing what JSON leaves open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from greenlight.errors import FormatError
from greenlight.formats.tensors import refuse_pointer

MAX_BYTES = 64 << 20
"""More than any config or weight index in use."""


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        FormatError: no such file, too large, not JSON, not an object, or a key appears twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FormatError("the file is too large", where=str(path), found=f"more than {MAX_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(
            "the file cannot be read",
            where=str(path),
            found=error.strerror,
            do="check the path",
        ) from error
    refuse_pointer(path, data)
    return parse_json(data, str(path))


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in these bytes; errors name `where`."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: JSON, UTF-8, numbers with too many digits
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise FormatError("not valid JSON", where=where, found=reason, do="fetch the file again") from error
    if not isinstance(value, dict):
        raise FormatError("not a JSON object", where=where, found=type(value).__name__)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
