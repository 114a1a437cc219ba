"""What was planned, and how often and how long has it slipped? A release's dates as its ledger holds them."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from greenlight.evidence import is_date
from greenlight.release.ledger import Entry, Ledger


class Said(NamedTuple):
    """One announcement."""

    on: str
    what: str
    when: str
    category: str
    reason: str
    source: str


class Dates(NamedTuple):
    """The dates of a release."""

    said: tuple[Said, ...]
    slips: int
    planned: str
    """The date that holds now, in words; empty where none was entered."""

    length: str
    """How long it has slipped, in words."""

    waiting: bool
    """Whether a date slipped and nothing was released since."""

    category: str
    """What the last slip was said to be for; empty where there was none."""


def dates_of(ledger: Ledger) -> Dates:
    """The announcements in the ledger's order, and what they come to."""
    entries = ledger.of("delay")
    slips = [entry for entry in entries if entry.body["event"] == "slipped"]
    last = entries[-1].body["event"] if entries else ""
    return Dates(
        said=tuple(_said(entry) for entry in entries),
        slips=len(slips),
        planned=_when(entries[-1]) if entries else "",
        length=_length(entries, slips),
        waiting=last == "slipped",
        category=str(slips[-1].body["category"]) if slips else "",
    )


def _said(entry: Entry) -> Said:
    body = entry.body
    return Said(body["on"], body["event"], _when(entry), body["category"] or "", body["reason"], body["source"])


def _when(entry: Entry) -> str:
    words, date = entry.body["words"], entry.body["date"]
    return f"{words} ({date})" if words and date else words or date or "no date"


def _length(entries: list[Entry], slips: list[Entry]) -> str:
    """From the first date that was planned to the last one; where that is no pair of days, what can be counted."""
    if not slips:
        return "it has not slipped"
    first, last = entries[0].body["date"], entries[-1].body["date"]
    if is_date(first) and is_date(last):
        return f"{_days(first, last)} days, from {first} to {last}"
    said = slips[-1].body["on"]
    if entries[-1].body["event"] == "released" and is_date(said):
        counted = f"{_days(said, last)} days from the last slip, said on {said}, to the release on {last}"
        return f"{counted}; the first plan named no day, so the whole cannot be counted"
    return "it cannot be counted: " + ("no new date was set" if last is None else "a plan named no day")


def _days(first: str, last: str) -> int:
    return (datetime.date.fromisoformat(last) - datetime.date.fromisoformat(first)).days
