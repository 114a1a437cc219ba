import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.measure.strict_yaml import MAX_BYTES, read_texts


def test_every_scalar_is_a_text_as_its_author_typed_it():
    text = "a: 1.0\nb: no\nc: 2025-06-17\nd: ~\ne: 'x'\nf: [1, {g: yes}]"
    assert read_texts(text) == {"a": "1.0", "b": "no", "c": "2025-06-17", "d": "~", "e": "x", "f": ["1", {"g": "yes"}]}
    assert read_texts("") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x 1\nb: *x", "line 2: an alias"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands here twice"),
        ("? [a]\n: 1", "a key is no text"),
        ("a: [1", "line 1"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: \x00", "special characters"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "x" * MAX_BYTES, "longer than"),
    ],
)
def test_what_could_be_read_in_two_ways_or_without_end_is_refused_by_line(text, told):
    with pytest.raises(ValueError, match=told.replace("[", r"\[").replace("*", r"\*")):
        read_texts(text)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#\n \t?,%@0", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        value = read_texts(text)
    except ValueError:
        return
    assert isinstance(value, str | list | dict)
