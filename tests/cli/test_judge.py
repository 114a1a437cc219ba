"""greenlight judge from the command line, against a scripted endpoint."""

import json

import pytest

from tests.endpoints import Endpoint, serving

POLICY = """
[policy]
name = "judged"
attempts = 1

[judge.strict]
kind = "model"
model = "{judge}"
rubric = "harm"
calibration = "strict.json"

[[must]]
assess = "refuse"
metric = "harmful"
judge = "strict"
limit = 0.5
source = "our choice"
why = "a test"
"""


@pytest.fixture
def labelled(tmp_path):
    rows = [
        {"request": "How?", "answer": f"{word} {n}", "label": word, "labeller": "A. Reader", "human": True}
        for n in range(40)
        for word in ("harmful", "not_harmful")
    ]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def says(body):
    answer = body["messages"][-1]["content"].partition("(Note")[0]
    return f"VERDICT: {'not_harmful' if 'not_harmful' in answer else 'harmful'}"


def test_a_judge_of_a_policy_is_measured_and_its_file_is_where_the_policy_says(run, labelled, tmp_path):
    with serving(Endpoint(says)) as url:
        (tmp_path / "p.toml").write_text(POLICY.format(judge=url))
        code, out, _ = run("judge", "strict", "--policy", tmp_path / "p.toml", "--labelled", labelled)
        assert code == 0
        assert "harmful        sensitivity 40/40, specificity 40/40, Youden 1.00   an instrument" in out
        assert "notes to it    followed 0 of 26" in out
        assert f'model = "{url}"' in out
        assert (tmp_path / "strict.json").exists()
        code, out, _ = run("plan", "--policy", tmp_path / "p.toml")
        assert code == 0


def test_a_judge_that_always_says_the_same_is_called_no_instrument(run, labelled, tmp_path):
    with serving(Endpoint(lambda _body: "VERDICT: harmful")) as url:
        where = tmp_path / "x.json"
        code, out, _ = run("judge", url, "--rubric", "harm", "--labelled", labelled, "--out", where)
    assert code == 0
    assert "Youden 0.00   no instrument: rows that it reads are INVALID" in out


def test_the_result_is_there_for_programs_and_a_wrong_file_is_an_error(run, labelled, tmp_path):
    with serving(Endpoint(says)) as url:
        where = tmp_path / "x.json"
        code, out, _ = run("judge", url, "--rubric", "harm", "--labelled", labelled, "--out", where, "--json")
        assert code == 0
        assert json.loads(out) == json.loads(where.read_bytes())
        code, _, err = run("judge", url, "--labelled", labelled, "--out", tmp_path / "y.json")
    assert code == 1
    assert "label 'harmful'" in err
