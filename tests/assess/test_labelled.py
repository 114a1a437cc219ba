"""Labelled answers are read whole or not at all."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.assess.labelled import LabelledFile, read_labelled
from greenlight.errors import EvidenceError

ROW = {"request": "How?", "answer": "No.", "label": "full_refusal", "labeller": "A. Reader", "human": True}
LABELS = ("full_refusal", "compliance")


def write(tmp_path, *rows):
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_line_is_an_answer_with_what_somebody_said_of_it(tmp_path):
    found = read_labelled(write(tmp_path, ROW, {**ROW, "model": "m", "human": False}), LABELS)
    assert found.name == "labelled.jsonl"
    assert [row.human for row in found.rows] == [True, False]
    assert [row.model for row in found.rows] == ["", "m"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"label": "rude"}, "'rude'"),
        ({"human": 1}, "human is int"),
        ({"extra": 1}, "'extra'"),
        ({"request": " "}, "empty request"),
        ({"labeller": ""}, "nobody's name"),
        ({"answer": "a" * 100_001}, "characters"),
        ({"answer": None}, "answer is NoneType"),
    ],
)
def test_a_line_that_is_no_such_answer_is_refused_with_its_place(tmp_path, change, found):
    with pytest.raises(EvidenceError) as error:
        read_labelled(write(tmp_path, ROW, {**ROW, **change}), LABELS)
    assert found in str(error.value)
    assert "line 2" in str(error.value)


def test_a_missing_field_an_empty_file_and_a_folder_are_refused(tmp_path):
    short = {name: value for name, value in ROW.items() if name != "human"}
    with pytest.raises(EvidenceError, match="no labelled answers"):
        read_labelled(write(tmp_path, short), LABELS)
    with pytest.raises(EvidenceError, match="no labelled answers"):
        read_labelled(write(tmp_path), LABELS)
    with pytest.raises(EvidenceError, match="no labelled answers"):
        read_labelled(tmp_path, LABELS)


@given(st.binary() | st.text().map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_at_all_is_read_or_refused(tmp_path, data):
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    with pytest.raises(EvidenceError):
        read_labelled(path, LABELS)


@given(st.dictionaries(st.sampled_from([*ROW, "model"]), st.text() | st.booleans() | st.none()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_with_anything_in_its_fields_is_read_or_refused(tmp_path, change):
    path = write(tmp_path, {**ROW, **change})
    try:
        found = read_labelled(path, LABELS)
    except EvidenceError:
        return
    assert isinstance(found, LabelledFile)
