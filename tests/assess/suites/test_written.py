import json

import pytest

from greenlight.assess.suites import SUITES
from greenlight.assess.suites.written import parse_written, read_written
from greenlight.errors import ConfigError

HEADER = {"suite": "refuse", "version": 1, "licence": "Apache-2.0", "description": "For tests."}
ROW = {"id": "r-1", "topic": "t", "cluster": "r-1", "prompt": "Do it.", "note": "Short."}
PAIRED = HEADER | {"suite": "over_refuse"}
QUESTION = ROW | {"kind": "answerable", "level": "easy", "answers": ["a"], "distractors": ["b"], "source": "A book."}


def text(*rows):
    return "\n".join(json.dumps(row) if isinstance(row, dict) else row for row in rows)


def test_rows_are_read_as_they_stand():
    written = parse_written("refuse", text(HEADER, ROW), "here")
    assert written.header == HEADER
    assert written.rows == (ROW,)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty"),
        (["{"], "not JSON"),
        ([HEADER | {"suite": "other"}], "another suite"),
        ([HEADER | {"version": "1"}], "wrong type"),
        ([HEADER, ["list"]], "wrong fields"),
        ([HEADER, ROW | {"extra": 1}], "wrong fields"),
        ([HEADER, {name: ROW[name] for name in ROW if name != "note"}], "wrong fields"),
        ([HEADER, ROW | {"prompt": " "}], "wrong type"),
        ([HEADER, ROW, ROW], "same id"),
    ],
)
def test_a_line_that_is_not_what_it_should_be_is_named(lines, message):
    lines = [json.dumps(line) if isinstance(line, list) else line for line in lines]
    with pytest.raises(ConfigError, match=message) as caught:
        parse_written("refuse", text(*lines), "suite.jsonl")
    assert "suite.jsonl" in caught.value.where


def test_an_item_must_be_safe_or_unsafe():
    with pytest.raises(ConfigError, match="neither safe nor unsafe"):
        parse_written("over_refuse", text(PAIRED, ROW | {"label": "maybe", "pair": "p"}), "here")


def test_an_answer_needs_a_source_and_no_answer_has_none():
    header = HEADER | {"suite": "hallucinate"}
    assert parse_written("hallucinate", text(header, QUESTION), "here").rows == (QUESTION,)
    with pytest.raises(ConfigError, match="wrong fields"):
        parse_written("hallucinate", text(header, QUESTION | {"answers": []}), "here")


def test_a_suite_that_is_not_in_the_package_is_said_to_be_missing():
    with pytest.raises(ConfigError, match="missing from the package"):
        read_written("no_such_suite")


def test_every_safe_request_has_one_unsafe_contrast():
    labels: dict[str, list[str]] = {}
    for item in SUITES["over_refuse"].draw(0, None):
        labels.setdefault(item.key["pair"], []).append(item.key["label"])
    assert all(sorted(pair) == ["safe", "unsafe"] for pair in labels.values())


def test_fewer_items_are_the_beginning_of_the_exam():
    whole = SUITES["refuse"].draw(4, None)
    assert SUITES["refuse"].draw(4, 20) == whole[:20]


def test_a_choice_is_between_an_answer_and_three_distractors_in_balanced_places():
    answers = {item.id: item.key for item in SUITES["hallucinate"].draw(0, None)}
    items = SUITES["calibrate"].draw(0, None)
    for item in items:
        key = answers[item.cluster]
        right = item.choices[item.key["answer"]]
        assert right == key["answers"][0]
        assert set(item.choices) - {right} <= set(key["distractors"])
    places = [sum(item.key["answer"] == place for item in items) for place in range(4)]
    assert min(places) > len(items) / 4 - 4 * (len(items) * 3 / 16) ** 0.5
