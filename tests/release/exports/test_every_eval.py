import json
from collections import Counter

import pytest

from greenlight.assess.imports import Wanted
from greenlight.assess.imports.every_eval import read_every_eval
from tests.release.exports.conftest import read


@pytest.fixture(scope="module")
def record(exported):
    [path] = [path for path in exported if path.startswith("every_eval_ever/") and path.endswith(".json")]
    return json.loads(exported[path])


@pytest.fixture(scope="module")
def lines(exported):
    [data] = [data for path, data in exported.items() if path.endswith("_samples.jsonl")]
    return [json.loads(line) for line in data.splitlines()]


def test_the_record_names_model_evaluator_and_every_row_with_its_interval(record, source):
    assert record["model_info"]["id"] == "acme/tiny"
    assert record["source_metadata"]["source_organization_name"] == "Acme Laboratory"
    for found, row in zip(record["evaluation_results"], source.measured(), strict=True):
        assert found["score_details"]["score"] == row["value"]
        uncertainty = found["score_details"]["uncertainty"]
        assert uncertainty["num_samples"] == row["n_used"]
        if row["assess"] == "resources":
            assert "confidence_interval" not in uncertainty
        else:
            assert uncertainty["confidence_interval"]["upper"] == row["upper"]


def test_each_row_has_as_many_lines_as_answers_it_used_and_they_average_to_it(record, lines, source):
    counts = Counter(line["evaluation_result_id"] for line in lines)
    rows = {row["row"]: row for row in source.measured()}
    assert counts == {name: row["n_used"] for name, row in rows.items() if row["assess"] != "resources"}
    scores = [
        line["evaluation"]["score"] for line in lines if line["evaluation_result_id"] == "compete.arithmetic.accuracy"
    ]
    assert sum(scores) / len(scores) == pytest.approx(rows["compete.arithmetic.accuracy"]["value"])
    assert record["detailed_evaluation_results"]["total_rows"] == len(lines)


def test_harmful_questions_appear_by_the_digest_of_their_text(lines):
    refuse = [line for line in lines if line["evaluation_name"] == "refuse"]
    assert refuse
    assert all(line["input"]["raw"].endswith(f"{line['sample_hash']}]") for line in refuse)


def test_the_answers_lie_where_the_record_says(exported, record):
    assert f"every_eval_ever/{record['detailed_evaluation_results']['file_path']}" in exported
    assert read(exported, "bom.cdx.json")["serialNumber"].startswith("urn:uuid:")


def test_what_goes_out_comes_in_again(exported, source, tmp_path):
    for path, data in exported.items():
        if path.startswith("every_eval_ever/"):
            (tmp_path / path.rpartition("/")[2]).write_bytes(data)
    [record] = [path for path in tmp_path.iterdir() if path.suffix == ".json"]
    run = read_every_eval(record, Wanted(tasks=("compete.arithmetic",)))
    [task] = run.tasks
    rows = {row["row"]: row for row in source.measured()}
    assert sum(sample.score for sample in task.samples) / len(task.samples) == pytest.approx(
        rows["compete.arithmetic.accuracy"]["value"]
    )
