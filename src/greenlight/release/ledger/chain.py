"""What does a ledger hold, and does each entry follow from the one before? Read strictly; each fault has its line."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical, sha256, sha256_json
from greenlight.release.ledger.entries import EntryKind, fault, is_time

FORMAT = "greenlight.ledger/1"

MAX_BYTES = 64 * 2**20
"""A ledger larger than this is not one of ours: an entry takes less than a kilobyte, a release some dozens of them."""

MAX_LINE_BYTES = 64 * 2**10

_FIELDS = {"index", "previous", "time", "kind", "body", "sha256"}

_DO = "take the ledger as it was published or committed; entries are added with greenlight, never edited"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger after its first."""

    index: int
    """Place in the ledger, from 1: what `greenlight ledger` shows before it."""

    previous: str
    """Digest of the entry before it; of the first line, where it is the first."""

    time: str
    """When it was entered, UTC: its author's word."""

    kind: EntryKind
    body: Mapping[str, JSON]

    sha256: str
    """Digest of all of that."""

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return place(self.index)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What was locked, decided and promised about one model's release, in order."""

    path: Path
    """Where it lies."""

    model: str
    """The release that it is about."""

    created: str
    """When it was begun, UTC."""

    start: str
    """Digest of its first line, from which the chain begins."""

    entries: tuple[Entry, ...]
    """In order."""

    torn_bytes: int = 0
    """What a process that was killed while it wrote left after the last whole line: never reported as entered."""

    @property
    def head(self) -> str:
        """Digest of the last entry: whoever keeps it can tell later whether anything before it was changed."""
        return self.entries[-1].sha256 if self.entries else self.start

    def of(self, kind: EntryKind, lock: str | None = None) -> list[Entry]:
        """The entries of a kind; with a lock, those about it."""
        return [entry for entry in self.entries if entry.kind == kind and lock in (None, entry.body.get("lock"))]

    def exams(self) -> int:
        """How many attempts were spent: every exam that was locked, whatever became of it."""
        return sum(entry.body["run"] == "exam" for entry in self.of("lock"))


def read_ledger(path: Path) -> Ledger:
    """A ledger from its file, every digest derived again.

    Raises:
        EvidenceError: missing, too large, or an entry is forged, dropped, moved or repeated; it names the line.
    """
    return parse_ledger(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The bytes of a plain file of bearable size.

    Raises:
        EvidenceError: there is no such file, or it is something else.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            found = f"{status.st_size:,} bytes" if stat.S_ISREG(status.st_mode) else "not a plain file"
            raise EvidenceError("this is no ledger", where=str(path), found=found, do="name the ledger's file")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(
            "there is no such ledger",
            where=str(path),
            do="`greenlight lock … --ledger FILE` and `greenlight delay FILE …` begin one",
        ) from error
    except OSError as error:
        raise EvidenceError("a ledger cannot be read", where=str(path), found=error.strerror or str(error)) from error


def parse_ledger(data: bytes, path: Path) -> Ledger:
    """The same from bytes.

    Raises:
        EvidenceError: naming the line.
    """
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.split(b"\n")[:-1]
    if not lines:
        raise EvidenceError("a ledger is empty", where=str(path), found=f"{len(data)} bytes, no whole line", do=_DO)
    header = _first(lines[0], path)
    start = sha256(lines[0])
    entries = tuple(_entries(lines[1:], header["created"], start, path))
    _check_story(entries, path)
    return Ledger(
        path=path,
        model=header["model"],
        created=header["created"],
        start=start,
        entries=entries,
        torn_bytes=len(data) - len(whole),
    )


def entry_line(index: int, previous: str, time: str, kind: EntryKind, body: Mapping[str, JSON]) -> dict[str, JSON]:
    """An entry as it is written, with its digest."""
    value = {"index": index, "previous": previous, "time": time, "kind": kind, "body": dict(body)}
    return {**value, "sha256": sha256_json(value)}


def first_line(model: str, created: str) -> dict[str, JSON]:
    """The line that a ledger begins with."""
    return {"format": FORMAT, "model": model, "created": created}


def place(index: int) -> str:
    """Where an entry stands: its number, and its line in the file, which is one more, since the first line is none."""
    return f"entry {index}, line {index + 1}"


def _first(line: bytes, path: Path) -> dict[str, JSON]:
    header = _object(line, f"{path}, line 1")
    if header.get("format") != FORMAT:
        raise EvidenceError(
            "this is no ledger, or one of a later version",
            where=f"{path}, line 1",
            found=f"format {str(header.get('format'))[:60]!r}, expected {FORMAT!r}",
            do="name a file that greenlight began as a ledger, or use the version that wrote it",
        )
    named = isinstance(header.get("model"), str) and 0 < len(header["model"]) <= 500
    if set(header) != {"format", "model", "created"} or not named or not is_time(header["created"]):
        raise EvidenceError(
            "the first line of a ledger says other things than it should",
            where=f"{path}, line 1",
            found=", ".join(sorted(map(str, header)))[:120],
            do=_DO,
        )
    return header


def _entries(lines: list[bytes], created: str, start: str, path: Path) -> Iterator[Entry]:
    previous, time = start, created
    for index, line in enumerate(lines, start=1):
        where = f"{path}, {place(index)}"
        entry = _entry(_object(line, where), where)
        if entry.index != index:
            raise EvidenceError(
                "an entry is not where it was entered: one was dropped, moved or repeated",
                where=where,
                found=f"it calls itself entry {entry.index}, expected entry {index}",
                do=_DO,
            )
        if entry.previous != previous:
            raise EvidenceError(
                "an entry does not follow from the one before it: that one was changed, dropped or moved",
                where=where,
                found=f"follows {str(entry.previous)[:8]}, before it stands {previous[:8]}",
                do=_DO,
            )
        if entry.time < time:
            raise EvidenceError(
                "time runs backwards in a ledger", where=where, found=f"{entry.time} after {time}", do=_DO
            )
        previous, time = entry.sha256, entry.time
        yield entry


def _entry(value: Mapping[str, JSON], where: str) -> Entry:
    if wrong := sorted(_FIELDS ^ set(value)):
        found = f"{wrong[0][:40]} is {'missing' if wrong[0] in _FIELDS else 'unknown'}"
        raise EvidenceError("an entry has other fields than an entry has", where=where, found=found, do=_DO)
    derived = sha256_json({key: part for key, part in value.items() if key != "sha256"})
    if value["sha256"] != derived:
        raise EvidenceError(
            "an entry was changed after it was entered",
            where=where,
            found=f"sha256 is {str(value['sha256'])[:8]}, derived {derived[:8]}",
            do=_DO,
        )
    found = "" if type(value["index"]) is int else "index is no whole number"
    found = found or ("" if is_time(value["time"]) else "time is no UTC time")
    if found := found or fault(value["kind"], value["body"]):
        raise EvidenceError("an entry says other things than it should", where=where, found=found, do=_DO)
    return Entry(**value)


def _object(line: bytes, where: str) -> dict[str, JSON]:
    """A line that is the one spelling of the object that it says: nothing in it can be read in two ways."""
    if len(line) > MAX_LINE_BYTES:
        raise EvidenceError("a line is too long for a ledger", where=where, found=f"{len(line):,} bytes", do=_DO)
    try:
        value = json.loads(line)
        plain = isinstance(value, dict) and canonical(value) == line
    except (ValueError, RecursionError, EvidenceError) as error:
        raise EvidenceError("a line is not JSON", where=where, found=str(error)[:160], do=_DO) from error
    if not plain:
        raise EvidenceError("a line is not a JSON object in canonical form", where=where, do=_DO)
    found: dict[str, JSON] = value
    return found


def _check_story(entries: tuple[Entry, ...], path: Path) -> None:
    """Whether what is entered can have happened: each lock once, attempts in order, decisions of locks that are there.

    Raises:
        EvidenceError: naming the line.
    """
    locks: dict[str, Entry] = {}
    exams = 0
    for entry in entries:
        where, body = f"{path}, {entry.place}", entry.body
        if entry.kind == "lock":
            exams += body["run"] == "exam"
            expected = exams if body["run"] == "exam" else None
            if body["lock"] in locks:
                found = f"lock {body['lock'][:8]}, entered before: {locks[body['lock']].place}"
                raise EvidenceError("a lock is entered twice", where=where, found=found, do=_DO)
            if body["attempt"] != expected:
                found = f"attempt {body['attempt']}, counted {expected}"
                raise EvidenceError("a lock has another attempt than its place gives it", where=where, found=found)
            locks[body["lock"]] = entry
        elif entry.kind == "decision":
            lock = locks.get(body["lock"])
            if lock is None or lock.body["attempt"] != body["attempt"] or lock.body["policy"] != body["policy"]:
                found = f"lock {body['lock'][:8]}, attempt {body['attempt']}"
                raise EvidenceError("a decision is of no lock that was entered before it", where=where, found=found)
        elif entry.kind in ("reopening", "waiver") and body["lock"] not in locks:
            found = f"lock {body['lock'][:8]}"
            raise EvidenceError("an entry is about a lock that was not entered", where=where, found=found, do=_DO)
