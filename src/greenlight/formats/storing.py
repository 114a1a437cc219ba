"""How is something large written so that it is whole under its name, or not there? Beside it, flushed, then renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

from greenlight.errors import FormatError

MARGIN = 1 << 20
"""Bytes that are to stay free."""

Cleared: TypeAlias = Callable[[int], None]
"""Told how many bytes an attempt that was killed has left, which are thrown away."""


@contextlib.contextmanager
def file_in_the_making(path: Path, n_bytes: int, cleared: Cleared | None = None) -> Iterator[IO[bytes]]:
    """A file that gets its name when the block ends well; killed on the way, only `.NAME.partial` is left.

    The next attempt writes over what an earlier one left.

    Raises:
        FormatError: something has that name already, another process is writing it, the disk is too small or full.
    """
    partial = partial_of(path)
    require_space(path, n_bytes)
    with _told(path), partial.open("ab") as file:
        _claim(file, path)
        _tell(cleared, partial)
        file.truncate(0)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            refuse_existing(path)
            partial.rename(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        flush(path.parent)


@contextlib.contextmanager
def folder_in_the_making(path: Path, n_bytes: int, cleared: Cleared | None = None) -> Iterator[Path]:
    """A folder that gets its name when the block ends well; the block writes to the path it is given.

    Raises:
        FormatError: as `file_in_the_making`.
    """
    partial = partial_of(path)
    require_space(path, n_bytes)
    with _told(path), partial.with_name(partial.name + ".lock").open("ab") as lock:
        _claim(lock, path)
        try:
            _tell(cleared, partial)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            yield partial
            for file in partial.iterdir():
                flush(file)
            flush(partial)
            refuse_existing(path)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            Path(lock.name).unlink(missing_ok=True)
        flush(path.parent)


def partial_of(path: Path) -> Path:
    """Where something is while it is written."""
    return path.with_name(f".{path.name}.partial")


def _left(partial: Path) -> int:
    """Bytes that a killed attempt has left."""
    files = partial.rglob("*") if partial.is_dir() else [partial]
    return sum(file.stat().st_size for file in files if file.is_file())


def _tell(cleared: Cleared | None, partial: Path) -> None:
    if cleared and (left := _left(partial)):
        cleared(left)


def refuse_existing(path: Path) -> None:
    """Fail if something has that name: nothing is ever written over."""
    if path.exists() or path.is_symlink():
        raise FormatError("nothing is written over", where=str(path), found="already there", do="choose another name")


def require_space(path: Path, n_bytes: int) -> None:
    """Fail unless the name is free and its disk has room for so many bytes.

    Raises:
        FormatError: saying how many bytes are missing.
    """
    refuse_existing(path)
    if not path.parent.is_dir():
        raise FormatError("there is no such folder", where=str(path.parent), do="make it, or choose another")
    # What a killed attempt has left makes room first.
    free = shutil.disk_usage(path.parent).free + _left(partial_of(path))
    if n_bytes + MARGIN > free:
        raise FormatError(
            "the disk is too small",
            where=str(path.parent),
            found=f"{free:,} bytes free, {n_bytes + MARGIN:,} needed",
            do="free some, or choose a folder on another disk",
        )


def flush(path: Path) -> None:
    """Make a file, or the names in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _claim(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise FormatError("another process is writing this", where=str(path), do="wait for it") from error


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Trouble with the disk as an error that names the file."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FormatError(
            "the disk is full" if full else "the file cannot be written",
            where=str(path),
            found=error.strerror,
            do="free some space and run it again" if full else "check the folder's permissions",
        ) from error
