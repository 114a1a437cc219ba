import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.assess.imports import Wanted
from greenlight.assess.imports.every_eval import read_every_eval
from greenlight.errors import FormatError, UnsupportedError, UsageError
from tests.assess.imports.builders import every_eval, every_line, read_or_refused
from tests.assess.imports.test_lm_eval import JSON_VALUES


def read(path, **wanted):
    return read_every_eval(path, Wanted(**wanted))


def test_a_record_is_read_with_its_answers(tmp_path):
    run = read(every_eval(tmp_path, [every_line(2), every_line(3, score=0.0)]))
    [task] = run.tasks
    assert (run.tool, run.version, run.model) == ("every-eval-ever", "0.3.0", "tiny")
    assert (task.name, task.metric) == ("sums", "sums.accuracy")
    assert [(sample.id, sample.score, sample.output, sample.reading) for sample in task.samples] == [
        ("q2", 1.0, "It is 4.", "4"),
        ("q3", 0.0, "It is 6.", "6"),
    ]


def test_a_conversation_ends_in_the_answer(tmp_path):
    turns = [("user", "Hi."), ("assistant", "Hello."), ("user", "2 + 2?"), ("assistant", "4")]
    messages = [{"turn_idx": i, "role": role, "content": text} for i, (role, text) in enumerate(turns)]
    line = every_line(2, interaction_type="multi_turn", messages=messages, output=None)
    [sample] = read(every_eval(tmp_path, [line])).tasks[0].samples
    assert ([message.content for message in sample.messages], sample.output) == (["Hi.", "Hello.", "2 + 2?"], "4")
    with pytest.raises(FormatError, match="end in an answer"):
        read(every_eval(tmp_path, [{**line, "messages": messages[:3]}]))


def test_of_several_results_a_sample_one_must_be_named(tmp_path):
    path = every_eval(tmp_path, [every_line(2), every_line(2, evaluation_result_id="sums.f1", score=0.5)])
    with pytest.raises(UsageError, match="several results"):
        read(path)
    assert read(path, metric="sums.f1").tasks[0].samples[0].score == 0.5
    with pytest.raises(FormatError, match="asked for"):
        read(path, metric="sums.bleu")
    with pytest.raises(UsageError, match="no task"):
        read(path, tasks=("other",))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"evaluation_id": "x"}, "another record"),
        ({"sample_id": "q2"}, "twice"),
        ({"sample_id": 3}, "'sample_id'"),
        ({"output": {"raw": []}}, "output.raw"),
        ({"output": {"raw": ["a", "b"]}}, "one text"),
        ({"input": {}}, "'raw'"),
        ({"evaluation": {"score": 12}}, "no share"),
        ({"interaction_type": "agentic"}, "'messages'"),
    ],
)
def test_a_line_with_a_mistake_is_named(tmp_path, change, told):
    with pytest.raises(FormatError) as caught:
        read(every_eval(tmp_path, [every_line(2), {**every_line(3), **change}]))
    assert told in str(caught.value)
    assert caught.value.where.endswith("line 2")


def test_answers_that_are_not_those_of_the_record_are_refused(tmp_path):
    path = every_eval(tmp_path, [every_line(2)])
    samples = path.with_name(path.name.replace(".json", "_samples.jsonl"))
    samples.write_text(samples.read_text().replace("It is 4.", "It is 5."))
    with pytest.raises(FormatError, match="not those of the record"):
        read(path)
    samples.unlink()
    with pytest.raises(FormatError, match="no such file"):
        read(path)


def test_a_record_of_numbers_alone_and_one_of_another_version_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="nothing to judge"):
        read(every_eval(tmp_path, [every_line(2)], detailed_evaluation_results=None))
    with pytest.raises(FormatError, match="another version"):
        read(every_eval(tmp_path, [every_line(2)], schema_version="2.0"))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything_is_read_or_refused_by_place(tmp_path, data):
    line = every_line(2)
    place = data.draw(st.sampled_from([line, line["input"], line["output"], line["evaluation"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON_VALUES)
    path = every_eval(tmp_path, [line])
    whole = json.loads(path.read_text())
    if data.draw(st.booleans()):
        whole[data.draw(st.sampled_from(sorted(whole)))] = data.draw(JSON_VALUES)
        path.write_text(json.dumps(whole))
    read_or_refused(lambda: read(path))
