import pytest

from greenlight.assess.suites import gold
from greenlight.assess.suites.item import Item, Message
from greenlight.assess.suites.obey import obey
from greenlight.measure.graders.checks import holds

COMBINED = [
    [{"check": "words", "want": 7}, {"check": "ends_with", "want": "blue door"}],
    [{"check": "bullets", "want": 3}, {"check": "word_times", "want": {"word": "owl", "times": 2}}],
    [{"check": "json_keys", "want": ["a", "b"]}, {"check": "contains", "want": "Ida"}],
    [{"check": "paragraphs", "want": 2}, {"check": "sentences", "want": 5}, {"check": "question", "want": True}],
    [{"check": "upper", "want": True}, {"check": "lines", "want": 4}],
    [{"check": "wrapped", "want": ["<<", ">>"]}, {"check": "words_at_most", "want": 6}],
]


@pytest.mark.parametrize("checks", COMBINED)
def test_the_text_passes_every_check(checks):
    text = obey(checks)
    assert [check["check"] for check in checks if not holds(check, text)] == []


def test_a_key_of_no_known_kind_has_no_gold_answer():
    item = Item(id="x", topic="t", cluster="c", messages=(Message("user", "?"),), key={"strange": 1}, note="n")
    with pytest.raises(KeyError, match="strange"):
        gold(item)
