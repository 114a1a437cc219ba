"""How does a run join everybody's? Every Eval Ever 0.3.0: one record of all rows, one line an answer of each row."""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from greenlight.evidence import JSON, canonical, sha256
from greenlight.measure.graders.choice import pick, readable
from greenlight.measure.metrics import Metric
from greenlight.release.explanation import metric_of_row, title
from greenlight.release.exports.source import File, NotApplicableError, Source, json_file, level, note
from greenlight.release.exports.team import Team
from greenlight.release.order import Row

SCHEMA = "0.3.0"

_PER_ANSWER = ("mean", "judged", "balance")
"""Kinds of metrics to which each answer adds a number of its own."""


class _Names(NamedTuple):
    """How the record calls what it is about."""

    evaluation: str
    model: str
    path: str
    """Of the record without its ending, below the data folder of the collection."""


def every_eval_ever(source: Source, team: Team) -> Iterator[File]:
    """data/COLLECTION/OWNER/MODEL/UUID.json with the rows, and UUID_samples.jsonl with the answers that they used.

    Harmful questions appear by the digest of their text, whether or not the folder holds it.

    Raises:
        NotApplicableError: the record must say whose model it is and who ran it, in which relation; the team did not.
    """
    needed = {
        "model_id": team.model_id,
        "evaluator": team.evaluator,
        "evaluator_relationship": team.evaluator_relationship,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise NotApplicableError(
            f"the record must say what only the team knows: {', '.join(missing)}", "give them in the team's answers"
        )
    names = _names(source, team)
    lines = [canonical(line) for row in source.measured() for line in _instances(source, row, names)]
    samples = b"".join(line + b"\n" for line in lines)
    record = {
        "schema_version": SCHEMA,
        "evaluation_id": names.evaluation,
        "evaluation_timestamp": source.decision["decided"],
        "retrieved_timestamp": _epoch(source.decision["decided"]),
        "source_metadata": {
            "source_name": f"greenlight, policy {source.decision['policy']['name']}",
            "source_type": "evaluation_run",
            "source_organization_name": team.evaluator,
            "evaluator_relationship": team.evaluator_relationship,
            "additional_details": _details(source),
        },
        "eval_library": _library(source),
        "model_info": {
            "name": str(source.decision["model"]["name"]),
            "id": team.model_id,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                "digest_sha256": str(source.decision["model"]["digest"]),
            },
            **({"developer": team.developer} if team.developer else {}),
        },
        "evaluation_results": [_result(source, team, row) for row in source.measured()],
    }
    if lines:
        record["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": f"{names.path}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": sha256(samples),
            "total_rows": len(lines),
        }
        yield File(f"every_eval_ever/{names.path}_samples.jsonl", samples)
    yield json_file(f"every_eval_ever/{names.path}.json", record)


def _names(source: Source, team: Team) -> _Names:
    collection = f"greenlight-{''.join(c if c.isalnum() else '-' for c in source.decision['policy']['name'])}"
    digest = source.manifest_sha256
    # The form of a random UUID (version 4), taken from a digest, so that the same folder gives the same record.
    name = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
    when = _epoch(source.decision["decided"])
    return _Names(f"{collection}/{team.model_id}/{when}", team.model_id, f"data/{collection}/{team.model_id}/{name}")


def _epoch(when: str) -> str:
    return str(calendar.timegm(time.strptime(when, "%Y-%m-%dT%H:%M:%SZ")))


def _details(source: Source) -> dict[str, str]:
    return {
        "verdict": source.decision["verdict"],
        "kind": source.decision["kind"],
        "lock_sha256": source.decision["lock"],
        "policy_sha256": source.decision["policy"]["sha256"],
        "manifest_sha256": source.manifest_sha256,
    }


def _library(source: Source) -> dict[str, JSON]:
    imported = source.lock["settings"].get("imported")
    if imported:
        return {"name": imported["tool"], "version": imported["version"] or "unknown"}
    run = source.contents.run
    return {"name": "greenlight", "version": "unknown" if run is None else str(run["engine"]["greenlight"])}


def _result(source: Source, team: Team, row: Row) -> dict[str, JSON]:
    metric = metric_of_row(row)
    assert metric is not None
    return {
        "evaluation_result_id": row["row"],
        "evaluation_name": row["assess"],
        "evaluation_timestamp": source.decision["decided"],
        "source_data": _source_data(source, team, row),
        "metric_config": {
            "evaluation_description": row["plain"],
            "metric_id": f"greenlight.{row['row']}",
            "metric_name": title(row),
            "lower_is_better": row["direction"] == "max",
            "score_type": "continuous",
            "min_score": metric.low,
            "max_score": "Infinity" if math.isinf(metric.high) else metric.high,
            "additional_details": {"note": note(row), "ungradable_counts_as": row["unscored"]},
        },
        "score_details": {
            "score": row["value"],
            "details": {"status": row["status"], "reason": row["reason"]},
            "uncertainty": _uncertainty(row),
        },
        "generation_config": {"generation_args": _generation(source)},
    }


def _source_data(source: Source, team: Team, row: Row) -> dict[str, JSON]:
    named = team.dataset(row["assess"])
    if named is not None:
        return {"dataset_name": row["assess"], "source_type": "hf_dataset", "hf_repo": named[0]}
    entry = source.entry(row)
    details = {} if entry is None else {key: str(entry[key]) for key in ("version", "n", "items_sha256")}
    return {"dataset_name": row["assess"], "source_type": "other", "additional_details": details}


def _uncertainty(row: Row) -> dict[str, JSON]:
    found: dict[str, JSON] = {"num_samples": row["n_used"]}
    sure = level(row)
    if sure is not None:
        found["confidence_interval"] = {
            "lower": row["lower"],
            "upper": row["upper"],
            "confidence_level": sure,
            "method": row["method"],
        }
    return found


def _generation(source: Source) -> dict[str, JSON]:
    sampling = source.lock["settings"].get("sampling") or {}
    return {key: sampling[key] for key in ("temperature", "top_p", "top_k") if sampling.get(key) is not None}


def _instances(source: Source, row: Row, names: _Names) -> Iterator[dict[str, JSON]]:
    """The answers that a row used: the first of the exam's order, as many as it counted.

    A row that compares two models has none: its numbers are differences, and one answer is half of one.
    """
    metric, entry = metric_of_row(row), source.entry(row)
    if metric is None or metric.kind not in _PER_ANSWER or entry is None or "compare" in row:
        return
    items, samples = source.contents.items[row["assess"]], source.contents.samples[row["assess"]]
    used = 0
    for item_id, item in items.items():
        stored = samples.get(item_id)
        if stored is None or used == row["n_used"]:
            return
        if metric.counts(item):
            used += 1
            yield _instance(row, entry, metric, item, stored.sample, names)


def _instance(
    row: Row,
    entry: Mapping[str, JSON],
    metric: Metric,
    item: Mapping[str, JSON],
    sample: Mapping[str, JSON],
    names: _Names,
) -> dict[str, JSON]:
    hidden = item["messages"] is None or item["harmful"]
    withheld = f"[withheld; sha256 of the prompt: {item['prompt_sha256']}]"
    raw = withheld if hidden else "\n".join(turn["content"] for turn in item["messages"])
    grade = sample["grade"]
    return {
        "schema_version": SCHEMA,
        "evaluation_id": names.evaluation,
        "model_id": names.model,
        "evaluation_name": row["assess"],
        "evaluation_result_id": row["row"],
        "sample_id": item["id"],
        "sample_hash": item["prompt_sha256"],
        "interaction_type": "single_turn",
        "input": {"raw": raw, "reference": _reference(item), "choices": None if hidden else list(item["choices"])},
        "output": {"raw": [_output(item, sample)]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": str(grade["parsed"]),
                "extraction_method": str(entry["grader"]),
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": metric.value({**item, **sample}), "is_correct": grade["score"] == 1},
        "metadata": {"label": grade["label"], "finish": sample["finish"], "group": item["cluster"]},
    }


def _reference(item: Mapping[str, JSON]) -> list[str]:
    key = item["key"]
    if isinstance(key.get("answers"), list):
        return [str(answer) for answer in key["answers"]]
    answer = key.get("answer")
    if isinstance(answer, int) and item["choices"]:
        return [item["choices"][answer]]
    return [] if answer is None else [str(answer)]


def _output(item: Mapping[str, JSON], sample: Mapping[str, JSON]) -> str:
    logprobs = sample["choice_logprobs"]
    if item["choices"] and readable(logprobs, len(item["choices"])):
        return str(item["choices"][pick(logprobs)])
    return str(sample["output"])
