import dataclasses

import pytest

from greenlight.assess.imports import Mapped, Wanted, default_mapping, to_suite
from greenlight.assess.imports.inspect_log import read_inspect
from greenlight.assess.imports.lm_eval import read_lm_eval
from greenlight.errors import FormatError, UsageError
from greenlight.measure.given import disagree, grade_given
from tests.assess.imports.builders import choice_line, inspect_json, inspect_sample, lm_eval, math_line


@pytest.fixture
def sums(tmp_path):
    """Three sums: right by both, right by the tool alone, and without a number."""
    lines = [math_line(1), math_line(2, output="It is 5.", score=1.0), math_line(3, output="No idea.", score=0.0)]
    return read_lm_eval(lm_eval(tmp_path, {"gsm8k": lines}), Wanted()).tasks[0]


def grades(suite):
    return {line["item"]: (line["grade"]["label"], line["given"]["score"]) for line in suite.samples}


def test_a_task_that_is_known_is_graded_again_and_both_grades_are_kept(sums):
    suite = to_suite("compete.gsm8k", [(sums, "")], "1")
    assert suite.entry["grader"] == "number"
    assert grades(suite) == {
        "gsm8k-1": ("right", 1.0),
        "gsm8k-2": ("wrong", 1.0),
        "gsm8k-3": ("unparsed", 0.0),
    }
    assert suite.counts[0]["disagree"] == 1  # what could not be read counts as wrong, which the tool says, too
    assert suite.instrument["gold"] == 1.0
    assert suite.instrument["shuffled"] == 0.0


def test_the_tools_own_grades_can_be_asked_for_and_are_what_an_unknown_task_gets(sums):
    for task, asked in ((sums, "given"), (dataclasses.replace(sums, name="riddles"), "")):
        suite = to_suite("compete.x", [(task, asked)], "1")
        assert (suite.entry["grader"], suite.instrument, suite.counts[0]["disagree"]) == ("given", None, None)
        assert {label for label, _ in grades(suite).values()} == {"right", "wrong"}


def test_choices_are_graded_by_their_logprobs_and_agree_with_the_tool(tmp_path):
    lines = [choice_line(n, gold=n % 3, picked=n % 2) for n in range(12)]
    task = read_lm_eval(lm_eval(tmp_path, {"picks": lines}), Wanted()).tasks[0]
    suite = to_suite("compete.picks", [(task, "")], "1")
    assert (suite.entry["grader"], suite.counts[0]["disagree"]) == ("choice", 0)
    assert all(item.choices for item in suite.items)


def test_a_target_given_as_text_names_its_choice_and_one_that_names_none_leaves_the_tools_grade(tmp_path):
    for gold, grader in (("two", "choice"), ("four", "given")):
        lines = [choice_line(0, gold=gold, acc=1.0)]
        task = read_lm_eval(lm_eval(tmp_path / gold, {"picks": lines}), Wanted()).tasks[0]
        assert to_suite("compete.picks", [(task, "")], "1").entry["grader"] == grader
    with pytest.raises(FormatError, match="right choice is not told") as caught:
        to_suite("compete.picks", [(task, "choice")], "1")
    assert "line 1" in caught.value.where


def test_the_seed_fixes_the_order_and_not_what_is_asked(sums):
    orders = {tuple(item.id for item in to_suite("compete.x", [(sums, "")], str(seed)).items) for seed in range(20)}
    assert len(orders) > 2
    assert {frozenset(order) for order in orders} == {frozenset({"gsm8k-1", "gsm8k-2", "gsm8k-3"})}


def test_answers_to_one_question_are_one_group(tmp_path):
    samples = [inspect_sample(2, epoch=1), inspect_sample(2, epoch=2)]
    task = read_inspect(inspect_json(tmp_path / "a.json", samples, epochs=2), Wanted()).tasks[0]
    suite = to_suite("compete.sums", [(task, "")], "1")
    assert len({item.id for item in suite.items}) == 2
    assert len({item.cluster for item in suite.items}) == 1


def test_tasks_read_as_one_assessment_keep_their_names_as_topics(sums):
    other = dataclasses.replace(sums, name="gsm8k_hard")
    suite = to_suite("compete.gsm8k", [(sums, ""), (other, "")], "1")
    assert {item.topic for item in suite.items} == {"gsm8k", "gsm8k_hard"}
    assert [count["n"] for count in suite.counts] == [3, 3]


def test_harmful_requests_are_marked_and_graded_as_refusals(sums):
    suite = to_suite("refuse", [(sums, "")], "1")
    assert suite.entry["grader"] == "refusal"
    assert all(item.harmful and item.key == {"expect": "refusal"} for item in suite.items)


def test_questions_of_fact_take_the_targets_as_answers(tmp_path):
    sample = inspect_sample(2, output="Bern.", target=["Bern", "Berne"])
    task = read_inspect(inspect_json(tmp_path / "a.json", [sample]), Wanted()).tasks[0]
    suite = to_suite("hallucinate", [(task, "")], "1")
    assert (suite.entry["grader"], suite.items[0].key["answers"]) == ("short_answer", ["Bern", "Berne"])
    assert suite.samples[0]["grade"]["label"] == "right"


def test_what_cannot_be_read_so_is_refused_with_a_remedy(sums, tmp_path):
    picks = read_lm_eval(lm_eval(tmp_path, {"picks": [choice_line(0)]}), Wanted()).tasks[0]
    cases = [
        ("bias", [(sums, "")], UsageError, "map it to"),
        ("compete.x", [(sums, "hierarchy")], UsageError, "choice, number"),
        ("compete.x", [(sums, "given"), (picks, "given")], UsageError, "map them apart"),
        ("compete.x", [(picks, "number")], FormatError, None),
    ]
    for assess, tasks, error, told in cases:
        if told is None:
            assert to_suite(assess, tasks, "1").items[0].key == {"answer": 1}
            continue
        with pytest.raises(error) as caught:
            to_suite(assess, tasks, "1")
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": ("many",)}, "no number"),
        ({"targets": ()}, "no number"),
        ({"id": "x" * 600}, "too long"),
        ({"output": "\ud800"}, "UTF-8"),
    ],
)
def test_a_sample_that_fits_no_file_or_grader_is_named(sums, change, told):
    bad = dataclasses.replace(sums.samples[1], **change)
    task = dataclasses.replace(sums, samples=(sums.samples[0], bad))
    with pytest.raises(FormatError) as caught:
        to_suite("compete.x", [(task, "number")], "1")
    assert told in str(caught.value)
    assert caught.value.where.endswith("line 2")


@pytest.mark.parametrize(
    ("target", "answer"), [("#### 1,234", 1234), ("-7", -7), ("a #### 2.50", 2.5), ("12345678", 12345678)]
)
def test_a_numeric_target_is_read_whole(sums, target, answer):
    task = dataclasses.replace(sums, samples=(dataclasses.replace(sums.samples[0], targets=(target,)),))
    suite = to_suite("compete.x", [(task, "number")], "1")
    assert suite.items[0].key == {"answer": answer}
    assert suite.instrument["gold"] == 1.0


def test_a_task_is_read_by_default_as_what_it_competes_in():
    assert default_mapping("gsm8k_cot") == Mapped("compete.gsm8k_cot")
    assert default_mapping("org/task v2") == Mapped("compete.org-task-v2")


def test_a_given_grade_keeps_its_score_and_gets_a_label():
    labels = {1.0: "right", 0: "wrong", 0.5: "partly", None: "unparsed"}
    for score, label in labels.items():
        found = grade_given({"score": score, "reading": "4"})
        assert (found.label, found.score, found.parsed) == (label, score, "4")
    assert disagree({"score": 1.0}, {"score": None})
    assert not disagree({"score": 0.0}, {"score": None})
