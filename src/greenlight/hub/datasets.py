"""How does a public data set get onto this machine? By pinned repository, commit and path; its digest stays.

The first pull records the SHA-256 of each file; every later one must bring the same bytes. A set that the folder named
by GREENLIGHT_DATA already holds is left where it is.
"""

from __future__ import annotations

import os
import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from greenlight.errors import HubError, UsageError
from greenlight.hub.cache import locked, read_json, write_json
from greenlight.hub.progress import Progress
from greenlight.places import home

PREFIX = "data:"
BASE = "https://raw.githubusercontent.com"
"""Where files of a repository are served as /OWNER/NAME/COMMIT/PATH; GREENLIGHT_DATA_BASE names a mirror."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_RECORD = "data.json"


class DataFile(NamedTuple):
    """One file of a data set."""

    path: str
    """Its name below the data folder."""

    repository: str
    commit: str
    source: str
    """Its path in the repository."""


class DataSet(NamedTuple):
    """A data set that can be pulled."""

    name: str
    licence: str
    """SPDX name of the licence that it is commonly published under."""

    files: tuple[DataFile, ...]


class Pulled(NamedTuple):
    """A data set on this machine."""

    name: str
    licence: str
    folder: Path
    """The data folder that holds it."""

    sha256: Mapping[str, str]
    """Digest of each file by its name below the data folder; empty where it is the user's own copy."""

    own: bool
    """Whether it lies under GREENLIGHT_DATA, where nothing is fetched or checked."""


@cache
def datasets() -> dict[str, DataSet]:
    """Every data set that can be pulled, by name."""
    table = tomllib.loads(files("greenlight.hub").joinpath("datasets.toml").read_text(encoding="utf-8"))
    return {name: _read(name, entry) for name, entry in table.items()}


def _read(name: str, entry: Mapping[str, Any]) -> DataSet:
    found = tuple(DataFile(**{field: str(file[field]) for field in DataFile._fields}) for file in entry["file"])
    assert all(_COMMIT.fullmatch(file.commit) for file in found), "a source is pinned by its whole commit"
    return DataSet(name, str(entry["licence"]), found)


def pull_data(name: str, *, progress: Progress | None = None) -> Pulled:
    """Fetch a data set, or say where it is.

    Args:
        name: with or without `data:` before it.
        progress: told how far each file is.

    Raises:
        UsageError: no set of this name can be pulled.
        HubError: it cannot be fetched, or is not what was pulled before.
    """
    wanted = name.removeprefix(PREFIX)
    if wanted not in datasets():
        raise UsageError(
            f"no data set called {wanted} can be pulled",
            where=name,
            found=f"there are {', '.join(datasets())}",
            do=f"put its files under {wanted}/ in a folder, and let GREENLIGHT_DATA name that folder",
        )
    dataset = datasets()[wanted]
    if (own := _own_folder(dataset)) is not None:
        return Pulled(wanted, dataset.licence, own, {}, own=True)
    with locked(f"{PREFIX}{wanted}"):
        known = read_json(home() / _RECORD)
        digests = {file.path: _fetch(file, known.get(file.path), progress) for file in dataset.files}
        write_json(home() / _RECORD, {**read_json(home() / _RECORD), **digests})
    return Pulled(wanted, dataset.licence, home() / "data", digests, own=False)


def _own_folder(dataset: DataSet) -> Path | None:
    """The user's own data folder, where it holds every file of a set."""
    named = os.environ.get("GREENLIGHT_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    there = all((folder / file.path).is_file() or (folder / f"{file.path}.gz").is_file() for file in dataset.files)
    return folder if there else None


def _fetch(file: DataFile, recorded: object, progress: Progress | None) -> str:
    """The digest of a file, fetched where it is not there as it was recorded."""
    from greenlight.hub.download import download

    target = home() / "data" / file.path
    expected = recorded if isinstance(recorded, str) else None
    if target.is_file():
        found = _sha256(target)
        if found == expected:
            return found
        if expected is not None:
            raise HubError(
                "a data file is not the one that was pulled",
                where=str(target),
                found=f"SHA-256 {found}, recorded {expected}",
                do="remove the file, then pull it again",
            )
    url = "/".join([_base(), file.repository, file.commit, urllib.parse.quote(file.source)])
    return download(url, target, sha256=expected, progress=progress)


def _base() -> str:
    base = os.environ.get("GREENLIGHT_DATA_BASE", BASE).rstrip("/")
    local = base.startswith(("http://127.0.0.1:", "http://localhost:"))
    if not (base.startswith("https://") or local):
        raise UsageError("data sets come over https", where="GREENLIGHT_DATA_BASE", found=base, do="use https://...")
    return base


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
