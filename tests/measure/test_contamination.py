import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.measure.contamination import LEAST_WORDS, RUN_WORDS, Overlap, runs

QUESTION = "Which of the nine old bridges over the river Tarn was built by monks after the great flood?"
SHORT = "How many bridges did the nine monks build?"


def shares(questions, *lines):
    overlap = Overlap(questions)
    overlap.read(lines)
    return overlap.shares()


def test_a_question_that_stands_in_the_text_is_found_whatever_its_case_and_punctuation():
    found = shares({"long": QUESTION, "short": SHORT}, f"x y. {QUESTION.upper().replace(' ', '  ')} {SHORT}")
    assert found == {"long": 1.0, "short": 1.0}


def test_a_question_that_does_not_stand_there_is_clean():
    half = " ".join(QUESTION.split()[: RUN_WORDS - 1])
    assert shares({"long": QUESTION, "short": SHORT}, half, "How many bridges did nine monks build?") == {
        "long": 0.0,
        "short": 0.0,
    }


def test_part_of_a_question_is_part_of_its_runs():
    part = " ".join(QUESTION.split()[: RUN_WORDS + 1])
    total = len(QUESTION.split()) - RUN_WORDS + 1
    assert shares({"long": QUESTION}, part)["long"] == pytest.approx(2 / total)


def test_runs_go_on_from_line_to_line():
    words = QUESTION.split()
    assert shares({"long": QUESTION}, " ".join(words[:7]), " ".join(words[7:]))["long"] == 1


def test_of_a_question_of_a_few_words_nothing_can_be_told():
    assert runs(" ".join("abcdefg")) == frozenset()
    assert len("abcdefg") == LEAST_WORDS - 1
    assert shares({"a": "too short"}, "too short") == {"a": None}
    assert shares({}, "text") == {}


@given(st.lists(st.sampled_from("abc"), min_size=8, max_size=20), st.lists(st.sampled_from("abc"), max_size=60))
def test_the_stream_finds_what_looking_everywhere_finds(question, text):
    size = min(RUN_WORDS, len(question))
    mine = {tuple(question[i : i + size]) for i in range(len(question) - size + 1)}
    there = {tuple(text[i : i + size]) for i in range(len(text) - size + 1)}
    assert shares({"q": " ".join(question)}, " ".join(text))["q"] == len(mine & there) / len(mine)


def test_a_long_line_is_cut_between_words():
    words = QUESTION.split()
    for before in range(2**16 - len(QUESTION) - 2, 2**16 + 2):
        filler = "a " * (before // 2)
        assert shares({"long": QUESTION}, f"{filler}{' '.join(words)} and more")["long"] == 1
