"""Where are downloaded models kept, which are there, and how does one get in or out without ever being half there?

Layout of the home folder (GREENLIGHT_HOME, default ~/.cache/greenlight): models/NAME/FILE for the catalog;
huggingface/ as huggingface_hub lays it out; records/ with one small JSON file per model pulled; locks/; digests.json.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from greenlight.errors import GreenlightError, HubError
from greenlight.hub.catalog import Entry, catalog
from greenlight.hub.reference import CatalogReference, HubReference, PathReference, Reference, parse_reference
from greenlight.places import home

_FORMAT = "greenlight.cached/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A model in the cache and where it came from."""

    reference: str
    """What it was pulled as."""

    path: str
    """File or folder with the weights."""

    size_bytes: int
    """Bytes of its files."""

    sha256: dict[str, str]
    """Digest by file name, as checked when it was pulled."""

    source: str
    """Where the bytes came from."""

    revision: str | None
    """Commit that a hub reference was pinned to."""

    fetched: str
    """When, UTC, ISO 8601."""

    def files(self) -> dict[Path, str]:
        """Its files on this machine, and their digests."""
        path = Path(self.path)
        if path.is_dir():
            return {path / name: sha256 for name, sha256 in self.sha256.items()}
        # A model in several files is named by one of them; all lie under one root.
        own = next((name for name in self.sha256 if path.as_posix().endswith(f"/{name}")), path.name)
        root = path.parents[own.count("/")]
        return {root / name: sha256 for name, sha256 in self.sha256.items()}


def catalog_path(entry: Entry) -> Path:
    """Where a catalog entry's file belongs."""
    return home() / "models" / entry.name / entry.file


def find(reference: Reference) -> Path | None:
    """Local path of a model, or None where it is not on this machine. Never uses the network."""
    if isinstance(reference, PathReference):
        return reference.path if reference.path.exists() else None
    if isinstance(reference, CatalogReference):
        entry = catalog()[reference.name]
        path = catalog_path(entry)
        return path if path.is_file() and path.stat().st_size == entry.size_bytes else None
    if isinstance(reference, HubReference):
        record = find_record(reference)
        return Path(record.path) if record is not None else None
    return None


def revision(reference: Reference) -> str | None:
    """The commit that a hub model in the cache is of."""
    record = find_record(reference) if isinstance(reference, HubReference) else None
    return None if record is None else record.revision


def find_record(reference: HubReference) -> Cached | None:
    """What was noted of a hub model whose files are all here: under its own name, or under another of its commit."""
    record = read_record(reference.text)
    if record is None and reference.revision is not None:
        same = (other for other in cached() if other.revision == reference.revision and _same_model(other, reference))
        record = next(same, None)
    return record if record is not None and all(file.is_file() for file in record.files()) else None


def _same_model(record: Cached, reference: HubReference) -> bool:
    """Whether a record is of the same files of the same repository, whatever revision it was asked for by."""
    if record.source != f"hf:{reference.repository}":
        return False
    try:
        other = parse_reference(record.reference)
    except GreenlightError:
        return False
    return isinstance(other, HubReference) and other.selection == reference.selection


def cached() -> list[Cached]:
    """Models in the cache, by reference; a record whose files are gone does not count."""
    folder = home() / "records"
    records = (_parse_record(path) for path in sorted(folder.glob("*.json"))) if folder.is_dir() else ()
    return [record for record in records if record is not None and Path(record.path).exists()]


def remove(reference: Reference) -> int:
    """Take a model out of the cache; the bytes that this frees. Files that another reference needs stay.

    Raises:
        HubError: it is not in the cache, or is the user's own file.
    """
    if isinstance(reference, PathReference) or find(reference) is None:
        raise HubError("this model is not in the cache", where=reference.text, do="greenlight list")
    with locked(reference.text), disk_errors(home()):
        target = _folder(reference)
        before = _bytes(target)
        record = read_record(reference.text)
        if record is None and isinstance(reference, HubReference) and (known := find_record(reference)):
            raise HubError(
                "this model is in the cache under another name",
                where=reference.text,
                found=known.reference,
                do=f"greenlight rm {known.reference}",
            )
        others = [file for other in cached() if other.reference != reference.text for file in other.files()]
        others = [file for file in others if file.is_relative_to(target)]
        if others and record is not None:
            _remove_files(record, set(others))
        else:
            shutil.rmtree(target)
        _record_path(reference.text).unlink(missing_ok=True)
        return before - _bytes(target)


def _folder(reference: Reference) -> Path:
    """The folder that holds a model, and perhaps others of the same repository."""
    if isinstance(reference, CatalogReference):
        return catalog_path(catalog()[reference.name]).parent
    repository = reference.repository if isinstance(reference, HubReference) else ""
    return home() / "huggingface" / f"models--{repository.replace('/', '--')}"


def _remove_files(record: Cached, kept: set[Path]) -> None:
    """Remove a model's files and the blobs they link to, but none that another model of the repository needs."""
    blobs = {file.resolve() for file in kept}
    for file in record.files().keys() - kept:
        blob = file.resolve()
        file.unlink(missing_ok=True)
        if blob not in blobs:
            blob.unlink(missing_ok=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def record(cached: Cached) -> None:
    """Note a model that has been pulled."""
    write_json(_record_path(cached.reference), {"format": _FORMAT, **asdict(cached)})


def read_record(reference: str) -> Cached | None:
    """What was noted when a model was pulled."""
    return _parse_record(_record_path(reference))


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse_record(path: Path) -> Cached | None:
    value = read_json(path)
    try:
        return Cached(**{key: value[key] for key in Cached.__slots__}) if value.get("format") == _FORMAT else None
    except KeyError:
        return None


def _record_path(reference: str) -> Path:
    return home() / "records" / f"{_slug(reference)}.json"


def _slug(reference: str) -> str:
    # Percent signs keep different references apart: a slash and an underscore must not meet in one file name.
    return re.sub(
        r"[^A-Za-z0-9.-]", lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), reference
    )


@contextlib.contextmanager
def locked(reference: str) -> Iterator[None]:
    """Hold the lock on one model; whoever else pulls it waits, and then finds it there."""
    import filelock

    path = home() / "locks" / f"{_slug(reference)}.lock"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what a failing disk means, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what, do = "the disk is full", "free some space, or set GREENLIGHT_HOME to a folder on another disk"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            what, do = "the cache cannot be written", "set GREENLIGHT_HOME to a folder that you may write to"
        else:
            what, do = "the cache cannot be used", "check the folder, or set GREENLIGHT_HOME to another"
        raise HubError(what, where=str(path), found=str(error), do=do) from error


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where it is missing or damaged, since whatever is kept here can be found out again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a small JSON file in one step.

    Raises:
        HubError: the disk is full or cannot be written; the old file is as it was.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, sort_keys=True, indent=1)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
