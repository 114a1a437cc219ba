from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.assess.suites.similarity import Distinct, grams, overlap, too_similar

WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=14).map(" ".join)


def test_a_short_text_is_one_gram():
    assert grams("Tell me, now!") == {"tell me now"}
    assert grams("one two three four five six") == {"one two three four five", "two three four five six"}


def test_case_and_punctuation_do_not_make_a_difference():
    assert overlap(grams("One, two: three four FIVE six."), grams("one two three four five six")) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=12))
def test_the_index_agrees_with_comparing_every_pair(texts):
    sets = [grams(text) for text in texts]
    broken = [i for i in range(len(sets)) if any(overlap(sets[i], sets[j]) >= 0.6 for j in range(i))]
    assert [int(name) for name, _, _ in too_similar((str(i), text) for i, text in enumerate(texts))] == broken


def test_a_text_too_like_an_accepted_one_is_not_kept():
    distinct = Distinct()
    assert distinct.accept("the quick brown fox jumps over a lazy dog")
    assert not distinct.accept("the quick brown fox jumps over a lazy cat")
    assert distinct.accept("a slow green turtle walks under that busy bridge")
