"""Where are the public data sets, and what do their files hold? Read from what the user has; never fetched here.

A file is looked for under the folder that GREENLIGHT_DATA names, then among what `greenlight pull data:NAME` fetched.
It may be compressed with gzip there: its digest is that of what it says, so that both spellings are one file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError, FormatError
from greenlight.evidence import JSON
from greenlight.places import home

MAX_BYTES = 256 * 2**20
"""No file of a data set that is read here is larger, uncompressed."""

Row = Mapping[str, JSON]


class DataMissingError(EvidenceError):
    """A public data set is not on this machine."""


class Table(NamedTuple):
    """A file of rows."""

    rows: tuple[Row, ...]
    sha256: str
    """Of the uncompressed bytes."""

    where: str
    """The file, for messages."""


def read_table(name: str) -> Table:
    """Rows of a file by its name below the data folder, such as `arc/arc_easy_test.jsonl`; its ending says how.

    Raises:
        DataMissingError: it is not on this machine; says how to get it.
        FormatError: it cannot be read, naming the line.
    """
    path = find_file(name)
    status = path.stat()
    return _read(name, path, status.st_mtime_ns, status.st_size)


def find_file(name: str) -> Path:
    """Where a data file is on this machine.

    Raises:
        DataMissingError: nowhere.
    """
    for root in roots():
        for path in (root / name, root / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataMissingError(
        "a public data set is not on this machine",
        where=name,
        found=f"not under {' or '.join(map(str, roots()))}",
        do=f"greenlight pull data:{name.partition('/')[0]}, or let GREENLIGHT_DATA name the folder that holds {name}",
    )


def roots() -> tuple[Path, ...]:
    """Folders that may hold data sets, the user's own first."""
    own = os.environ.get("GREENLIGHT_DATA")
    return (*([Path(own).expanduser()] if own else []), home() / "data")


@lru_cache(maxsize=32)
def _read(name: str, path: Path, _changed: int, _size: int) -> Table:
    where = str(path)
    data = _bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError("a data file is not UTF-8", where=where, found=str(error)) from error
    rows = _parse_lines(text, where) if name.endswith((".jsonl", ".json")) else _parse_cells(text, name, where)
    if not rows:
        raise FormatError("a data file has no rows", where=where, do="fetch it again")
    return Table(rows, hashlib.sha256(data).hexdigest(), where)


def _bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise FormatError("a data file cannot be read", where=str(path), found=str(error)) from error
    if len(data) > MAX_BYTES:
        raise FormatError("a data file is too large", where=str(path), found=f"more than {MAX_BYTES:,} bytes")
    return data


def _parse_lines(text: str, where: str) -> tuple[Row, ...]:
    rows = []
    # Some texts hold other Unicode line separators: only a newline ends a row.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                "a row cannot be read as JSON", where=f"{where}, line {number}", found=str(error)[:200]
            ) from error
        if not isinstance(row, dict):
            raise FormatError("a row is not a JSON object", where=f"{where}, line {number}")
        rows.append(row)
    return tuple(rows)


def _parse_cells(text: str, name: str, where: str) -> tuple[Row, ...]:
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter="\t" if name.endswith(".tsv") else ",", strict=True
    )
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise FormatError(
                    "a row has more or fewer cells than there are columns", where=f"{where}, line {reader.line_num}"
                )
            rows.append(row)
    except csv.Error as error:
        raise FormatError(
            "a row cannot be read", where=f"{where}, line {reader.line_num}", found=str(error)[:200]
        ) from error
    return tuple(rows)


def field(row: Row, name: str, kind: type | tuple[type, ...], table: Table, number: int) -> JSON:
    """A field of row `number` (from 0), of the type that it must have.

    Raises:
        FormatError: it is missing or of another type.
    """
    value = row.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in _kinds(kind)):
        raise FormatError(
            "a row lacks a field, or has another type in it",
            where=f"{table.where}, row {number + 1}, field {name!r}",
            found=repr(value)[:80],
            do="fetch the file again, as its authors publish it",
        )
    return value


def _kinds(kind: type | tuple[type, ...]) -> Sequence[type]:
    return kind if isinstance(kind, tuple) else (kind,)
