import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.engine.stops import StopMatcher

TEXTS = st.text("abc", max_size=12)
STOPS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3).map(tuple)


def run(stops, pieces):
    matcher, out = StopMatcher(stops), []
    for piece in pieces:
        out.append(matcher.push(piece))
        if matcher.stopped:
            return "".join(out), True
    return "".join(out) + matcher.flush(), matcher.stopped


def before_first_stop(stops, text):
    """The definition, letter by letter: the first string to be completed ends the text."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


@settings(deadline=None, max_examples=300)
@given(STOPS, st.lists(TEXTS, max_size=8))
def test_the_text_ends_before_the_first_stop_string_however_it_is_cut(stops, pieces):
    assert run(stops, pieces) == before_first_stop(stops, "".join(pieces))


@settings(deadline=None, max_examples=300)
@given(STOPS, TEXTS)
def test_what_may_become_a_stop_string_is_held_back_and_nothing_else(stops, text):
    matcher, out = StopMatcher(stops), ""
    for n, letter in enumerate(text, 1):
        out += matcher.push(letter)
        if matcher.stopped:
            return
        held = text[len(out) : n]
        assert held == "" or any(stop.startswith(held) and stop != held for stop in stops)


@pytest.mark.parametrize(
    ("stops", "pieces", "text"),
    [
        (("END",), ["a E", "N", "D b"], "a "),
        (("END",), ["a E", "N", "x"], "a ENx"),
        (("\n\n",), ["a\n", "b\n", "\nc"], "a\nb"),
        (("abcd", "bc"), ["ab", "cd"], "a"),
        (("bc", "abc"), ["abc"], ""),
    ],
)
def test_examples(stops, pieces, text):
    assert run(stops, pieces)[0] == text
