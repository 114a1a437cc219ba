"""What does a run come to? Every row judged again from the folder alone, one verdict, and the reasons for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import JSON, now
from greenlight.gate.evidence_rows import RunEvidence
from greenlight.gate.explanation import SENTENCES, conditions, explanation, statement_row
from greenlight.gate.lock import NEVER_GO, policy_of, read_lock
from greenlight.gate.policy import Policy, parse_policy
from greenlight.gate.words import WORDING

VERDICT_EXIT = {"go": 0, "go_with_conditions": 10, "hold": 20, "no_go": 30}
"""Exit status of `--check` for each verdict."""

_OPEN = ("INCONCLUSIVE", "INVALID", "NOT RUN")


def decide(folder: Path, *, policy_text: str | None = None, decided: str | None = None) -> dict[str, JSON]:
    """What decision.json holds: a pure function of the folder and of the time that is written into it.

    Nothing is graded again here: verification does that.

    Args:
        folder: a run folder.
        policy_text: another policy, shown beside the verdict and never instead of it.
        decided: UTC time of the decision, ISO 8601; now by default.

    Raises:
        LockError: the lock, the policy file or the judge's counts are not what was locked.
        EvidenceError: a file is missing or damaged, or belongs to another run.
    """
    time = decided or now()
    lock = _lock(folder)
    policy = policy_of(lock)
    try:
        evidence = RunEvidence(folder, lock)
        rows = _rows(evidence, policy, str(lock["model"]["name"]))
        other = None if policy_text is None else parse_policy(policy_text, "the other policy")
        other_rows = None if other is None else _rows(evidence, other, str(lock["model"]["name"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where=str(folder),
            found=repr(error)[:200],
            do="it was changed after it was written; restore it, or run again into a new folder",
        ) from error
    verdict = verdict_of(rows, kind=lock["kind"])
    decision = {
        "format": "greenlight.decision/1",
        "wording": WORDING,
        "lock": lock["id"],
        "policy": {"name": policy.name, "sha256": policy.sha256},
        "model": {"name": lock["model"]["name"], "digest": lock["model"]["digest"]},
        "kind": lock["kind"],
        "decided": time,
        "verdict": verdict,
        "sentence": SENTENCES[verdict],
        "alpha": policy.alpha,
        "attempts": policy.attempts,
        "rows": rows,
        "conditions": conditions(rows),
        "explanation": explanation(policy, rows, verdict=verdict, kind=lock["kind"], decided=time),
    }
    if other is not None and other_rows is not None:
        decision["other"] = _beside(other, other_rows, policy, kind=lock["kind"])
    return decision


def verdict_of(rows: Sequence[Mapping[str, JSON]], *, kind: str) -> str:
    """The verdict that rows come to.

    NO-GO where a must fails (known to be broken). Otherwise HOLD where a must is open or a disclosure is missing (not
    known yet), and for a run without a lock made beforehand. Otherwise GO WITH CONDITIONS where a should did not pass.
    """
    musts = [row["status"] for row in rows if row["level"] == "must"]
    if "FAIL" in musts:
        return "no_go"
    missing = any(row["level"] == "disclose" and row["status"] == "NOT RUN" for row in rows)
    if kind in NEVER_GO or missing or any(status != "PASS" for status in musts):
        return "hold"
    shoulds = [row["status"] for row in rows if row["level"] == "should"]
    return "go" if all(status == "PASS" for status in shoulds) else "go_with_conditions"


def _lock(folder: Path) -> dict[str, JSON]:
    lock = read_lock(folder / "lock.json")
    try:
        text = (folder / "policy.toml").read_bytes()
    except OSError as error:
        raise EvidenceError("an evidence file is missing", where=str(folder / "policy.toml")) from error
    if text != lock["policy"]["toml"].encode():
        raise LockError(
            "the policy in this folder is not the one that was locked",
            where=str(folder / "policy.toml"),
            do="restore it from lock.json (policy.toml there); another policy is shown with --policy",
        )
    return lock


def _rows(evidence: RunEvidence, policy: Policy, model: str) -> list[dict[str, JSON]]:
    """Every row of a policy in its order, then its statements."""
    rows = evidence.rows(policy)
    for row in rows:
        row["next"] = row["next"].replace("MODEL", model)
    return rows + [statement_row(statement) for statement in policy.statements]


def _beside(other: Policy, rows: Sequence[Mapping[str, JSON]], policy: Policy, *, kind: str) -> dict[str, JSON]:
    """Another policy's verdict on the same answers, marked as what it is."""
    locked = {criterion.name: criterion.limit for criterion in policy.criteria}
    verdict = verdict_of(rows, kind=kind)
    return {
        "note": "threshold changed after results: shown beside the verdict, never instead of it",
        "policy": {"name": other.name, "sha256": other.sha256},
        "verdict": verdict,
        "sentence": SENTENCES[verdict],
        "rows": [
            {
                **{key: row[key] for key in ("row", "level", "limit", "status", "reason")},
                "locked": locked.get(row["row"]),
            }
            for row in rows
        ],
    }
