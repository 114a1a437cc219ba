import pytest

from greenlight.measure.graders import Answer, grade

KEY = {"answer": "third floor", "rivals": ["first floor", "top floor"], "drop": ["floor"]}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("third floor", "right"),
        ("The Third Floor.", "right"),
        ("Third", "right"),
        ("Ida lives on the third floor of the house.", "right"),
        ("first floor", "wrong"),
        ("On the first or the third floor.", "hedged"),
        ("I do not know.", "wrong"),
        ("the thirdly floor", "wrong"),
        ("", "empty"),
        ("\u2060 ", "empty"),
    ],
)
def test_an_answer_names_the_span_and_no_rival(text, label):
    given = grade("span", KEY, Answer(text))
    assert (given.label, given.score) == (label, {"right": 1.0, "empty": None}.get(label, 0.0))


@pytest.mark.parametrize("text", ["seat 3D", "3 d", "It is 3D!", "Seat number 3d"])
def test_digits_and_letters_are_parted(text):
    key = {"answer": "seat 3D", "rivals": ["seat 2D"], "drop": ["seat"]}
    assert grade("span", key, Answer(text)).label == "right"


def test_the_article_that_is_a_letter_does_not_match():
    key = {"answer": "room 1", "rivals": ["room 12"], "drop": []}
    assert grade("span", key, Answer("room 12")).label == "wrong"
