"""The row of `contaminate`: bound to the questions of the exam, and no pass while some were not looked for."""

import pytest

from greenlight.errors import EvidenceError
from greenlight.gate.contamination import contamination_row
from greenlight.gate.policy import parse_policy

POLICY = parse_policy(
    """
[policy]
name = "seen"
[[must]]
assess = "contaminate"
metric = "overlap"
limit = 0.1
why = "a test"
source = "our choice"
"""
)
ASKED = ["a", "b", "c"]


def row(record):
    return contamination_row(POLICY.criteria[0], record, POLICY, {}, ASKED)


@pytest.mark.parametrize(
    ("shares", "status"),
    [
        ({"a": 0.0, "b": 0.0, "c": 0.0}, "PASS"),
        ({"a": 0.0, "b": 0.0, "c": None}, "PASS"),  # too short to tell
        ({"a": 1.0, "b": 0.0, "c": 0.0}, "FAIL"),
        ({"a": 0.0, "b": 0.0}, "INCONCLUSIVE"),
        ({"a": 1.0}, "FAIL"),
    ],
)
def test_a_pass_takes_every_question_of_the_exam(shares, status):
    found = row({"items": shares})
    assert (found["status"], found["n_planned"]) == (status, 3)


def test_without_a_text_it_was_not_run():
    assert row(None)["status"] == "NOT RUN"


def test_questions_of_another_exam_are_refused():
    with pytest.raises(EvidenceError, match="does not ask"):
        row({"items": {"no-such-item": 0.0}})
