from typing import NamedTuple

import pytest

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.templates import Fill, articles, generate, sentences
from greenlight.assess.suites.words import banks, coined
from greenlight.errors import ConfigError


class Plain(NamedTuple):
    id: str
    text: str


def make(template, index, draws):
    text = Fill(draws)(template.text)
    return Item(
        id=f"{template.id}-{index}", topic="t", cluster=template.id, messages=(Message("user", text),), key={}, note="n"
    )


def test_a_slot_keeps_its_value_and_its_neighbours_get_others():
    for seed in range(30):
        fill = Fill(Draws(seed))
        first, again, second = fill("{name} {name} {name2}").split()
        assert first == again != second


def test_given_values_come_first():
    assert Fill(Draws(1), {"a": 7, "name": "Ida"})("{name} has {a}.") == "Ida has 7."


def test_slots_may_stand_at_the_start_of_a_sentence_and_after_an_article():
    assert sentences("the end. it rains? so it does") == "The end. It rains? So it does"
    assert articles("a apple, a user, a unit, A owl and a pear") == "an apple, a user, a unit, An owl and a pear"


def test_coined_words_are_long_enough_not_to_occur_by_chance():
    assert all(len(coined(Draws(seed))) >= 8 and coined(Draws(seed)).isalpha() for seed in range(50))


def test_no_bank_repeats_a_value():
    for name, bank in banks().items():
        if not callable(bank) and name not in ("onset", "vowel", "coda"):
            assert len(set(bank)) == len(bank), name


def test_templates_take_turns():
    templates = [Plain(name, name + " {name} {town} {company} {subject} {story}") for name in "abc"]
    items = generate(templates, 7, Draws(1), Distinct(), make)
    assert sorted(sum(item.cluster == name for item in items) for name in "abc") == [2, 2, 3]


def test_a_template_without_variety_ends_in_an_error_that_names_it():
    with pytest.raises(ConfigError, match="differ enough") as caught:
        generate([Plain("stuck", "always the same five words")], 2, Draws(1), Distinct(), make)
    assert "stuck" in caught.value.where
