"""How is something entered in a ledger? One whole line at the end, alone, on the disk before it is reported."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical, now
from greenlight.release.ledger.chain import MAX_BYTES, Entry, entry_line, first_line, parse_ledger, read_bytes
from greenlight.release.ledger.entries import EntryKind, fault, option

WAIT_S = 10.0
"""How long an append waits for another one: each takes milliseconds."""

_DO: Mapping[EntryKind, str] = {
    "delay": "say it as: greenlight delay LEDGER --event slipped --date 2026-03-15 --category technical",
    "reopening": 'say it as: greenlight reopen LEDGER --because "what happened"',
    "note": 'say it as: greenlight ledger LEDGER --note "words"',
}
"""How what a person enters is written."""

_FIRST_BYTES = b'{"created":"'
"""How the first line of a ledger begins: what is left of one that was torn while it was written."""


class Appender:
    """A ledger that this process alone may add to, as long as it is held.

    Args:
        path: its file, which is locked.
        descriptor: the open file.
        model: the release that it must be about, and that it is begun for where it is empty; None for any there is.
        begun: when it is begun, UTC; now by default.

    Raises:
        EvidenceError: the ledger is damaged, is of another model, or there is none and no model to begin one for.
    """

    def __init__(self, path: Path, descriptor: int, model: str | None, begun: str | None = None) -> None:
        self._path, self._descriptor = path, descriptor
        data = read_bytes(path)
        self.torn_bytes = len(data) - (data.rfind(b"\n") + 1)
        if whole := data[: len(data) - self.torn_bytes]:
            parse_ledger(whole, path)  # a file that is no ledger loses nothing
        elif data and not data.startswith(_FIRST_BYTES[: len(data)]):
            raise EvidenceError("this is no ledger", where=str(path), do="name another file; one that is new is begun")
        if self.torn_bytes:
            # Half a line was never reported as entered; whatever follows it would be unreadable.
            os.ftruncate(descriptor, len(data) - self.torn_bytes)
        if len(data) == self.torn_bytes:
            self._begin(model, begun)
        self.ledger = parse_ledger(read_bytes(path), path)
        if model is not None and self.ledger.model != model:
            raise EvidenceError(
                "this ledger is of another model",
                where=f"{path}, line 1",
                found=f"{self.ledger.model!r}, expected {model!r}",
                do=f"name another file; or, for a candidate of that release, add --release-of {self.ledger.model}",
            )

    def _begin(self, model: str | None, begun: str | None) -> None:
        if model is None:
            raise EvidenceError(
                "there is no ledger yet, and it is not known which release it would be about",
                where=str(self._path),
                do="begin it with `greenlight lock … --ledger FILE`, or with --release-of NAME",
            )
        self._write(canonical(first_line(model, begun or now())) + b"\n", 0)

    def enter(self, kind: EntryKind, body: Mapping[str, JSON], *, at: str | None = None) -> Entry:
        """Add an entry; when this returns, it is on the disk.

        Args:
            kind: what it is.
            body: what it says.
            at: when, UTC; now by default.

        Raises:
            EvidenceError: the body says other things than it should, the clock is behind, or the disk is full.
        """
        if found := fault(kind, body, option):
            raise EvidenceError(
                f"a {kind} cannot be entered like this", where=str(self._path), found=found, do=_DO.get(kind, "")
            )
        entries, moment = self.ledger.entries, at or now()
        last = entries[-1].time if entries else self.ledger.created
        if moment < last:
            raise EvidenceError(
                "the clock is behind the ledger's last entry",
                where=str(self._path),
                found=f"{moment}, the last entry is of {last}",
                do="set the clock, then enter it again",
            )
        value = entry_line(len(entries) + 1, self.ledger.head, moment, kind, body)
        line = canonical(value) + b"\n"
        # What cannot be read back is not written.
        data = read_bytes(self._path)
        after = parse_ledger(data + line, self._path)
        if len(data) + len(line) > MAX_BYTES:
            raise EvidenceError("a ledger is full", where=str(self._path), do="begin another one")
        self._write(line, len(data))
        self.ledger = after
        return after.entries[-1]

    def _write(self, line: bytes, start: int) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, start)
            raise _cannot_write(self._path, error) from error


@contextlib.contextmanager
def appending(path: Path, model: str | None = None, *, begun: str | None = None) -> Iterator[Appender]:
    """Hold a ledger for this process; it is begun where there is none.

    Args:
        path: its file.
        model: the release that it must be about, and that it is begun for; None for any there is.
        begun: when it is begun, UTC; now by default.

    Raises:
        EvidenceError: another process holds it for long, it is damaged, of another model, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        if there or model is not None:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | (0 if there else os.O_CREAT), 0o644)
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not there and model is None:
        raise EvidenceError(
            "there is no such ledger, and it is not known which release it would be about",
            where=str(path),
            do="begin it with `greenlight lock … --ledger FILE`, or add --release-of NAME",
        )
    try:
        _wait(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), path)
        yield Appender(path, descriptor, model, begun)
    finally:
        os.close(descriptor)  # which lets go of it, too


def _wait(take: Callable[[], None], path: Path) -> None:
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return take()
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise EvidenceError(
                    "another process is entering something in this ledger", where=str(path), do="try again"
                ) from error
            time.sleep(0.002)


def _cannot_write(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        "a ledger cannot be written",
        where=str(path),
        found=error.strerror or str(error),
        do="free some space, or name a file that you may write to; what was entered before is whole",
    )
