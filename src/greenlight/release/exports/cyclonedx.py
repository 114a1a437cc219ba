"""How does the model stand in a bill of materials? CycloneDX 1.6 JSON: a machine-learning model with its model card."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from greenlight.evidence import JSON
from greenlight.measure.openness.framework import framework
from greenlight.release.explanation import title
from greenlight.release.exports.source import File, Source, json_file, note
from greenlight.release.exports.team import Team
from greenlight.release.order import Row

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:greenlight-llm:cyclonedx")


def cyclonedx(source: Source, team: Team) -> Iterator[File]:
    """bom.cdx.json: the model's files by digest, its metrics with intervals, its limits."""
    decision = source.decision
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # One serial number an evidence folder: the same folder gives the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, source.manifest_sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": decision["decided"],
            "tools": {"components": [{"type": "application", "name": "greenlight"}]},
            "component": _model(source, team),
        },
    }
    yield json_file("bom.cdx.json", bom)


def _model(source: Source, team: Team) -> dict[str, JSON]:
    model = source.decision["model"]
    component: dict[str, JSON] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": team.model_id or str(model["name"]),
        "modelCard": _card(source),
        "properties": [
            {"name": f"greenlight:{name}", "value": str(value)}
            for name, value in {
                "verdict": source.verdict,
                "kind": source.decision["kind"],
                "policy": source.decision["policy"]["sha256"],
                "lock": source.decision["lock"],
                "model": model["digest"],
                "manifest": source.manifest_sha256,
            }.items()
        ],
    }
    if team.version:
        component["version"] = team.version
    if team.developer:
        component["supplier"] = {"name": team.developer}
    if team.licence:
        component["licenses"] = [{"license": _licence(team)}]
    if team.download_url:
        component["externalReferences"] = [{"type": "distribution", "url": team.download_url}]
    if source.model_files:
        component["components"] = [
            {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
            for name, digest in source.model_files.items()
        ]
    return component


def _licence(team: Team) -> dict[str, str]:
    known = spdx_id(team.licence)
    licence = {"id": known} if known else {"name": team.licence}
    return {**licence, "url": team.licence_url} if team.licence_url else licence


def spdx_id(licence: str) -> str:
    """A licence's SPDX identifier in the list's own spelling; empty where the framework's tables do not hold it."""
    return framework().spelling.get(licence.lower(), "")


def _card(source: Source) -> dict[str, JSON]:
    model, decision = source.lock["model"], source.decision
    limits = [*decision["conditions"], *(_limitation(row) for row in decision["rows"] if row["status"] == "FAIL")]
    considerations = {
        "technicalLimitations": limits,
        "ethicalConsiderations": [{"name": f"{title(row)}: {row['reason']}"} for row in source.statements()],
    }
    card: dict[str, JSON] = {
        "modelParameters": {
            "task": "text-generation",
            "datasets": [_dataset(source, entry) for entry in source.lock["suites"]],
            "inputs": [{"format": "string"}],
            "outputs": [{"format": "string"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": [_metric(row) for row in source.measured()]},
        "considerations": {key: value for key, value in considerations.items() if value},
        # The standard has no place for n, method and limit of a metric; a number must not lose them.
        "properties": [{"name": f"greenlight:note:{row['row']}", "value": note(row)} for row in source.measured()],
    }
    if model.get("family"):
        card["modelParameters"]["architectureFamily"] = str(model["family"])
    return card


def _dataset(source: Source, entry: JSON) -> dict[str, JSON]:
    licence = source.contents.data.get(entry["suite"], {}).get("licence", "not stated")
    about = (
        f"items that the model was evaluated on, version {entry['version']}; n = {entry['n']:,}; licence {licence}; "
    )
    return {"type": "dataset", "name": entry["suite"], "description": f"{about}SHA-256 {entry['items_sha256']}"}


def _metric(row: Row) -> dict[str, JSON]:
    metric: dict[str, JSON] = {"type": row["row"], "value": repr(row["value"])}
    if row["lower"] is not None and row["upper"] is not None:
        metric["confidenceInterval"] = {"lowerBound": repr(row["lower"]), "upperBound": repr(row["upper"])}
    return metric


def _limitation(row: Row) -> str:
    return f"{title(row)}: {row['reason']}"
