"""What does a run come to? Every row judged again from the folder alone, one verdict, and the reasons for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import JSON, now, read_json, sha256_json
from greenlight.gate.checks import instrument_checks
from greenlight.gate.criteria import row_json, watch
from greenlight.gate.explanation import SENTENCES, conditions, explanation, statement_row
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.folder import SuiteEvidence, read_labels, read_optional, read_suite
from greenlight.gate.lock import NEVER_GO, policy_of, read_lock
from greenlight.gate.policy import Criterion, Policy, parse_policy
from greenlight.gate.resources import resource_row
from greenlight.gate.rules import Finding, Labels
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
        evidence = _Evidence(folder, lock)
        rows = evidence.rows(policy)
        other = None if policy_text is None else parse_policy(policy_text, "the other policy")
        other_rows = None if other is None else evidence.rows(other)
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


class _Evidence:
    """What a folder holds, read once."""

    def __init__(self, folder: Path, lock: Mapping[str, JSON]) -> None:
        self._model = str(lock["model"]["name"])
        self._calibrations = read_json(folder / "judge.json", "judge")["judges"]
        for name, digest in lock["calibrations"].items():
            if sha256_json(self._calibrations.get(name)) != digest:
                raise LockError("the judge's counts are not those that were locked", where=f"judge.json, {name}")
        self._suites: dict[str, SuiteEvidence] = {
            entry["suite"]: read_suite(folder, entry, lock["id"]) for entry in lock["suites"]
        }
        self._instrument = read_optional(folder / "instrument.json", "instrument")
        self._resources = read_optional(folder / "resources.json", "resources")
        self._labels: Mapping[str, Labels] = read_labels(
            folder / "labels.jsonl", lock["id"], {name: suite.outputs for name, suite in self._suites.items()}
        )

    def rows(self, policy: Policy) -> list[dict[str, JSON]]:
        """Every row of a policy in its order, then its statements."""
        by_name = {row["row"]: row for name in policy.assessments() for row in self._assessment(policy, name)}
        rows = [by_name[criterion.name] for criterion in policy.criteria]
        for row in rows:
            row["next"] = row["next"].replace("MODEL", self._model)
        return rows + [statement_row(statement) for statement in policy.statements]

    def _assessment(self, policy: Policy, name: str) -> list[dict[str, JSON]]:
        if name == "resources":
            return [resource_row(row, self._resources, policy.row_alpha) for row in policy.rows_of(name)]
        suite = self._suites.get(name)
        if suite is None:
            return [_not_run(criterion, policy.row_alpha) for criterion in policy.rows_of(name)]
        follower = watch(policy, name, suite.facts, self._calibrations)
        for sample in suite.prefix:
            if follower.certain:
                break  # what was finished beyond the deciding answer is kept, and not used
            follower.add(sample)
        finished = {row.name: suite.finished(row.metric) for row in policy.rows_of(name)}
        return follower.rows(
            labels=self._labels.get(name, {}),
            instrument=instrument_checks(self._instrument, name, suite.facts.kind),
            n_finished=finished,
        )


def _not_run(criterion: Criterion, alpha: float) -> dict[str, JSON]:
    """A row whose assessment is not part of this exam."""
    empty = SuiteFacts(name=criterion.assess, version=0, kind="generate", answer_tokens=0, items=())
    words = {
        "reason": "this assessment is not part of the exam that was locked",
        "change": "a new lock under a policy that names it",
        "next": "greenlight lock POLICY.toml MODEL --out LOCK",
    }
    finding = Finding(status="NOT RUN", value=None, bounds=None, method="none")
    counts = {"n_used": 0, "n_finished": 0, "n_planned": empty.n, "clusters": 0}
    return row_json(criterion, finding, status="NOT RUN", alpha=alpha, counts=counts, checks=[], words=words)


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
