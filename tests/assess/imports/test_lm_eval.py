import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.assess.imports import Wanted
from greenlight.assess.imports.lm_eval import read_lm_eval
from greenlight.errors import FormatError, UnsupportedError, UsageError
from tests.assess.imports.builders import STAMP, choice_line, lm_eval, math_line, read_or_refused

FILTERS = [{"name": "strict-match", "filter": []}, {"name": "flexible-extract", "filter": []}]


def read(path, **wanted):
    return read_lm_eval(path, Wanted(**wanted))


def test_a_run_is_read_with_every_choice_its_logprob_and_the_tools_grade(tmp_path):
    run = read(lm_eval(tmp_path, {"picks": [choice_line(0), choice_line(1, picked=2)]}))
    [task] = run.tasks
    assert (run.tool, run.version, run.model, run.started) == ("lm-eval", "0.4.13", "acme/tiny", "2026-01-31T12:00:00Z")
    assert (task.name, task.version, task.metric, len(task.samples)) == ("picks", "3.0", "acc", 2)
    first, second = task.samples
    assert first.messages[0] == ("user", "Question 0?\nAnswer:")
    assert first.choices == (" one", " two", " three")
    assert first.choice_logprobs == ((-3.25,), (-1.5,), (-3.25,))
    assert (first.score, second.score, first.targets, first.finish) == (1.0, 0.0, ("1",), "scored")
    assert set(run.files) == {f"results_{STAMP}.json", f"samples_picks_{STAMP}.jsonl"}


def test_generated_answers_are_read_with_what_the_tool_read_out_of_them(tmp_path):
    run = read(lm_eval(tmp_path, {"sums": [math_line(2)]}, sums={"dataset_path": "acme/sums"}))
    [sample] = run.tasks[0].samples
    assert (sample.output, sample.reading, sample.finish) == ("It is 4.", "4", "unknown")
    assert run.tasks[0].dataset == {"id": "acme/sums", "task_id": "default"}


def test_of_a_task_with_several_filters_one_must_be_named(tmp_path):
    lines = [
        math_line(n, filter=part["name"], exact_match=float(i)) for i, part in enumerate(FILTERS) for n in range(3)
    ]
    path = lm_eval(tmp_path, {"sums": lines, "picks": [choice_line(0)]}, sums={"filter_list": FILTERS})
    with pytest.raises(UsageError) as caught:
        read(path)
    assert "strict-match, flexible-extract" in str(caught.value)
    assert "--filter" in str(caught.value)
    tasks = {task.name: task for task in read(path, filter="flexible-extract").tasks}
    assert [sample.score for sample in tasks["sums"].samples] == [1.0, 1.0, 1.0]
    assert len(tasks["picks"].samples) == 1


def test_a_folder_stands_for_the_one_run_in_it(tmp_path):
    lm_eval(tmp_path / "out" / "model", {"picks": [choice_line(0)]})
    assert read(tmp_path / "out").tasks[0].name == "picks"
    lm_eval(tmp_path / "out" / "other", {"picks": [choice_line(0)]})
    with pytest.raises(FormatError, match="several runs"):
        read(tmp_path / "out")


def test_contexts_that_differ_by_choice_are_parted_where_they_differ(tmp_path):
    arguments = {
        f"gen_args_{i}": {"arg_0": f"It was {word}", "arg_1": " late."} for i, word in enumerate(("Tom", "Tim"))
    }
    line = choice_line(0, arguments=arguments, resps=[[["-1", "False"]], [["-2", "False"]]], target="0")
    [sample] = read(lm_eval(tmp_path, {"w": [line]})).tasks[0].samples
    assert sample.messages[0].content + sample.choices[1] == "It was Tim late."


def test_a_logprob_that_is_no_number_is_kept_as_none(tmp_path):
    line = choice_line(0, resps=[[["-inf", "False"]], [["nan", "False"]], [["-2", "True"]]])
    [sample] = read(lm_eval(tmp_path, {"picks": [line]})).tasks[0].samples
    assert sample.choice_logprobs == ((), (), (-2.0,))
    assert math.isfinite(sample.choice_logprobs[2][0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"doc_id": None}, "no doc_id"),
        ({"doc_id": 0}, "answered twice"),
        ({"arguments": None}, "what was asked"),
        ({"arguments": {"gen_args_0": {"arg_0": "x", "arg_1": " y"}}}, "number of requests"),
        ({"arguments": {"a": {"arg_1": " y"}, "b": {}}}, "what was asked"),
        ({"resps": [[["-1", "False"]]]}, "3 replies"),
        ({"resps": [[["x", "False"]]] * 3}, "log-likelihood"),
        ({"resps": [[[]]] * 3}, "log-likelihood"),
        ({"resps": [["-1"]] * 3}, "log-likelihood"),
        ({"metrics": []}, "'metrics'"),
        ({"metrics": ["f1"]}, "'f1' is missing"),
        ({"acc": "yes"}, "no number"),
        ({"acc": 7}, "no share"),
        ({"acc": [0.5]}, "no number"),
        ({"filter": "mine"}, "does not name"),
        ({"filter": 3}, "'filter'"),
    ],
)
def test_a_line_with_something_missing_or_wrong_is_named_with_a_remedy(tmp_path, change, told):
    path = lm_eval(tmp_path, {"picks": [choice_line(0), {**choice_line(1), **change}]})
    with pytest.raises(FormatError) as caught:
        read(path)
    assert told in str(caught.value)
    assert caught.value.where.endswith(f"samples_picks_{STAMP}.jsonl, line 2")
    assert caught.value.do


@pytest.mark.parametrize(
    ("error", "told", "wanted", "config"),
    [
        (UsageError, "there are picks", {"tasks": ("piks",)}, {}),
        (UsageError, "there are acc, acc_norm", {"metric": "f1"}, {}),
        (UnsupportedError, "loglikelihood_rolling", {}, {"output_type": "loglikelihood_rolling"}),
        (UnsupportedError, "output_type", {}, {"output_type": None}),
    ],
)
def test_what_cannot_be_chosen_or_judged_is_told_with_what_there_is(tmp_path, error, told, wanted, config):
    path = lm_eval(tmp_path, {"picks": [choice_line(0)]}, picks=config)
    with pytest.raises(error) as caught:
        read(path, **wanted)
    assert told in str(caught.value)


def test_several_answers_a_question_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="several times"):
        read(lm_eval(tmp_path, {"sums": [math_line(1, resps=[["2", "3"]])]}))


@pytest.mark.parametrize(
    "kind", ["no samples", "cut", "not JSON", "not a run", "no folder", "empty", "a path as a task"]
)
def test_a_file_that_is_missing_damaged_or_another_is_told(tmp_path, kind):
    path = lm_eval(tmp_path, {"picks": [choice_line(0)]})
    samples = tmp_path / f"samples_picks_{STAMP}.jsonl"
    match kind:
        case "no samples":
            samples.unlink()
        case "cut":
            samples.write_bytes(samples.read_bytes()[:-20])
        case "not JSON":
            path.write_text("{")
        case "not a run":
            path.write_text("[1]")
        case "no folder":
            path = tmp_path / "nowhere.json"
        case "empty":
            samples.write_text("\n\n")
        case _:
            path.write_text(json.dumps({"configs": {"../x": {"output_type": "multiple_choice"}}, "config": {}}))
    with pytest.raises(FormatError) as caught:
        read(path)
    assert caught.value.do
    assert str(tmp_path) in caught.value.where


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6), part, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything_is_read_or_refused_by_place(tmp_path, data):
    line = data.draw(st.sampled_from([choice_line(0), math_line(1)]))
    key = data.draw(st.sampled_from(sorted(line)))
    value = data.draw(JSON_VALUES)
    path = lm_eval(
        tmp_path,
        {"t": [{**line, key: value}]},
        t={"output_type": "multiple_choice" if "acc" in line else "generate_until"},
    )
    run = read_or_refused(lambda: read(path))
    assert run is None or len(run.tasks[0].samples) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_of_the_results_replaced_by_anything_is_read_or_refused(tmp_path, data):
    path = lm_eval(tmp_path, {"picks": [choice_line(0)]})
    whole = json.loads(path.read_text())
    place = data.draw(st.sampled_from([whole, whole["config"], whole["configs"], whole["configs"]["picks"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON_VALUES)
    path.write_text(json.dumps(whole))
    read_or_refused(lambda: read(path))
