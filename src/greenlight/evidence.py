"""What does every stage write and read? Canonical JSON, append-only journals, digests. Imports no stage."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from greenlight.errors import EvidenceError

JSON: TypeAlias = Any
"""Whatever json can hold."""

MAX_LINE_BYTES = 16 * 2**20
"""A journal line longer than this is not one of ours."""

MAX_FILE_BYTES = 2**30
"""An evidence file larger than this is not one of ours."""

MANIFEST = "manifest.json"

SIGNATURE = "model.sig"
"""A signature over the folder, made after the manifest was written."""

_DAMAGED = "if this is a run's own file, it was changed after it was written: restore it or run again into a new folder"


def canonical(value: JSON) -> bytes:
    """The one spelling of a JSON value that is hashed: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        EvidenceError: the value holds NaN, an infinity or something that JSON cannot say.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise EvidenceError("a value cannot be written as canonical JSON", found=str(error)) from error


def sha256(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: JSON) -> str:
    """Hex SHA-256 of a value's canonical JSON."""
    return sha256(canonical(value))


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read once."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EvidenceError("a file cannot be read", where=str(path), found=str(error)) from error


def is_date(value: JSON) -> bool:
    """Whether a value is a day, YYYY-MM-DD."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return False
    try:
        return bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, and a full disk leaves the old.

    Raises:
        EvidenceError: the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def write_json(path: Path, value: JSON) -> None:
    """Write one JSON value in canonical form with a final newline."""
    write_atomic(path, canonical(value) + b"\n")


LATEST = {"lock": 2}
"""Formats that are past version 1, and their latest version; every earlier one is read as well."""


def format_of(kind: str) -> str:
    """What a file of this kind that is written today says of its format."""
    return f"greenlight.{kind}/{LATEST.get(kind, 1)}"


def read_json(path: Path, kind: str) -> dict[str, JSON]:
    """Read an evidence file and check that it is of a format `greenlight.<kind>/N` that this version knows.

    Raises:
        EvidenceError: missing, unreadable, not JSON, or of another format or a later version.
    """
    value = _parse(_read(path), str(path))
    if not isinstance(value, dict):
        raise EvidenceError("an evidence file is not a JSON object", where=str(path), do=_DAMAGED)
    check_format(value, kind, str(path))
    return value


def check_format(value: Mapping[str, JSON], kind: str, where: str) -> None:
    """Refuse an evidence object that is not of the given kind, or of a later version than this one knows."""
    known, found = [f"greenlight.{kind}/{n}" for n in range(1, LATEST.get(kind, 1) + 1)], value.get("format")
    if found not in known:
        raise EvidenceError(
            "an evidence file has another format",
            where=where,
            found=f"{found!r}, expected {' or '.join(map(repr, known))}",
            do="read it with the version of greenlight that wrote it, or a later one",
        )


class Line(NamedTuple):
    """One journal line and where it stands."""

    number: int
    value: dict[str, JSON]


def read_lines(path: Path, kind: str) -> tuple[dict[str, JSON], list[dict[str, JSON]]]:
    """Header and entries of a journal whose every line must be whole.

    Raises:
        EvidenceError: naming the first line that cannot be read.
    """
    lines = list(_lines(path, _read(path)))
    if not lines:
        raise EvidenceError("a journal is empty", where=str(path), do="remove it; the run will start it again")
    header = lines[0].value
    check_format(header, kind, f"{path}, line 1")
    return header, [line.value for line in lines[1:]]


class Journal:
    """An append-only JSON Lines file: a line that was reported as written survives kill -9.

    Opening an existing journal checks its header, drops a torn last line (the only one that a crash can leave), and
    refuses one that is damaged elsewhere.
    """

    def __init__(self, path: Path, kind: str, header: Mapping[str, JSON]) -> None:
        self.path = path
        self.dropped_bytes = 0
        self.entries: list[dict[str, JSON]] = []
        expected = {"format": f"greenlight.{kind}/1", **header}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            self.dropped_bytes = len(data) - len(whole)
            if whole:
                self._adopt(whole, expected)
            if self.dropped_bytes:
                os.truncate(path, len(whole))
            # Unbuffered: what a failed write leaves in a buffer would come out later, as half a line.
            self._file = path.open("ab", buffering=0)
            if not whole:
                self._write(expected)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def _adopt(self, data: bytes, expected: Mapping[str, JSON]) -> None:
        lines = list(_lines(self.path, data))
        found = lines[0].value
        if found != expected:
            differing = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
            raise EvidenceError(
                "this journal belongs to another run",
                where=f"{self.path}, {', '.join(differing)}",
                found=f"{ {key: found.get(key) for key in differing} }, expected "
                f"{ {key: expected.get(key) for key in differing} }",
                do="choose another output folder, or resume with the same lock, model and settings",
            )
        self.entries = [line.value for line in lines[1:]]

    def append(self, entry: Mapping[str, JSON]) -> None:
        """Write one entry; when this returns, the operating system has it.

        Raises:
            EvidenceError: the disk is full; what was written before is whole.
        """
        try:
            self._write(entry)
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _write(self, entry: Mapping[str, JSON]) -> None:
        start, data = self._file.tell(), memoryview(canonical(entry) + b"\n")
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            # Half a line must not stay: cut the file back to the last whole entry.
            os.truncate(self.path, start)
            raise

    def close(self) -> None:
        """Flush to the disk itself and close."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        finally:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process: two that append to the same journals would spoil both.

    Raises:
        EvidenceError: another process is at work in the folder.
    """
    import filelock

    # Beside the folder, not in it: what lies inside is evidence.
    path = folder.resolve().parent / f".{folder.resolve().name}.lock"
    lock = filelock.FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise EvidenceError(
            "another process is at work in this folder",
            where=str(folder),
            do="wait until it has ended, or choose another folder with --out",
        ) from error
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def evidence_files(folder: Path) -> list[str]:
    """Relative paths of all files of a run folder but the manifest itself and a signature over it, sorted."""
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    names = (path.relative_to(folder).as_posix() for path in files)
    return sorted(name for name in names if name not in (MANIFEST, SIGNATURE) and not Path(name).name.startswith("."))


def write_manifest(folder: Path) -> None:
    """Record the digest of every file of a run folder, and of the record itself."""
    body = {
        "format": "greenlight.manifest/1",
        "files": {name: sha256_file(folder / name) for name in evidence_files(folder)},
    }
    write_json(folder / MANIFEST, {**body, "sha256": sha256_json(body)})


def check_manifest(folder: Path) -> str | None:
    """The first difference between a folder and its manifest, in words that name the file; None where there is none.

    Raises:
        EvidenceError: the manifest is missing or unreadable.
    """
    path = folder / MANIFEST
    data = _read(path)
    manifest = read_json(path, "manifest")
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    if data != canonical(manifest) + b"\n" or manifest.get("sha256") != sha256_json(body):
        return f"{MANIFEST}: does not match its own digest"
    files = manifest["files"]
    present = evidence_files(folder)
    for name in sorted({*files, *present}):
        if name not in present:
            return f"{name}: listed in the manifest, not there"
        if name not in files:
            return f"{name}: not listed in the manifest"
        if sha256_file(folder / name) != files[name]:
            return f"{name}: its digest differs from the manifest's"
    return None


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            found = f"{status.st_size:,} bytes" if stat.S_ISREG(status.st_mode) else "not a plain file"
            raise EvidenceError("this is no evidence file", where=str(path), found=found, do="name the file itself")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(
            "an evidence file is missing",
            where=str(path),
            do="name a folder that `greenlight review` or `assess` wrote, or a file that `greenlight lock` wrote",
        ) from error
    except OSError as error:
        raise EvidenceError("an evidence file cannot be read", where=str(path), found=str(error)) from error


def _lines(path: Path, data: bytes) -> Iterator[Line]:
    for number, raw in enumerate(data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n"), start=1):
        where = f"{path}, line {number}"
        if len(raw) > MAX_LINE_BYTES:
            raise EvidenceError("a journal line is too long to be ours", where=where, found=f"{len(raw):,} bytes")
        value = _parse(raw, where)
        if not isinstance(value, dict):
            raise EvidenceError("a journal line is not a JSON object", where=where, do=_DAMAGED)
        yield Line(number, value)


def _parse(data: bytes, where: str) -> JSON:
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(
            "evidence cannot be read as JSON",
            where=where,
            found=str(error)[:200],
            do=_DAMAGED,
        ) from error


def _refuse_constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def _cannot_write(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        "evidence cannot be written",
        where=str(path),
        found=error.strerror or str(error),
        do=(
            "free some space, then run the same command again: it resumes"
            if error.errno in {errno.ENOSPC, errno.EDQUOT}
            else "choose a folder that you may write to"
        ),
    )
