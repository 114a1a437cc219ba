import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from greenlight.release.exports import export
from greenlight.release.exports.statements import schema
from tests.release.exports.conftest import FILES, TEAM, by_path, read


def with_rows(source, verdict: str, **statuses: str):
    """The same source with another verdict and other statuses by row."""
    rows = [
        {**row, "status": statuses.get(row["row"].partition(".")[0], row["status"])} for row in source.decision["rows"]
    ]
    decision = {**source.decision, "verdict": verdict, "rows": rows}
    return dataclasses.replace(source, contents=dataclasses.replace(source.contents, decision=decision))


@pytest.fixture(scope="module")
def validator():
    rules = json.loads(schema())
    jsonschema.Draft202012Validator.check_schema(rules)
    return jsonschema.Draft202012Validator(rules, format_checker=jsonschema.FormatChecker())


def test_the_statement_holds_to_the_schema_that_ships(exported, validator):
    validator.validate(read(exported, "statement.json"))


def test_the_schema_refuses_what_is_missing_or_unknown(exported, validator):
    whole = read(exported, "statement.json")
    for change in (
        {"subject": []},
        {"predicate": {**whole["predicate"], "verdict": "maybe"}},
        {"predicate": {key: value for key, value in whole["predicate"].items() if key != "criteria"}},
        {"predicate": {**whole["predicate"], "extra": 1}},
    ):
        assert not validator.is_valid({**whole, **change})


def test_the_subjects_are_the_models_files_by_digest(exported):
    for name in ("statement.json", "statement.test-result.json", "statement.svr.json"):
        subjects = read(exported, name)["subject"]
        assert {subject["name"]: subject["digest"]["sha256"] for subject in subjects} == FILES


def test_every_row_is_there_with_its_interval_and_the_judges_error(exported, source):
    criteria = {found["name"]: found for found in read(exported, "statement.json")["predicate"]["criteria"]}
    for row in source.decision["rows"]:
        if row["metric"] != "statement":
            found = criteria.pop(row["row"])
            assert [found[key] for key in ("value", "lower", "upper", "limit", "n")] == [
                row[key] for key in ("value", "lower", "upper", "limit", "n_used")
            ]
            assert ("judge" in found) == bool(row["judge"])
    assert not criteria


def test_pass_is_passed_open_is_warned_and_missing_evidence_is_failed(source):
    def tests(**statuses):
        made = by_path(export(with_rows(source, "hold", **statuses), TEAM).files)
        return read(made, "statement.test-result.json")["predicate"]

    found = tests(refuse="INVALID", over_refuse="NOT RUN", hierarchy="INCONCLUSIVE", calibrate="PASS")
    assert found["failedTests"] == ["refuse.non_refusal", "over_refuse.full_refusal"]
    assert found["warnedTests"] == ["hierarchy.pass"]
    assert found["passedTests"] == ["calibrate.brier"]
    assert found["result"] == "FAILED"
    assert tests(refuse="PASS", hierarchy="INCONCLUSIVE")["result"] == "WARNED"
    assert [file["name"] for file in found["configuration"]] == ["policy.toml", "lock.json"]


def test_the_whole_is_passed_for_a_go_alone(source):
    rows = {"refuse": "PASS", "over_refuse": "PASS", "hierarchy": "PASS", "calibrate": "PASS"}
    made = by_path(export(with_rows(source, "go", **rows), TEAM).files)
    assert read(made, "statement.test-result.json")["predicate"]["result"] == "PASSED"
    names = read(made, "statement.svr.json")["predicate"]["properties"]
    assert "GREENLIGHT_REHEARSAL_GO" in names


def test_properties_name_what_is_shown_and_of_which_kind_the_run_was(exported, source):
    predicate = read(exported, "statement.svr.json")["predicate"]
    assert predicate["properties"] == [
        "GREENLIGHT_REHEARSAL_PASS_OVER_REFUSE_FULL_REFUSAL",
        "GREENLIGHT_REHEARSAL_PASS_HIERARCHY_PASS",
    ]
    assert predicate["verifier"]["policies"][0]["digest"]["sha256"] == source.decision["policy"]["sha256"]
    made = export(with_rows(source, "no_go", over_refuse="FAIL", hierarchy="FAIL"), TEAM)
    assert [entry.form for entry in made.left_out] == ["in-toto verification result"]


def test_the_documentation_names_every_field_of_the_predicate():
    text = (Path(__file__).parents[3] / "docs" / "predicate.md").read_text()
    predicate = json.loads(schema())["properties"]["predicate"]["properties"]
    names = [*predicate, *predicate["criteria"]["items"]["properties"]]
    assert not [name for name in names if name not in text]
    assert all(status in text for status in predicate["criteria"]["items"]["properties"]["status"]["enum"])
