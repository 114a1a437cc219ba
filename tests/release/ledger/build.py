"""Ledgers for tests: bodies of every kind, and a small one that holds them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from greenlight.release.ledger import Ledger, appending, read_ledger

LOCK, OTHER_LOCK = "a" * 64, "b" * 64
POLICY = {"name": "team", "sha256": "c" * 64}


def lock_body(lock: str = LOCK, attempt: int | None = 1, **changes: Any) -> dict[str, Any]:
    """A lock that is entered; an exam where it has an attempt."""
    return {
        "lock": lock,
        "created": "2026-01-05T10:00:00Z",
        "run": "rehearsal" if attempt is None else "exam",
        "policy": POLICY,
        "model": {"name": "tiny", "digest": "d" * 64},
        "attempt": attempt,
        "attempts": 3,
        **changes,
    }


def decision_body(lock: str = LOCK, attempt: int | None = 1, **changes: Any) -> dict[str, Any]:
    """A decision of it."""
    return {
        "lock": lock,
        "decided": "2026-01-05T12:00:00Z",
        "verdict": "hold",
        "policy": POLICY,
        "attempt": attempt,
        "attempts": 3,
        "decision_sha256": "e" * 64,
        "waived": [],
        "other": None,
        "next_review": "2026-01-19",
        **changes,
    }


def delay_body(event: str = "slipped", **changes: Any) -> dict[str, Any]:
    """A date that slips."""
    category = "safety & alignment" if event == "slipped" else None
    return {
        "event": event,
        "on": "2026-01-06",
        "date": "2026-02-01",
        "words": "",
        "category": category,
        "reason": "",
        "source": "",
        **changes,
    }


def build(path: Path) -> Ledger:
    """A ledger with an entry of every kind."""
    with appending(path, "tiny") as ledger:
        ledger.enter("delay", delay_body("planned", date=None, words="early summer"))
        ledger.enter("lock", lock_body())
        ledger.enter("decision", decision_body())
        ledger.enter("delay", delay_body())
        ledger.enter(
            "waiver", {"lock": LOCK, "row": "refuse.non_refusal", "who": "Ada", "why": "known", "until": "2026-02-01"}
        )
        ledger.enter("reopening", {"lock": LOCK, "because": "a reference was replaced"})
        ledger.enter("note", {"text": "seen by two people", "outside": None})
    return read_ledger(path)
