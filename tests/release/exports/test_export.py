import dataclasses
import json

import pytest

from greenlight.errors import ConfigError, EvidenceError
from greenlight.evidence import sha256
from greenlight.release.exports import FORMS, Team, export, read_source, read_team, team_template
from greenlight.release.exports.questions import questions
from tests.release.exports.conftest import TEAM, by_path

PROMPTS = ("Jailbroken", "bomb")


def test_every_form_is_written_and_the_same_folder_gives_the_same_bytes(known, source, exported):
    assert [path for path in exported if not path.startswith("every_eval_ever/")] == [
        "README.md",
        ".eval_results/compete.arithmetic.yaml",
        "statement.json",
        "statement.test-result.json",
        "statement.svr.json",
        "openness.json",
        "bom.cdx.json",
        "model.spdx.json",
        "eu-model-documentation.md",
        "release.json",
    ]
    assert by_path(export(read_source(known, source.openness), TEAM).files) == exported


def test_the_index_lists_each_file_with_its_digest(exported):
    index = json.loads(exported["release.json"])
    assert index["files"] == {path: sha256(data) for path, data in exported.items() if path != "release.json"}
    assert index["verdict"] == "no_go"


def test_without_the_teams_answers_what_needs_them_is_left_out_with_why_and_remedy(built):
    made = export(read_source(built), Team())
    left = {entry.form: f"{entry.why}; {entry.do}" for entry in made.left_out}
    assert {form for form in FORMS if form not in left} == {
        "model card",
        "CycloneDX model card",
        "European documentation form",
    }
    assert "owner/name#task" in left["evaluation results"]
    assert "must name what it is about" in left["in-toto model evaluation"]
    assert "developer, version, released, download_url" in left["SPDX AI package"]
    assert "model_id, evaluator, evaluator_relationship" in left["Every Eval Ever"]
    assert "--openness-template" in left["openness"]


def test_no_form_prints_a_harmful_question_though_the_folder_holds_it(source, exported):
    harmful = [
        turn["content"]
        for suite in source.contents.items.values()
        for item in suite.values()
        if item["harmful"]
        for turn in item["messages"]
    ]
    assert len(harmful) > 60
    whole = b"\n".join(exported.values()).decode()
    assert not [text for text in harmful if text in whole or json.dumps(text)[1:-1] in whole]


def test_evidence_of_another_shape_is_an_error_that_names_the_form(source):
    for change in ({"decided": "soon"}, {"rows": [{}]}, {"policy": None}):
        contents = dataclasses.replace(source.contents, decision={**source.decision, **change})
        with pytest.raises(EvidenceError, match="another shape") as caught:
            export(dataclasses.replace(source, contents=contents), TEAM)
        assert caught.value.where in FORMS


def test_a_template_filled_in_is_read_back():
    text = team_template()
    assert read_team(text, "team.toml") == Team()
    assert all(f"# {key} = " in text for key in questions())
    filled = text.replace('model_id = ""', 'model_id = "acme/tiny"').replace("# intended_uses", "intended_uses")
    filled = filled.replace('intended_uses = ""', 'intended_uses = "to talk"').replace(
        'released = ""', "released = 2025-06-02"
    )
    found = read_team(filled, "team.toml", licence="MIT", model_id="")
    assert (found.model_id, found.licence, found.released) == ("acme/tiny", "MIT", "2025-06-02")
    assert found.answers == {"intended_uses": "to talk"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("licence = 3", "licence is a text"),
        ("licens = 'MIT'", "did you mean 'licence'?"),
        ("base_models = ['a']", "owner/name"),
        ("base_models = 'a/b'", "list of texts"),
        ("evaluator_relationship = 'friend'", "first_party"),
        ("released = 'soon'", "2026-01-31"),
        ("download_url = 'here'", "http"),
        ("[datasets]\nx = 'nowhere'", "owner/name#task"),
        ("[answers]\nhardwear = 'big'", "did you mean 'hardware'?"),
        ("[answers]\nhardware = 1", "names and texts"),
        ("licence = ", "not TOML"),
        ("x = " + "[" * 3000, "not TOML"),
    ],
)
def test_an_answer_with_a_mistake_is_refused_by_place_and_remedy(text, told):
    with pytest.raises(ConfigError) as caught:
        read_team(text, "team.toml")
    assert told in str(caught.value)
    assert "team.toml" in str(caught.value) or caught.value.where
