from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.assess.suites.draws import Draws
from greenlight.errors import ConfigError

SEEDS = st.integers(0, 2**256 - 1)


def test_the_stream_is_what_it_was_when_it_was_fixed():
    draws = Draws(0x7F3A09C1, "hierarchy", 1)
    assert [draws.randbelow(1000) for _ in range(8)] == [96, 514, 902, 86, 237, 673, 529, 903]
    assert draws.sample("abcdefgh", 5) == ["d", "e", "f", "h", "c"]
    assert Draws(2**256 - 1).derive("order", 3).randbelow(2**64) == 13603243525360739159


@pytest.mark.parametrize("seed", [-1, 2**256])
def test_a_seed_outside_256_bits_is_refused(seed):
    with pytest.raises(ConfigError, match="seed"):
        Draws(seed)


def test_numbers_outside_the_generator_are_refused():
    with pytest.raises(ValueError, match="randbelow"):
        Draws(1).randbelow(0)
    with pytest.raises(ValueError, match="without repeating"):
        Draws(1).sample("ab", 3)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 2**64))
def test_numbers_stay_below_their_bound_and_repeat_with_their_seed(seed, n):
    values = [Draws(seed, "x").randbelow(n) for _ in range(2)]
    assert values[0] == values[1] < n


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.lists(st.integers(), max_size=30))
def test_a_shuffle_keeps_every_member(seed, items):
    shuffled = list(items)
    Draws(seed).shuffle(shuffled)
    assert sorted(shuffled) == sorted(items)


def test_every_order_of_three_comes_up_about_as_often():
    orders = Counter()
    for i in range(3000):
        items = list("abc")
        Draws(i, "fair").shuffle(items)
        orders["".join(items)] += 1
    assert len(orders) == 6
    assert all(400 < count < 600 for count in orders.values())  # 500 expected, 5 standard deviations either way


def test_a_derived_stream_moves_no_other():
    plain, used = Draws(5, "a"), Draws(5, "a")
    used.derive("b").randbelow(10)
    assert [plain.randbelow(99) for _ in range(5)] == [used.randbelow(99) for _ in range(5)]
    assert Draws(5, "a", "b").randbelow(2**64) == Draws(5, "a").derive("b").randbelow(2**64)
    assert Draws(5, "a", "b").randbelow(2**64) != Draws(5, "a,b").randbelow(2**64)
