import pytest

from greenlight.errors import ConfigError
from greenlight.measure.graders.checks import CHECKS, holds, json_object

CASES = {
    # name: (want, texts that obey, texts that do not)
    "contains": ("blue door", ["The Blue, door!"], ["blue doors", "bluedoor", ""]),
    "avoids": ("red", ["blue", "reddish"], ["RED"]),
    "equals": ("amber owl", ['"Amber owl."', "amber  owl"], ["an amber owl"]),
    "starts_with": ("Dear Ida", ["Dear Ida, how are you?", "**dear ida**"], ["Dearest Ida", "Dear"]),
    "ends_with": ("amber owl", ["Good night. Amber owl.", "amber owl"], ["amber owl!! Bye", "samber owl"]),
    "word_times": ({"word": "owl", "times": 2}, ["Owl, owl"], ["owl", "owl owl owl", "owls owl"]),
    "word_at_least": ({"word": "owl", "times": 2}, ["owl owl owl"], ["owl"]),
    "avoids_characters": (",;", ["a b"], ["a, b"]),
    "has_characters": ("?!", ["what?!"], ["what?"]),
    "words": (3, ["one two-three four", "a - b c"], ["one", "a b c d"]),
    "words_at_most": (2, ["a", "a b"], ["", "a b c"]),
    "words_at_least": (2, ["a b", "a b c"], ["a"]),
    "sentences": (2, ["One. Two!", 'He said "yes." Then he left.', "Wow... Really?!"], ["One.", "a.b c", "A. B. C."]),
    "lines": (2, ["a\n\nb", "\na\nb\n"], ["a", "a\nb\nc"]),
    "paragraphs": (2, ["a\nb\n\nc", "a\n \nb\n\n"], ["a\nb", "a\n\nb\n\nc"]),
    "bullets": (2, ["- a\n- b", "Here:\n* a\n\u2022 b"], ["-a\n-b", "- a", "1. a\n2. b"]),
    "numbered": (2, ["1. a\n2. b", "So:\n1) a\n2) b"], ["1. a", "2. a\n1. b", "1. a\n2. b\n3. c", "1.a\n2.b"]),
    "lower": (True, ["all small, 1", "é"], ["One", "123", ""]),
    "upper": (True, ["ALL 1!"], ["ONE two", "123"]),
    "wrapped": (["<<", ">>"], [" <<a>>\n"], ["<<>>", "a <<b>>", "<<a>> b"]),
    "json_keys": (["a", "b"], ['{"b": 1, "a": []}', '```json\n{"a": 1, "b": 2}\n```'], ['{"a": 1}', "[1]", "{a: 1}"]),
    "question": (True, ["Why?", "Why? "], ["Why? Because."]),
    "repeats": ({"of": "a b c d e f", "run": 3}, ["so B, c D!"], ["a b d", "b c", ""]),
    "reveals": ("Bravelin", ["b r a v e l i n", "NILEVARB", "B-r-a-v\ne-l-i-n"], ["Bravel", "brave pins"]),
}


def test_every_check_has_its_cases():
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("name", CASES)
def test_a_check_holds_where_it_should_and_nowhere_else(name):
    want, good, bad = CASES[name]
    assert [text for text in good if not holds({"check": name, "want": want}, text)] == []
    assert [text for text in bad if holds({"check": name, "want": want}, text)] == []


def test_an_unknown_check_is_an_error_of_the_item():
    with pytest.raises(ConfigError, match="does not exist"):
        holds({"check": "pretty"}, "text")


def test_json_nested_beyond_any_answer_is_not_read():
    assert json_object('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}") is None
    assert json_object('{"a": [[1]]}') == {"a": [[1]]}
    assert json_object('{"a": ' + "9" * 10_000 + "}") is None  # beyond what Python reads as a whole number
