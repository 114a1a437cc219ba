"""What does a run come to? Every row judged again from the folder alone, one verdict, and the reasons for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import JSON, now
from greenlight.gate.evidence_rows import RunEvidence
from greenlight.gate.explanation import SENTENCES, conditions, explanation, statement_row
from greenlight.gate.lock import NEVER_GO, model_reference, policy_of, read_lock
from greenlight.gate.policy import Policy, parse_policy
from greenlight.gate.waivers import read_waivers, set_aside
from greenlight.gate.words import WORDING

VERDICT_EXIT = {"go": 0, "go_with_conditions": 10, "hold": 20, "no_go": 30}
"""Exit status of `--check` for each verdict."""

OTHER = "other-policy.toml"
"""Another policy that was held against the same answers after they were known: kept with them and shown beside."""


def decide(folder: Path, *, policy_text: str | None = None, decided: str | None = None) -> dict[str, JSON]:
    """What decision.json holds: a pure function of the folder and of the time that is written into it.

    Nothing is graded again here: verification does that.

    Args:
        folder: a run folder.
        policy_text: another policy, shown beside the verdict and never instead of it; where none is given, the one that
            is kept in the folder.
        decided: UTC time of the decision, ISO 8601; now by default.

    Raises:
        LockError: the lock, the policy file or the judge's counts are not what was locked.
        EvidenceError: a file is missing or damaged, or belongs to another run.
    """
    time = decided or now()
    if policy_text is None and (folder / OTHER).exists():
        policy_text = _text(folder / OTHER)
    lock = _lock(folder)
    policy = policy_of(lock)
    try:
        evidence = RunEvidence(folder, lock)
        rows, waivers = set_aside(
            _rows(evidence, policy, model_reference(lock)), read_waivers(folder, lock["id"], policy), time[:10]
        )
        attempt = _attempt(lock, policy)
        other = None if policy_text is None else parse_policy(policy_text, "the other policy")
        other_rows = None if other is None else _rows(evidence, other, model_reference(lock))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where=str(folder),
            found=repr(error)[:200],
            do="it was changed after it was written; restore it, or run again into a new folder",
        ) from error
    verdict = verdict_of(rows, kind=lock["kind"], spent=attempt is not None and attempt["spent"])
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
    if attempt is not None:
        decision["attempt"] = attempt
    if waivers:
        decision["waivers"] = waivers
    if other is not None and other_rows is not None:
        decision["other"] = _beside(
            other, other_rows, policy, kind=lock["kind"], spent=attempt is not None and attempt["spent"]
        )
    return decision


def verdict_of(rows: Sequence[Mapping[str, JSON]], *, kind: str, spent: bool = False) -> str:
    """The verdict that rows come to.

    NO-GO where a must fails (known to be broken). Otherwise HOLD where a must is open or a disclosure is missing (not
    known yet), for a run without a lock made beforehand, and for one more attempt than the policy allows. Otherwise GO
    WITH CONDITIONS where a should did not pass or a row is set aside.
    """
    musts = [row["status"] for row in rows if row["level"] == "must"]
    if "FAIL" in musts:
        return "no_go"
    missing = any(row["level"] == "disclose" and row["status"] == "NOT RUN" for row in rows)
    if kind in NEVER_GO or spent or missing or any(status not in ("PASS", "WAIVED") for status in musts):
        return "hold"
    shoulds = [row["status"] for row in rows if row["level"] == "should"]
    kept = all(status == "PASS" for status in musts + shoulds) and all(row["status"] != "WAIVED" for row in rows)
    return "go" if kept else "go_with_conditions"


def _attempt(lock: Mapping[str, JSON], policy: Policy) -> dict[str, JSON] | None:
    """Which attempt a ledger counted when the lock was made; None where no ledger did."""
    number = lock["attempt"]
    if number is None:
        return None
    spent = number > policy.attempts
    text = f"attempt {number} of {policy.attempts}"
    if spent:
        text += ": the policy's attempts are spent, and with them its allowance for a wrong GO, so this can be no GO"
    return {"number": number, "of": policy.attempts, "spent": spent, "text": text}


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError("an evidence file cannot be read", where=str(path), found=str(error)) from error


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


def _beside(
    other: Policy, rows: Sequence[Mapping[str, JSON]], policy: Policy, *, kind: str, spent: bool
) -> dict[str, JSON]:
    """Another policy's verdict on the same answers, marked as what it is."""
    locked = {criterion.name: criterion.limit for criterion in policy.criteria}
    verdict = verdict_of(rows, kind=kind, spent=spent)
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
