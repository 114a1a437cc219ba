"""How does the model stand in a system's package data? SPDX 3.0.1 JSON-LD with the AI profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from greenlight.evidence import JSON
from greenlight.release.explanation import limit_words, title
from greenlight.release.exports.cyclonedx import spdx_id
from greenlight.release.exports.source import File, NotApplicableError, Source, json_file, note
from greenlight.release.exports.team import Team

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
VERSION = "3.0.1"
_CREATION = "_:creation"


def spdx(source: Source, team: Team) -> Iterator[File]:
    """model.spdx.json: the model as an AI package, its files by digest, metrics, thresholds and limits.

    Raises:
        NotApplicableError: the profile needs what only the team knows: supplier, version, day of release, address.
    """
    needed = {
        "developer": team.developer,
        "version": team.version,
        "released": team.released,
        "download_url": team.download_url,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise NotApplicableError(
            f"the AI profile needs what only the team knows: {', '.join(missing)}", "give them in the team's answers"
        )
    graph = _Graph(source)
    creator = graph.add("SoftwareAgent", "greenlight", name="greenlight")
    supplier = graph.add("Agent", "supplier", name=team.developer)
    package = graph.add("ai_AIPackage", "model", **_package(source, team, supplier))
    files = [graph.add("software_File", f"file/{name}", **_file(name, digest)) for name, digest in _files(source)]
    if files:
        graph.relate("contains", package, files)
    profiles = ["core", "software", "ai"]
    if team.licence:
        expression = spdx_id(team.licence) or f"LicenseRef-{''.join(c if c.isalnum() else '-' for c in team.licence)}"
        licence = graph.add(
            "simplelicensing_LicenseExpression", "licence", simplelicensing_licenseExpression=expression
        )
        graph.relate("hasDeclaredLicense", package, [licence])
        profiles.append("simpleLicensing")
    document = {"rootElement": [package], "element": graph.ids, "profileConformance": profiles}
    graph.add("SpdxDocument", "document", **document)
    creation = {
        "@id": _CREATION,
        "type": "CreationInfo",
        "specVersion": VERSION,
        "created": source.decision["decided"],
        "createdBy": [creator],
    }
    yield json_file("model.spdx.json", {"@context": CONTEXT, "@graph": [creation, *graph.elements]})


class _Graph:
    """Elements with identifiers that follow from the evidence folder, in the order in which they were added."""

    def __init__(self, source: Source) -> None:
        self._prefix = f"urn:greenlight-llm:spdx:{source.manifest_sha256}:"
        self.elements: list[dict[str, JSON]] = []

    @property
    def ids(self) -> list[str]:
        return [element["spdxId"] for element in self.elements]

    def add(self, kind: str, place: str, **properties: JSON) -> str:
        spdx_id = self._prefix + place.replace(" ", "%20")
        self.elements.append({"type": kind, "spdxId": spdx_id, "creationInfo": _CREATION, **properties})
        return spdx_id

    def relate(self, kind: str, start: str, ends: list[str]) -> None:
        self.add("Relationship", f"relationship/{kind}", **{"from": start}, to=ends, relationshipType=kind)


def _package(source: Source, team: Team, supplier: str) -> dict[str, JSON]:
    decision = source.decision
    limits = [row for row in decision["rows"] if row["limit"] is not None]
    broken = [f"{title(row)}: {row['reason']}" for row in decision["rows"] if row["status"] == "FAIL"]
    unmeasured = [f"{title(row)}: {row['reason']}" for row in source.statements()]
    package: dict[str, JSON] = {
        "name": team.model_id or str(decision["model"]["name"]),
        "suppliedBy": supplier,
        "releaseTime": f"{team.released}T00:00:00Z",
        "software_packageVersion": team.version,
        "software_downloadLocation": team.download_url,
        "software_primaryPurpose": "model",
        "ai_metric": [_entry(row["row"], f"{row['value']!r}; {note(row)}") for row in source.measured()],
        "ai_metricDecisionThreshold": [_entry(row["row"], limit_words(row)) for row in limits],
        "ai_limitation": "; ".join([f"verdict {source.verdict}", *decision["conditions"], *broken, *unmeasured]),
    }
    if source.lock["model"].get("family"):
        package["ai_typeOfModel"] = [str(source.lock["model"]["family"])]
    for field, key in (
        ("ai_informationAboutTraining", "training_design"),
        ("ai_informationAboutApplication", "intended_uses"),
    ):
        if team.answers.get(key):
            package[field] = team.answers[key]
    return {key: value for key, value in package.items() if value}


def _entry(key: str, value: str) -> dict[str, JSON]:
    return {"type": "DictionaryEntry", "key": key, "value": value}


def _files(source: Source) -> Iterator[tuple[str, str]]:
    yield from source.model_files.items()


def _file(name: str, digest: str) -> Mapping[str, JSON]:
    return {
        "name": name,
        "software_primaryPurpose": "model",
        "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": digest}],
    }
