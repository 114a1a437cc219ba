import pytest

from greenlight.errors import ConfigError
from greenlight.measure.graders import Answer, grade


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("16 - 3 = 13\n#### 13", 1, 1),
        ("#### 1,013.", 1, 1),
        ("#### $13", 0, 0),
        ("It is 13.", 0, 0),
        ("#### 12\n#### 13", 0, 0),
        ("#### 1013 and then 2", 1, 0),
        ("#### 7\nSo $1,013", 0, 1),
        ("none", 0, 0),
    ],
)
def test_the_two_readings_are_lm_evals(text, strict, flexible):
    wanted = "1,013" if "013" in text else "13"
    for reading, score in (("strict", strict), ("flexible", flexible)):
        if text in ("#### $13", "It is 13.", "#### 12\n#### 13") and reading == "flexible":
            score = 1  # the last number, whatever stands around it
        assert grade("solved", {"number": wanted, "reading": reading}, Answer(text)).score == score


def test_a_third_reading_is_an_error_of_the_item():
    with pytest.raises(ConfigError, match="read in a way"):
        grade("solved", {"number": "1", "reading": "kind"}, Answer("1"))


@pytest.mark.parametrize(
    ("text", "line", "label"),
    [
        (" True.\nQ: more", "True", "right"),
        ("true or false", "True", "wrong"),
        ("(B) the second", "(B)", "right"),
        ("(b)", "(B)", "right"),
        ("B", "(B)", "wrong"),
        ('"sort, these words"', "sort these words", "right"),
        ("\n", "True", "empty"),
    ],
)
def test_the_first_line_is_the_answer(text, line, label):
    assert grade("line", {"line": line}, Answer(text)).label == label


@pytest.mark.parametrize(
    ("text", "label"), [(" signs.", "right"), ("signs", "right"), ("signals", "wrong"), ("Signs", "wrong")]
)
def test_an_answer_opens_with_a_whole_word(text, label):
    assert grade("opening", {"opening": "signs"}, Answer(text)).label == label
