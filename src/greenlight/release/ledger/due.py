"""What is due again? Missed reviews and dates, waivers that ran out, events that were entered, a policy's dates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from greenlight.gate.policy import Policy
from greenlight.release.ledger.chain import Entry, Ledger
from greenlight.release.ledger.entries import last_day


class Due(NamedTuple):
    """One reason to decide again."""

    lock: str
    """Which decision, by its lock; of a date, the last lock; empty where there is none."""

    since: str
    """Since which day."""

    why: str


def due(ledger: Ledger, on: str, policy: Policy | None = None, current: Policy | None = None) -> list[Due]:
    """Why decisions are due again on a day.

    Only the last decision of the ledger can miss its review: an earlier one was followed by another look.

    Args:
        ledger: what was decided.
        on: the day, YYYY-MM-DD.
        policy: the one of the last decision, whose dates are looked at, too.
        current: the policy as it is kept today; a reference that it replaces, or an assessment that it adds, reopens.
    """
    decisions = ledger.of("decision")
    last = {entry.body["lock"]: entry for entry in decisions}
    found = [reason for entry in last.values() for reason in _of_decision(ledger, entry, on)]
    if decisions:
        found += _of_last(ledger, decisions[-1], on, policy)
        if policy is not None and current is not None:
            found += [Due(decisions[-1].body["lock"], on, why) for why in _replaced(policy, current)]
    found += _passed(ledger, on)
    return sorted(found, key=lambda reason: (reason.since, reason.why))


def _passed(ledger: Ledger, on: str) -> Iterator[Due]:
    """A release date that went by, and nothing was said since: neither that it is kept nor that it slips."""
    dates = ledger.of("delay")
    if not dates or dates[-1].body["event"] == "released" or dates[-1].body["date"] is None:
        return
    day = last_day(dates[-1].body["date"])
    if day < on:
        locks = ledger.of("lock")
        lock = str(locks[-1].body["lock"]) if locks else ""
        yield Due(lock, day, f"its date has passed: {dates[-1].body['date']}, neither kept nor moved since")


def _of_decision(ledger: Ledger, decision: Entry, on: str) -> Iterator[Due]:
    """Waivers that it used and that ran out; events that were entered after it."""
    lock = decision.body["lock"]
    for row in decision.body["waived"]:
        ends = [waiver.body["until"] for waiver in ledger.of("waiver", lock) if waiver.body["row"] == row]
        if ends and max(ends) < on:
            yield Due(lock, max(ends), f"the waiver of {row} ended")
    for event in ledger.of("reopening", lock):
        if event.index > decision.index:
            yield Due(lock, event.time[:10], f"reopened: {event.body['because']}")


def _of_last(ledger: Ledger, decision: Entry, on: str, policy: Policy | None) -> Iterator[Due]:
    lock, review = decision.body["lock"], decision.body["next_review"]
    if review is not None and review < on:
        yield Due(lock, review, "its review was missed: nothing was decided since")
    for entry in ledger.of("lock"):
        if entry.index > decision.index and entry.body["policy"] != decision.body["policy"]:
            yield Due(lock, entry.time[:10], f"the policy was replaced: {entry.body['policy']['name']}")
    for reopen in policy.reopen if policy else ():
        if reopen.on is not None and decision.body["decided"][:10] < reopen.on <= on:
            yield Due(lock, reopen.on, f"the policy reopens it: {reopen.when}")


def _replaced(policy: Policy, current: Policy) -> Iterator[str]:
    """What a newer policy asks otherwise of other models, or asks anew."""
    now = {reference.name: (reference.model, reference.sha256) for reference in current.references}
    for reference in policy.references:
        if now.get(reference.name) != (reference.model, reference.sha256):
            instead = now.get(reference.name, ("none", None))[0]
            yield f"the reference {reference.name} is replaced: {reference.model}, now {instead}"
    for name in current.assessments():
        if name not in policy.assessments():
            yield f"a new assessment is asked for: {name}"


def events(policy: Policy) -> list[str]:
    """What the policy says reopens a decision and has no date: somebody has to enter it when it happens."""
    return [reopen.when for reopen in policy.reopen if reopen.on is None]
