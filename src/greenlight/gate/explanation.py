"""What is the public told? What holds the release, by how much, what would settle it, what is fine, what comes next."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from greenlight.evidence import JSON
from greenlight.gate.criteria import rounded
from greenlight.gate.policy import Policy, Statement

SENTENCES = {
    "go": "every limit is shown to be kept",
    "go_with_conditions": "every limit that a release needs is shown to be kept; the conditions below go with it",
    "hold": "not known yet: some limits are neither shown to be kept nor known to be broken (NO-GO would mean: known)",
    "no_go": "some limits are known to be broken (HOLD would mean: not known yet)",
}

_KINDS = {
    "rehearsal": "a rehearsal: it repeats exactly, so it spends no attempt and proves nothing about chance",
    "exam": "an exam: its questions were drawn with a nonce, and it is one attempt",
    "exploratory": "exploratory: without a lock made beforehand it can never be a GO",
    "imported": "imported: another tool's answers, which were there before any lock, so it can never be a GO",
}


def conditions(rows: Sequence[Mapping[str, JSON]]) -> list[str]:
    """What a release has to say for each should that did not pass, and for each row that is set aside."""
    shoulds = [
        f"{row['condition']} ({'known not to hold' if _judged(row) == 'FAIL' else 'not shown'})"
        for row in rows
        if row["level"] == "should" and row["status"] != "PASS"
    ]
    waived = [
        f"{row['row']} is {_judged(row)} and set aside by {row['waived']['who']} until {row['waived']['until']}: "
        f"{row['waived']['why']}"
        for row in rows
        if row["status"] == "WAIVED"
    ]
    return shoulds + waived


def _judged(row: Mapping[str, JSON]) -> str:
    """What a row came to, whoever set it aside."""
    return str(row["waived"]["was"] if row["status"] == "WAIVED" else row["status"])


def explanation(
    policy: Policy, rows: Sequence[Mapping[str, JSON]], *, verdict: str, kind: str, decided: str
) -> dict[str, JSON]:
    """The page that a delayed release owes its readers, as facts; rows by name."""
    gating = [row for row in rows if row["limit"] is not None]
    missing = [row for row in rows if row["limit"] is None and row["status"] == "NOT RUN"]
    holds = [row for row in gating if row["status"] == "FAIL"]
    still_open = [row for row in gating if row["status"] not in ("PASS", "FAIL", "WAIVED")] + missing
    review = datetime.date.fromisoformat(decided[:10]) + datetime.timedelta(days=policy.review_days)
    return {
        "kind": _KINDS[kind],
        "holds": [row["row"] for row in holds],
        "open": [row["row"] for row in still_open],
        "fine": [row["row"] for row in gating if row["status"] == "PASS"],
        "gaps": [_gap(row) for row in holds],
        "settle": [{"row": row["row"], "text": row["change"], "next": row["next"]} for row in [*holds, *still_open]],
        "not_assessed": [f"{statement.assess}: {statement.text}" for statement in policy.statements],
        "next_review": None if verdict == "go" else review.isoformat(),
        "missed": (
            ""
            if verdict == "go"
            else f"If nothing is published by {review.isoformat()}, the verdict stands and the review counts as missed."
        ),
    }


def _gap(row: Mapping[str, JSON]) -> dict[str, JSON]:
    """How far a limit is missed: at least, from the limit to the near end of the interval, and as estimated."""
    limit, lower, upper = row["limit"], row["lower"], row["upper"]
    either_way = lower < limit if row["direction"] == "max" else False  # a balance that leans the other way
    near = -upper if either_way else (lower if row["direction"] == "max" else upper)
    gap = {
        "row": row["row"],
        "limit": limit,
        "at_least": abs(near - limit),
        "estimate": abs(abs(row["value"]) - limit if either_way else row["value"] - limit),
    }
    shortened: dict[str, JSON] = rounded(gap)
    return shortened


def statement_row(statement: Statement) -> dict[str, JSON]:
    """The row of a risk that is named and not measured."""
    return {
        "row": statement.assess,
        "assess": statement.assess,
        "metric": "statement",
        "plain": "not measured",
        "unscored": "",
        "level": "disclose",
        "direction": "max",
        "limit": None,
        "status": "DISCLOSED",
        "value": None,
        "lower": None,
        "upper": None,
        "alpha": None,
        "method": "a statement, nothing was measured",
        "n_used": 0,
        "n_finished": 0,
        "n_planned": 0,
        "clusters": 0,
        "judge": None,
        "labels": None,
        "checks": [],
        "reason": statement.text,
        "change": "",
        "next": "",
        "why": statement.why,
        "source": statement.source,
        "condition": None,
        "topics": [],
        "details": {},
        "samples": [],
    }
