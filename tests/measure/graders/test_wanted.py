import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.measure.graders import Answer, grade
from greenlight.measure.graders.wanted import matches


@pytest.mark.parametrize(
    ("text", "strict", "label"),
    [
        ("Billing.", False, "right"),
        ("  billing\n", True, "right"),
        ("Billing.", True, "wrong"),
        ("billing, I think", False, "wrong"),
        (" \n", False, "empty"),
    ],
)
def test_exact_compares_the_whole_answer(text, strict, label):
    assert grade("exact", {"wanted": ["access", "billing"], "strict": strict}, Answer(text)).label == label


@pytest.mark.parametrize(
    ("text", "every", "label"),
    [
        ("The sky is blue.", True, "right"),
        ("Blue.", True, "wrong"),
        ("Blue.", False, "right"),
        ("A blue sky, not red", True, "wrong"),
        ("skyblue", True, "wrong"),
    ],
)
def test_contains_finds_whole_words_and_none_that_are_forbidden(text, every, label):
    key = {"holds": ["blue", "sky"], "avoids": ["red"], "every": every}
    assert grade("contains", key, Answer(text)).label == label


@pytest.mark.parametrize(
    ("text", "label"),
    [("Order  #42-a", "right"), ("order #4-a", "wrong"), ("my order #42-a", "wrong"), ("order #42-", "right")],
)
def test_a_pattern_holds_for_the_whole_answer(text, label):
    assert grade("pattern", {"pattern": "order #??-*"}, Answer(text)).label == label


@given(st.text("ab?", max_size=12), st.text("ab*?", max_size=8))
def test_stars_and_marks_mean_what_shells_mean_by_them(text, pattern):
    assert matches(text, pattern) == fnmatch.fnmatchcase(text, pattern)


def test_a_pattern_of_many_stars_is_matched_at_once():
    assert not matches("a" * 20_000, "*a" * 30 + "b")
