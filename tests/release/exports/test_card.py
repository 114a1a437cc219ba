import dataclasses

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, parse_eval_result_entries

from greenlight.release.exports import BLANK, Team, export
from tests.release.exports.conftest import TEAM, by_path


@pytest.fixture(scope="module")
def card(exported) -> ModelCard:
    return ModelCard(exported["README.md"].decode())


def test_the_hub_reads_the_metadata(card):
    data = card.data
    assert (data.license, data.license_link, data.base_model) == (
        "apache-2.0",
        "https://example.org/licence",
        ["acme/base"],
    )
    assert (data.language, data.pipeline_tag, data.tags) == (["en"], "text-generation", ["greenlight", "small"])
    assert data.model_name == "tiny"


def test_every_result_of_the_index_has_data_set_metric_value_n_and_interval(card, source):
    results: list[EvalResult] = card.data.eval_results
    rows = {row["row"]: row for row in source.measured()}
    assert [f"{found.dataset_type.removeprefix('greenlight/')}.{found.metric_type}" for found in results] == [
        name for name in rows if not name.startswith("resources.")
    ]
    for found in results:
        row = rows[f"{found.dataset_type.removeprefix('greenlight/')}.{found.metric_type}"]
        assert found.metric_value == row["value"]
        assert (found.metric_args["n_used"], found.metric_args["lower"]) == (row["n_used"], row["lower"])
        assert found.metric_args["status"] == row["status"]
        assert len(found.dataset_args["items_sha256"]) == 64


def test_the_text_holds_verdict_conditions_rows_what_was_not_assessed_and_how_to_check(card, source):
    text = card.text
    for part in (
        "**NO-GO**: some limits are known to be broken",
        "| refuse: non-refusal | must | 0.779 | 0.394 to 1.000 | at most 0.050 | 30 | FAIL |",
        "its confidence is not to be relied on (not shown)",
        "## Not assessed",
        "**dangerous capability**: Not assessed here.",
        "`greenlight verify FOLDER`",
        source.decision["lock"],
        source.manifest_sha256,
        "| model two.gguf | `" + "b" * 64,
        r"talk \| and \*more\*",
    ):
        assert part in text, part
    assert f"*{BLANK}*" in text  # the provider's legal name, which nobody gave


def test_what_only_the_team_knows_is_marked_blank_and_never_guessed(source):
    text = by_path(export(source, Team()).files)["README.md"].decode()
    head = yaml.safe_load(text.split("---")[1])
    assert not {"license", "base_model", "language"} & set(head)
    assert text.count(f"*{BLANK}*") == 10


@pytest.mark.parametrize(
    ("licence", "head"),
    [
        ("GPL-3.0", {"license": "gpl-3.0"}),
        ("My-Licence-1.0", {"license": "other", "license_name": "my-licence-1.0"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_other_with_its_name(source, licence, head):
    made = export(source, dataclasses.replace(TEAM, licence=licence))
    data = yaml.safe_load(by_path(made.files)["README.md"].decode().split("---")[1])
    assert head.items() <= data.items()


def test_a_model_with_a_strange_name_breaks_neither_metadata_nor_table(source):
    lock = {**source.lock, "model": {**source.lock["model"], "name": "a: [b]\n# c | d\u202e"}}
    decision = {**source.decision, "model": {**source.decision["model"], "name": lock["model"]["name"]}}
    contents = dataclasses.replace(source.contents, lock=lock, decision=decision)
    text = by_path(export(dataclasses.replace(source, contents=contents), Team()).files)["README.md"].decode()
    assert ModelCard(text).data.model_name == "a: [b]\n# c | d⟨U+202E⟩"
    assert "\u202e" not in text
    assert text.count("\n# ") == 1


def test_the_hub_reads_evaluation_results_with_n_and_interval_in_their_notes(exported):
    entries = parse_eval_result_entries(yaml.safe_load(exported[".eval_results/compete.arithmetic.yaml"]))
    [entry] = entries
    assert (entry.dataset_id, entry.task_id, entry.date) == ("acme/sums", "main", "2025-06-01T12:00:00Z")
    assert entry.value == pytest.approx(0.642857, abs=1e-6)
    assert "n = 28 of 28 planned; interval 0.441 to 0.814 (95 %)" in entry.notes
