"""Does a run stand in the ledger as it stands in its folder? Its lock, its decision, and who vouches for their time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, sha256_file
from greenlight.gate.lock import policy_of
from greenlight.release.ledger.chain import Entry, Ledger

AUTHOR = "time: the author's word"
"""What can be said of a time that nobody else vouches for."""


class Standing(NamedTuple):
    """What a ledger says of a run."""

    checks: tuple[str, ...]
    notes: tuple[str, ...]


def lock_body(lock: Mapping[str, JSON]) -> dict[str, JSON]:
    """What is entered of a lock."""
    return {
        "lock": lock["id"],
        "created": lock["created"],
        "run": lock["kind"],
        "policy": {key: lock["policy"][key] for key in ("name", "sha256")},
        "model": {key: lock["model"][key] for key in ("name", "digest")},
        "attempt": lock["attempt"],
        "attempts": policy_of(lock).attempts,
    }


def decision_body(decision: Mapping[str, JSON], lock: Mapping[str, JSON], decision_sha256: str) -> dict[str, JSON]:
    """What is entered of a decision."""
    other = decision.get("other")
    return {
        "lock": decision["lock"],
        "decided": decision["decided"],
        "verdict": decision["verdict"],
        "policy": dict(decision["policy"]),
        "attempt": lock["attempt"],
        "attempts": decision["attempts"],
        "decision_sha256": decision_sha256,
        "waived": [row["row"] for row in decision["rows"] if row["status"] == "WAIVED"],
        "other": None if other is None else {**other["policy"], "verdict": other["verdict"]},
        "next_review": decision["explanation"]["next_review"],
    }


def waiver_bodies(decision: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """What is entered of the waivers that a decision lists."""
    fields = ("row", "who", "why", "until")
    return [
        {"lock": decision["lock"], **{key: waiver[key] for key in fields}} for waiver in decision.get("waivers", ())
    ]


def entered_lock(ledger: Ledger, lock: Mapping[str, JSON]) -> Entry:
    """The entry of a run's lock.

    Raises:
        EvidenceError: it was not entered (this is another release's ledger, or an attempt was kept out of it), or
            otherwise than it stands in the run.
    """
    found = ledger.of("lock", lock["id"])
    if not found:
        raise EvidenceError(
            "the lock of this run is not in the ledger",
            where=str(ledger.path),
            found=f"lock {lock['id'][:8]} of {lock['model']['name']}; the ledger is of {ledger.model}",
            do="name the ledger that it was locked with; a lock is entered when it is made: greenlight lock … --ledger",
        )
    [entry] = found
    where = f"{ledger.path}, {entry.place}"
    for field, value in lock_body(lock).items():
        if entry.body[field] != value:
            raise EvidenceError(
                "the lock is entered otherwise than it stands in the run",
                where=where,
                found=f"{field} is {entry.body[field]!r}, in the run {value!r}",
            )
    if lock["kind"] == "exam" and lock.get("ledger") != entry.previous:
        raise EvidenceError(
            "the lock was made after another entry than it stands after",
            where=where,
            found=f"{str(lock.get('ledger'))[:8]}, in the ledger {entry.previous[:8]}",
            do="the ledger was begun again or written anew after the lock was made: take the original",
        )
    return entry


def standing(ledger: Ledger, lock: Mapping[str, JSON], decision: Mapping[str, JSON], decision_sha256: str) -> Standing:
    """Check that a run's lock and decision are entered, and that its decision is the last one entered of it.

    Raises:
        EvidenceError: naming the entry and what differs.
    """
    entry = entered_lock(ledger, lock)
    decisions = ledger.of("decision", lock["id"])
    if not decisions:
        raise EvidenceError(
            "the decision of this run is not in the ledger",
            where=str(ledger.path),
            found=f"the lock is {entry.place}; no decision after it",
            do="greenlight decide RUN --ledger FILE",
        )
    last, expected = decisions[-1], decision_body(decision, lock, decision_sha256)
    for field, value in expected.items():
        if last.body[field] != value:
            raise EvidenceError(
                "another decision is the last one entered of this run",
                where=f"{ledger.path}, {last.place}",
                found=f"{field} is {_short(last.body[field])}, in the run {_short(value)}",
                do="take the run as it was decided, or enter the new decision: greenlight decide RUN --ledger FILE",
            )
    checks = [
        f"ledger: {len(ledger.entries)} entries, each follows from the one before; head {ledger.head}",
        f"ledger: lock {entry.place}; decision {last.place}; {attempt_words(entry)}",
    ]
    return Standing(tuple(checks), (*_times(ledger, entry), *_oddities(ledger, decisions)))


def attempt_words(entry: Entry) -> str:
    """Which attempt a lock or its decision is."""
    attempt, of = entry.body["attempt"], entry.body["attempts"]
    if attempt is None:
        return f"no attempt: {entry.body['run']}" if entry.kind == "lock" else "no attempt"
    return f"attempt {attempt} of {of}" + ("" if attempt <= of else ": the policy's attempts are spent")


def _times(ledger: Ledger, lock: Entry) -> Iterator[str]:
    """Who is said to vouch for the time of a lock: whatever from outside was made over an entry at or after it."""
    claims = [note for note in ledger.of("note") if note.index > lock.index and note.body["outside"] is not None]
    if not claims:
        yield AUTHOR
        return
    first = claims[0]
    outside = first.body["outside"]
    named = outside["id"] or outside["path"]
    yield (
        f"time: entries 1 to {first.index - 1} are claimed to be held outside by {outside['what']} {named} "
        f"({first.place}); whether they are is not checked here"
    )
    path = ledger.path.parent / outside["path"]
    if outside["path"] and outside["sha256"] and path.is_file() and sha256_file(path) != outside["sha256"]:
        raise EvidenceError(
            "a word from outside is another one than was entered",
            where=f"{ledger.path}, {first.place}",
            found=f"{outside['path']} has another digest",
        )


def _oddities(ledger: Ledger, decisions: list[Entry]) -> Iterator[str]:
    if ledger.torn_bytes:
        yield f"{ledger.path.name}: a last line was cut short ({ledger.torn_bytes} bytes) and never counted as entered"
    if len(decisions) > 1:
        yield f"ledger: this run was decided {len(decisions)} times; the last one stands"


def _short(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def commit_of(text: str) -> dict[str, JSON]:
    """A commit as an entry names it: its id, or the address of its page, which ends in the id.

    Raises:
        UsageError: it is no id of a commit: a reader could not look for it.
    """
    if not re.fullmatch(r"(https://\S{1,400}/)?([0-9a-f]{40}|[0-9a-f]{64})", text):
        raise UsageError(
            "this names no commit that a reader could look up",
            where="--commit",
            found=repr(text[:60]),
            do="give the whole id (`git rev-parse HEAD` prints it), or the https address of its page, which ends in it",
        )
    return {"what": "a commit", "id": text, "path": "", "sha256": None}


def outside_of(path: Path, what: str) -> dict[str, JSON]:
    """A file from outside, such as a signed timestamp, as an entry names it: by digest, and name beside the ledger."""
    return {"what": what, "id": "", "path": path.name, "sha256": sha256_file(path)}
