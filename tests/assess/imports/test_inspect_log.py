import json
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.assess.imports import Wanted
from greenlight.assess.imports.inspect_log import read_inspect
from greenlight.errors import FormatError, GreenlightError, UnsupportedError, UsageError
from tests.assess.imports.builders import (
    archive,
    inspect_eval,
    inspect_header,
    inspect_json,
    inspect_sample,
    read_or_refused,
)
from tests.assess.imports.test_lm_eval import JSON_VALUES

SAMPLES = [inspect_sample(2), inspect_sample(3, value="I", output="5"), inspect_sample(4, value="N", output="")]


def read(path, **wanted):
    return read_inspect(path, Wanted(**wanted))


@pytest.mark.parametrize("method", [0, 8, 93, "json"])
def test_a_log_is_read_alike_however_it_is_packed(tmp_path, method):
    if method == "json":
        run = read(inspect_json(tmp_path / "log.json", SAMPLES))
    else:
        run = read(inspect_eval(tmp_path / "log.eval", SAMPLES, method))
    [task] = run.tasks
    assert (run.tool, run.version, run.model, run.sampling) == (
        "inspect",
        "0.3.285",
        "mockllm/model",
        {"temperature": 0.5},
    )
    assert (run.started, run.ended) == ("2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z")
    assert (task.name, task.metric) == ("sums", "match")
    assert [(sample.id, sample.score, sample.output) for sample in task.samples] == [
        ("q2", 1.0, "4"),
        ("q3", 0.0, "5"),
        ("q4", 0.0, ""),
    ]
    first = task.samples[0]
    assert [message.role for message in first.messages] == ["system", "user"]
    assert (first.targets, first.finish, first.n_prompt, first.n_output) == (("4",), "stop", 5, 3)


def test_the_same_question_in_several_epochs_is_one_question(tmp_path):
    samples = [inspect_sample(2, epoch=epoch) for epoch in (1, 2)]
    task = read(inspect_eval(tmp_path / "log.eval", samples, epochs=2)).tasks[0]
    assert [sample.id for sample in task.samples] == ["q2/epoch-1", "q2/epoch-2"]
    assert {sample.question for sample in task.samples} == {"q2"}


@pytest.mark.parametrize(
    ("value", "score"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (0.25, 0.25), (1, 1.0), (None, None)],
)
def test_grades_in_letters_and_numbers_are_shares(tmp_path, value, score):
    task = read(inspect_json(tmp_path / "log.json", [inspect_sample(2, value=value)])).tasks[0]
    assert task.samples[0].score == score


def test_of_several_scorers_or_numbers_one_must_be_named(tmp_path):
    scores = {"match": {"value": "I"}, "both": {"value": {"a": 1.0, "b": 0.5}}}
    path = inspect_json(tmp_path / "log.json", [inspect_sample(2, scores=scores)])
    for wanted, told in (
        ({}, "--metric NAME"),
        ({"metric": "both"}, "--metric both/NAME"),
        ({"metric": "x"}, "match, both"),
    ):
        with pytest.raises(UsageError) as caught:
            read(path, **wanted)
        assert told in str(caught.value)
    assert read(path, metric="both/b").tasks[0].samples[0].score == 0.5
    assert read(path, metric="match").tasks[0].samples[0].score == 0.0


def test_a_sample_that_ended_in_an_error_has_no_grade_which_is_no_zero(tmp_path):
    sample = inspect_sample(2, scores={}, error={"message": "broken"})
    assert read(inspect_json(tmp_path / "log.json", [sample])).tasks[0].samples[0].score is None
    with pytest.raises(FormatError, match="has no score"):
        read(inspect_json(tmp_path / "log.json", [inspect_sample(2, scores={})]))


def test_texts_in_parts_and_texts_put_aside_are_put_together_and_reasoning_is_left_out(tmp_path):
    said = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "4"}, "!"]
    sample = inspect_sample(2)
    sample["output"]["choices"][0]["message"]["content"] = said
    sample["messages"][1]["content"] = "attachment://abc"
    sample["attachments"] = {"abc": "a long question"}
    [found] = read(inspect_json(tmp_path / "log.json", [sample])).tasks[0].samples
    assert (found.output, found.messages[1].content) == ("4\n!", "a long question")
    sample["attachments"] = {}
    with pytest.raises(FormatError, match="put aside"):
        read(inspect_json(tmp_path / "log.json", [sample]))
    sample["messages"][1]["content"] = [{"type": "image", "image": "data:..."}]
    with pytest.raises(UnsupportedError, match="other than text"):
        read(inspect_json(tmp_path / "log.json", [sample]))


def test_a_cut_answer_is_told_as_cut(tmp_path):
    cut = inspect_sample(2)
    cut["output"]["choices"][0]["stop_reason"] = "max_tokens"
    samples = [cut, inspect_sample(3, limit={"type": "time"})]
    task = read(inspect_json(tmp_path / "log.json", samples)).tasks[0]
    assert [sample.finish for sample in task.samples] == ["length", "length"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("error", "did not finish"),
        ("started", "did not finish"),
        ("no header", "no header"),
        ("no samples", "holds no samples"),
        ("twice", "occurs twice"),
        ("no id", "no id"),
        ("no output", "'output'"),
        ("another task", "another task"),
        ("no messages", "what was asked"),
    ],
)
def test_a_log_that_cannot_be_judged_says_why_and_what_to_do(tmp_path, kind, told):
    path, samples, wanted = tmp_path / "log.eval", [inspect_sample(2)], {}
    match kind:
        case "error" | "started":
            inspect_eval(path, samples, status=kind)
        case "no header":
            path.write_bytes(archive({"_journal/start.json": b"{}"}, 8))
        case "no samples":
            inspect_eval(path, [])
        case "twice":
            path = inspect_json(tmp_path / "log.json", samples * 2)
        case "another task":
            inspect_eval(path, samples)
            wanted = {"tasks": ("other",)}
        case _:
            change = {"no id": {"id": None}, "no output": {"output": 1}, "no messages": {"messages": [], "input": None}}
            path = inspect_json(tmp_path / "log.json", [{**samples[0], **change[kind]}])
    with pytest.raises(GreenlightError) as caught:
        read(path, **wanted)
    assert told in str(caught.value)
    assert caught.value.where
    assert caught.value.do


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything_is_read_or_refused_by_place(tmp_path, data):
    log = {**inspect_header(), "samples": [inspect_sample(2)]}
    sample = log["samples"][0]
    place = data.draw(
        st.sampled_from([log, log["eval"], log["stats"], sample, sample["output"], sample["messages"][0]])
    )
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON_VALUES)
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    read_or_refused(lambda: read(path))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), method=st.sampled_from([0, 8, 93]))
def test_any_damaged_archive_is_read_or_refused(tmp_path, data, method):
    whole = inspect_eval(tmp_path / "whole.eval", SAMPLES[:1], method).read_bytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.eval"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else damaged)
    read_or_refused(lambda: read(path))


def test_what_zipfile_reads_of_a_member_is_what_is_read_here(tmp_path):
    path = inspect_eval(tmp_path / "log.eval", SAMPLES, 8)
    with zipfile.ZipFile(path) as file:
        outputs = [
            json.loads(file.read(name))["output"]["completion"] for name in file.namelist() if "samples/" in name
        ]
    assert outputs == [sample.output for sample in read(path).tasks[0].samples]
