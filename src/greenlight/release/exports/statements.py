"""What is said of which files? in-toto statements: our model evaluation, a test result, a simple verification result.

Statement v1 (in-toto Attestation Framework); predicates model-evaluation v1 (docs/predicate.md), test-result v0.1 and
svr v0.2. They are not signed here: an envelope is the signer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from greenlight.evidence import JSON
from greenlight.release.exports.source import File, NotApplicableError, Source, json_file, level
from greenlight.release.exports.team import Team
from greenlight.release.order import Row

STATEMENT = "https://in-toto.io/Statement/v1"
MODEL_EVALUATION = "urn:greenlight-llm:predicate:model-evaluation:v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_RESULT = "https://in-toto.io/attestation/svr/v0.2"
VERIFIER = "urn:greenlight-llm:verifier:v1"
"""Raised when the same evidence would come to another verdict."""

_NUMBERS = ("value", "lower", "upper", "limit")


def schema() -> str:
    """The JSON Schema of our predicate, as it ships with the package."""
    return files("greenlight.release.exports").joinpath("model-evaluation.schema.json").read_text("utf-8")


def model_evaluation(source: Source, team: Team) -> Iterator[File]:
    """statement.json: verdict, policy, lock and every row with its interval, about the model's files.

    Raises:
        NotApplicableError: no digest of a file of the model is known.
    """
    decision, lock = source.decision, source.lock
    predicate = {
        "tool": {"name": "greenlight", "version": _version(source)},
        "decided": decision["decided"],
        "verdict": decision["verdict"],
        "sentence": decision["sentence"],
        "kind": decision["kind"],
        "policy": {"name": decision["policy"]["name"], "digest": {"sha256": decision["policy"]["sha256"]}},
        "lock": {"digest": {"sha256": decision["lock"]}, "created": lock["created"], "time": lock["time"]},
        "evidence": {"name": "manifest.json", "digest": {"sha256": source.manifest_sha256}},
        "template": {"digest": {"sha256": lock["template"]["sha256"]}},
        "settings": dict(lock["settings"]),
        "criteria": [_criterion(source, row) for row in decision["rows"] if row["metric"] != "statement"],
        "conditions": list(decision["conditions"]),
        "notAssessed": [{"name": row["row"], "statement": row["reason"]} for row in source.statements()],
    }
    if team.evaluator:
        predicate["evaluator"] = {"name": team.evaluator}
    yield _statement(source, "statement.json", MODEL_EVALUATION, predicate)


_NOT_FAILED = ("PASS", "INCONCLUSIVE", "WAIVED")


def test_result(source: Source, team: Team) -> Iterator[File]:
    """statement.test-result.json: rows with a limit as tests.

    PASS is passed, INCONCLUSIVE and WAIVED are warned, and FAIL, INVALID and NOT RUN failed: missing evidence never
    passes. The whole is FAILED where a must is among the failed, PASSED where the verdict is GO, and WARNED otherwise.
    """
    rows = [row for row in source.decision["rows"] if row["limit"] is not None]
    names = {
        "passedTests": [row["row"] for row in rows if row["status"] == "PASS"],
        "warnedTests": [row["row"] for row in rows if row["status"] in ("INCONCLUSIVE", "WAIVED")],
        "failedTests": [row["row"] for row in rows if row["status"] not in _NOT_FAILED],
    }
    broken = any(row["level"] == "must" and row["row"] in names["failedTests"] for row in rows)
    passed = source.decision["verdict"] == "go"
    result = "FAILED" if broken else "PASSED" if passed else "WARNED"
    predicate = {"result": result, "configuration": _configuration(source), **names}
    yield _statement(source, "statement.test-result.json", TEST_RESULT, predicate)


def verification_result(source: Source, team: Team) -> Iterator[File]:
    """statement.svr.json: what is shown to hold, as names; what is not named is not shown, which is not "broken".

    Raises:
        NotApplicableError: no limit is shown to be kept, or no digest of a file of the model is known.
    """
    decision = source.decision
    scope = f"GREENLIGHT_{decision['kind'].upper()}_"
    kept = [row["row"] for row in decision["rows"] if row["status"] == "PASS"]
    properties = [f"{scope}PASS_{_upper(name)}" for name in kept]
    if decision["verdict"] in ("go", "go_with_conditions"):
        properties.append(f"{scope}{_upper(decision['verdict'])}")
    if not properties:
        raise NotApplicableError("no limit is shown to be kept, so there is no property to state")
    verifier = {"id": VERIFIER, "policies": _configuration(source)[:1]}
    predicate = {"verifier": verifier, "timeCreated": decision["decided"], "properties": properties}
    yield _statement(source, "statement.svr.json", VERIFICATION_RESULT, predicate)


def _statement(source: Source, path: str, kind: str, predicate: Mapping[str, JSON]) -> File:
    subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in source.model_files.items()]
    if not subjects:
        raise NotApplicableError(
            "the digests of the model's files are not known, and a statement must name what it is about",
            "assess the model's own files",
        )
    return json_file(path, {"_type": STATEMENT, "subject": subjects, "predicateType": kind, "predicate": predicate})


def _criterion(source: Source, row: Row) -> dict[str, JSON]:
    entry = source.entry(row)
    criterion = {
        "name": row["row"],
        "assessment": row["assess"],
        "metric": row["metric"],
        "about": row["plain"],
        "level": row["level"],
        "status": row["status"],
        "reason": row["reason"],
        "direction": row["direction"],
        **{key: row[key] for key in _NUMBERS},
        "confidence": level(row),
        "method": row["method"],
        "n": row["n_used"],
        "nPlanned": row["n_planned"],
        "groups": row["clusters"],
        "ungradable": row["unscored"],
    }
    if entry is not None:
        criterion["items"] = {
            "name": entry["suite"],
            "version": entry["version"],
            "n": entry["n"],
            "digest": {"sha256": entry["items_sha256"]},
        }
    if row["judge"]:
        criterion["judge"] = {
            "name": row["judge"]["name"],
            "sensitivity": row["judge"]["se"],
            "specificity": row["judge"]["sp"],
            "advisory": row["judge"]["advisory"],
        }
    return criterion


def _configuration(source: Source) -> list[dict[str, JSON]]:
    """The policy, then the lock, as resources with digests."""
    digests = {file.name: file.sha256 for file in source.contents.files}
    return [{"name": name, "digest": {"sha256": digests[name]}} for name in ("policy.toml", "lock.json")]


def _version(source: Source) -> str:
    run = source.contents.run
    return "unknown" if run is None else str(run["engine"].get("greenlight", "unknown"))


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", name.upper())
