"""Two models put to one exam, and what comes of it."""

import json

import pytest

from greenlight import compose
from greenlight.errors import UsageError
from greenlight.evidence import read_lines
from tests.chat_model import tiny_chat_model

SHORT = """
[policy]
name = "short"

[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "our choice"

[[disclose]]
assess = "compete.reading"
metric = "accuracy"
why = "a test"
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """All of two suites are asked of two models: short ones."""
    path = tmp_path_factory.mktemp("policy") / "short.toml"
    path.write_text(SHORT)
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return tiny_chat_model(tmp_path_factory.mktemp("other") / "other.gguf", seed=1)


@pytest.fixture(scope="module")
def compared(chat_model, other, policy, tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    found = compose.compare_references([str(chat_model), str(other)], policy=policy, out=out)
    return found, out


def locks(out):
    return [json.loads(path.read_bytes()) for path in sorted(out.glob("*/lock.json"))]


def test_every_model_sits_the_same_exam_in_full_and_none_can_be_a_go(compared):
    found, out = compared
    one, two = locks(out)
    assert one["seed"] == two["seed"]
    assert one["id"] != two["id"]
    assert one["suites"] == two["suites"]
    assert {lock["kind"] for lock in (one, two)} == {"exploratory"}
    for folder in (path.parent for path in out.glob("*/lock.json")):
        for entry in one["suites"]:
            answered = read_lines(folder / "samples" / f"{entry['suite']}.jsonl", "samples")[1]
            assert len(answered) == entry["n"]
    assert all(row.n == row.n_planned for row in found.rows)
    assert found.missing == ()


def test_runs_that_are_there_are_read_and_not_asked_again(compared, policy):
    found, out = compared
    folders = [path.parent for path in sorted(out.glob("*/lock.json"), key=lambda path: "tiny" not in str(path))]
    again = compose.compare_references(folders)
    assert [row.to_json() for row in again.rows] == [row.to_json() for row in found.rows]


@pytest.mark.slow
def test_a_comparison_that_was_cut_short_goes_on(chat_model, other, policy, compared, tmp_path):
    short = compose.compare_references([str(chat_model), str(other)], policy=policy, out=tmp_path, minutes=1e-6)
    assert short.rows == ()
    assert short.unpaired
    whole = compose.compare_references([str(chat_model), str(other)], policy=policy, out=tmp_path)
    assert [row.to_json() for row in whole.rows] == [row.to_json() for row in compared[0].rows]


def test_an_exploratory_exam_is_the_same_for_every_model_and_a_rehearsal_is_not(chat_model, other, policy):
    from greenlight.compose.verbs import DEFAULT
    from greenlight.gate.policy import load_policy

    everyone = [
        compose.Participants(compose.find_examinee(str(path)), load_policy(policy), compose.find_examinee)
        for path in (chat_model, other)
    ]
    for kind, same in (("exploratory", True), ("rehearsal", False)):
        one, two = (compose.lock(policy, people, DEFAULT, kind=kind)["seed"] for people in everyone)
        assert (one == two) == same


def test_runs_and_models_are_not_mixed_and_one_is_not_enough(chat_model, compared):
    run = next(compared[1].glob("*/lock.json")).parent
    with pytest.raises(UsageError, match="mixed"):
        compose.compare_references([run, str(chat_model)])
    with pytest.raises(UsageError, match="two models"):
        compose.compare_references([str(chat_model), str(chat_model)])
