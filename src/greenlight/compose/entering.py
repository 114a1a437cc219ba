"""How does what happens to a run get into the ledger? Locks when they are made, decisions when they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, now, read_json, sha256_file, write_atomic
from greenlight.gate.decision import OTHER
from greenlight.gate.lock import policy_of, read_lock
from greenlight.gate.policy import load_policy
from greenlight.release.ledger import Due, Entry, Ledger, Standing, appending, due, read_ledger, standing
from greenlight.release.ledger.entries import first_day, is_month, last_day
from greenlight.release.ledger.standing import decision_body, entered_lock, lock_body, waiver_bodies


def enter_lock(
    path: Path, model: str, make: Callable[[int, str], dict[str, JSON]], write: Callable[[dict[str, JSON]], None]
) -> dict[str, JSON]:
    """Make a lock as the next attempt of a ledger, and enter it before anyone can use it.

    Args:
        path: the ledger; begun where there is none.
        model: the release that it is about.
        make: from the attempt's number and the digest of the ledger's last entry to the lock.
        write: puts the lock where it belongs.

    Raises:
        EvidenceError: the ledger is damaged, or is of another model.
    """
    with appending(path, model) as book:
        lock = make(book.ledger.exams() + 1, book.ledger.head)
        # A lock that is entered and was not written is an attempt that nobody used; the other way round it is hidden.
        book.enter("lock", lock_body(lock))
        write(lock)
    return lock


def enter_decision(folder: Path | str, path: Path | str, *, release_of: str | None = None) -> Entry:
    """Enter a run's decision and its waivers; the same decision is entered once.

    Args:
        folder: a decided run.
        path: the ledger. The lock of an exam must be in it; that of any other run is entered with its decision.
        release_of: the release that the ledger is about, where the model of a run that is no exam has another name.

    Raises:
        EvidenceError: the run is not decided, its lock is not in the ledger, or the ledger is damaged.
    """
    folder, path = Path(folder), Path(path)
    lock, decision = read_lock(folder / "lock.json"), read_json(folder / "decision.json", "decision")
    exam = lock["kind"] == "exam"
    if exam and lock["attempt"] is None:
        raise EvidenceError(
            "this exam was locked outside a ledger: nobody counted which attempt it is",
            where=str(folder / "lock.json"),
            do="make the next lock with `greenlight lock … --ledger FILE`",
        )
    with appending(path, release_of if exam else release_of or str(lock["model"]["name"])) as book:
        if not exam and not book.ledger.of("lock", lock["id"]):
            book.enter("lock", lock_body(lock))
        entered_lock(book.ledger, lock)
        body = decision_body(decision, lock, sha256_file(folder / "decision.json"))
        earlier = book.ledger.of("decision", lock["id"])
        if earlier and earlier[-1].body == body:
            return earlier[-1]
        known = [entry.body for entry in book.ledger.of("waiver", lock["id"])]
        for waiver in waiver_bodies(decision):
            if waiver not in known:
                book.enter("waiver", waiver)
        return book.enter("decision", body)


def keep_other(folder: Path | str, policy: str | Path) -> None:
    """Keep another policy with a run, so that its decision and report show both outcomes from now on."""
    write_atomic(Path(folder) / OTHER, load_policy(policy).text.encode())


def stands(folder: Path, path: Path) -> Standing:
    """What a ledger says of a decided run.

    Raises:
        EvidenceError: its lock or its decision is not entered, or otherwise.
    """
    lock, decision = read_lock(folder / "lock.json"), read_json(folder / "decision.json", "decision")
    return standing(read_ledger(path), lock, decision, sha256_file(folder / "decision.json"))


def enter_delay(path: Path | str, body: Mapping[str, JSON], *, release_of: str | None = None) -> Entry:
    """Enter a release date that is planned, slips or is kept.

    Raises:
        EvidenceError: a field is written otherwise, or a date would slip to one that is no later.
    """
    with appending(Path(path), release_of) as book:
        _must_be_later(book.ledger, body)
        return book.enter("delay", body)


def _must_be_later(ledger: Ledger, body: Mapping[str, JSON]) -> None:
    """Refuse a slip to a date that is no later than the one before: a date that is brought forward is a new plan."""
    dated = [entry for entry in ledger.of("delay") if entry.body["date"] is not None]
    date = body.get("date")
    if body.get("event") != "slipped" or not dated or date is None or not is_month(date):
        return
    before = dated[-1].body["date"]
    if date == before or last_day(date) <= first_day(before):
        raise EvidenceError(
            "a date slips to a later one",
            where=f"{ledger.path}, --date",
            found=f"{date}; {before} was said before ({dated[-1].place})",
            do="look at the year; a date that is brought forward is a new plan: --event planned, without --category",
        )


def enter_note(path: Path | str, text: str, outside: Mapping[str, JSON] | None = None) -> Entry:
    """Enter a note; with a word from outside, one that is said to hold everything before it."""
    with appending(Path(path)) as book:
        return book.enter("note", {"text": text, "outside": None if outside is None else dict(outside)})


def enter_reopening(path: Path | str, because: str, lock: str | None = None) -> Entry:
    """Enter what makes a decision due again: of a lock by the beginning of its id, or the last one.

    Raises:
        EvidenceError: nothing was decided, or no decision is of such a lock.
    """
    with appending(Path(path)) as book:
        decided = [entry.body["lock"] for entry in book.ledger.of("decision")]
        found = [name for name in decided if lock is None or name.startswith(lock)]
        if not found:
            raise EvidenceError(
                "there is no such decision to reopen",
                where=str(path),
                found=f"decisions of {', '.join(sorted({name[:8] for name in decided})) or 'no lock'}",
                do="give the beginning of a lock's id that was decided",
            )
        return book.enter("reopening", {"lock": found[-1], "because": because})


def due_again(
    path: Path | str,
    *,
    run: Path | str | None = None,
    policy: Path | str | None = None,
    on: str | None = None,
) -> tuple[Ledger, list[Due]]:
    """What is due again on a day.

    Args:
        path: the ledger.
        run: the run of the last decision: its policy's dates are looked at, too.
        policy: the policy as it is kept today: what it asks otherwise than the run's is looked at, too.
        on: the day, YYYY-MM-DD; today by default.
    """
    ledger = read_ledger(Path(path))
    locked = None if run is None else policy_of(read_lock(Path(run) / "lock.json"))
    current = None if policy is None else load_policy(policy)
    return ledger, due(ledger, on or now()[:10], locked, current)
