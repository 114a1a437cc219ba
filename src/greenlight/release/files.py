"""Is a folder what its manifest says it is? Looked at before a byte is read: no folder may hang its reader."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, MANIFEST, canonical, check_manifest, read_json, read_lines
from greenlight.release.difference import DifferenceError

MAX_FILE_BYTES = 256 * 2**20
"""A file larger than this is not one of ours: a run of thousands of answers takes a few megabytes."""

MAX_FILES = 10_000
"""Nor is a folder of more files than this."""


def must_be_bundle(folder: Path) -> None:
    """Refuse what is no decided run at all.

    Raises:
        EvidenceError: there is no such folder, or it was never decided.
    """
    if not folder.is_dir():
        raise EvidenceError("there is no such folder", where=str(folder), do="name the folder of a review")
    missing = [name for name in (MANIFEST, "decision.json") if not os.path.lexists(folder / name)]
    if missing:
        raise EvidenceError(
            "this folder is not a bundle",
            where=str(folder),
            found=f"no {missing[0]}",
            do="a run becomes a bundle when it is decided: greenlight decide",
        )


def check_files(folder: Path) -> tuple[int, list[str]]:
    """Check that a folder holds plain files of bearable size and that each has the digest in the manifest.

    Returns:
        How many files there are, and the hidden ones, which no manifest covers.

    Raises:
        DifferenceError: naming the file.
    """
    names = list(_entries(folder))
    if len(names) > MAX_FILES:
        raise DifferenceError("more files than a run has", found=f"{len(names):,}")
    difference = check_manifest(folder)
    if difference:
        raise DifferenceError(difference)
    hidden = [name for name in names if Path(name).name.startswith(".")]
    return len(names) - len(hidden), hidden


def _entries(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_cannot_walk):
        for name in sorted(folders + files):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if not relative.isprintable() or not relative.isascii():
                raise DifferenceError(f"{relative!a}: a name that no file of a run has")
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                if found.st_size > MAX_FILE_BYTES:
                    raise DifferenceError(f"{relative}: too large to be ours", found=f"{found.st_size:,} bytes")
                yield relative
            elif not stat.S_ISDIR(found.st_mode):
                raise DifferenceError(f"{relative}: a link or a device, not a file")


def _cannot_walk(error: OSError) -> None:
    raise EvidenceError("a folder cannot be read", where=str(error.filename), found=str(error.strerror)) from error


def read_record(folder: Path, name: str, kind: str) -> dict[str, JSON]:
    """An evidence file whose bytes are the one spelling of what it says: nothing in it can be read in two ways.

    Raises:
        DifferenceError: it is spelled otherwise.
    """
    path = folder / name
    value = read_json(path, kind)
    if path.read_bytes() != canonical(value) + b"\n":
        raise DifferenceError(f"{name}: not in canonical form")
    return value


def read_journal(folder: Path, name: str, kind: str) -> tuple[dict[str, JSON], list[dict[str, JSON]]]:
    """The same for a journal: header and entries.

    Raises:
        DifferenceError: a line is spelled otherwise.
    """
    path = folder / name
    header, entries = read_lines(path, kind)
    spelled = b"".join(canonical(line) + b"\n" for line in (header, *entries))
    if path.read_bytes() != spelled:
        raise DifferenceError(f"{name}: not in canonical form")
    return header, entries
