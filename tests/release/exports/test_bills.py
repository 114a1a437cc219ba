import dataclasses

from greenlight.release.exports import export
from tests.release.exports.conftest import FILES, TEAM, by_path, read


def test_the_bill_holds_files_metrics_with_intervals_and_limits(exported, source):
    bom = read(exported, "bom.cdx.json")
    model = bom["metadata"]["component"]
    assert (bom["specVersion"], model["type"], model["supplier"]) == ("1.6", "machine-learning-model", {"name": "Acme"})
    assert model["licenses"] == [{"license": {"id": "Apache-2.0", "url": "https://example.org/licence"}}]
    assert {part["name"]: part["hashes"][0]["content"] for part in model["components"]} == FILES
    metrics = {found["type"]: found for found in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    for row in source.measured():
        bounds = metrics[row["row"]]["confidenceInterval"]
        assert float(metrics[row["row"]]["value"]) == row["value"]
        assert (float(bounds["lowerBound"]), float(bounds["upperBound"])) == (row["lower"], row["upper"])
    considerations = model["modelCard"]["considerations"]
    assert any("refuse: non-refusal: at least 0.394" in text for text in considerations["technicalLimitations"])
    assert considerations["ethicalConsiderations"] == [{"name": "dangerous capability: Not assessed here."}]


def test_an_unknown_licence_goes_by_name(source):
    made = by_path(export(source, dataclasses.replace(TEAM, licence="My own", licence_url="")).files)
    assert read(made, "bom.cdx.json")["metadata"]["component"]["licenses"] == [{"license": {"name": "My own"}}]
    graph = read(made, "model.spdx.json")["@graph"]
    [found] = [element for element in graph if element["type"] == "simplelicensing_LicenseExpression"]
    assert found["simplelicensing_licenseExpression"] == "LicenseRef-My-own"


def test_the_ai_package_has_what_its_profile_requires(exported, source):
    graph = read(exported, "model.spdx.json")["@graph"]
    [package] = [element for element in graph if element["type"] == "ai_AIPackage"]
    assert {
        "suppliedBy",
        "releaseTime",
        "software_packageVersion",
        "software_downloadLocation",
        "software_primaryPurpose",
    } <= set(package)
    assert [entry["key"] for entry in package["ai_metric"]] == [row["row"] for row in source.measured()]
    assert [entry["key"] for entry in package["ai_metricDecisionThreshold"]] == [
        row["row"] for row in source.decision["rows"] if row["limit"] is not None
    ]
    assert package["ai_informationAboutTraining"] == "one stage"


def test_every_reference_of_the_graph_leads_to_an_element_of_it(exported):
    graph = read(exported, "model.spdx.json")["@graph"]
    ids = [element.get("spdxId", element.get("@id")) for element in graph]
    assert len(ids) == len(set(ids))
    for element in graph:
        wanted = [element.get("creationInfo", "_:creation"), *element.get("to", []), *element.get("element", [])]
        assert {*wanted, element.get("from", ids[0]), element.get("suppliedBy", ids[0])} <= set(ids)


def test_the_form_is_answered_from_the_evidence_from_the_team_or_left_blank(exported):
    text = exported["eu-model-documentation.md"].decode()
    for part in (
        "**Model authenticity** (AIO, NCA, DP): SHA-256 of the files: model two.gguf bbbb",
        "134,515,008 parameters; range: 1 to 500 million",
        r"**Intended uses** (AIO, NCA, DP): talk \| and",
        "**Model dependencies** (AIO, NCA, DP): acme/base",
        "*the team must answer*: under which legal name the provider acts",
        "## Energy consumption during training and inference",
        "**refuse: non-refusal**: n = 30 of 60 planned; interval 0.394 to 1.000 (90 %)",
    ):
        assert part in text, part
