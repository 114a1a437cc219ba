"""Two labellers: kappa against published tables, and the interval against simulation."""

import numpy as np
import pytest

from greenlight.measure.statistics.agreement import MIN_ANSWERS, agreement

# (counts, kappa, its standard error): the first is the example of Fleiss, Cohen and Everitt (1969), 200 subjects, kappa
# .429; errors as statsmodels 0.15 (cohens_kappa) gives them.
TABLES = [
    ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.429, 0.053711),
    ([[20, 5], [10, 15]], 0.400, 0.126996),
    ([[45, 15], [25, 15]], 0.130, 0.098662),
    ([[90, 3, 0], [5, 40, 7], [1, 2, 52]], 0.859, 0.031364),
]


def labels_of(counts):
    pairs = [(str(a), str(b)) for a, row in enumerate(counts) for b, count in enumerate(row) for _ in range(count)]
    return tuple(zip(*pairs, strict=True))


@pytest.mark.parametrize(("counts", "kappa", "error"), TABLES)
def test_kappa_and_its_error_are_the_published_ones(counts, kappa, error):
    found = agreement(*labels_of(counts))
    assert found.kappa == pytest.approx(kappa, abs=5e-4)
    assert found.kappa_error == pytest.approx(error, abs=1e-6)
    assert found.kappa_bounds.lower < kappa < found.kappa_bounds.upper
    assert found.same == sum(counts[i][i] for i in range(len(counts)))
    assert agreement(*reversed(labels_of(counts))).kappa == pytest.approx(found.kappa)


def test_agreement_on_one_label_alone_says_nothing_beyond_chance():
    found = agreement(["a"] * 40, ["a"] * 40)
    assert (found.raw, found.kappa, found.kappa_bounds) == (1.0, None, None)


def test_perfect_agreement_is_one_and_gets_no_interval_of_no_width():
    found = agreement(["a", "b"] * 40, ["a", "b"] * 40)
    assert (found.kappa, found.kappa_bounds) == (1.0, None)
    assert found.raw_bounds.lower < 0.96


def test_few_answers_get_no_interval_and_none_nothing_at_all():
    few = agreement(*labels_of([[10, 3], [3, 10]]))
    assert few.n < MIN_ANSWERS
    assert few.kappa is not None
    assert few.kappa_bounds is None
    assert agreement([], [])[:3] == (0, 0, None)


def test_labels_of_different_numbers_of_answers_are_refused():
    with pytest.raises(ValueError, match="zip"):
        agreement(["a"], ["a", "b"])


def test_labels_that_hardly_vary_get_no_interval():
    assert agreement(*labels_of([[95, 2], [1, 2]])).kappa_bounds is None


@pytest.mark.parametrize(
    ("shares", "n"),
    [([[0.45, 0.08], [0.12, 0.35]], 60), ([[0.05, 0.03], [0.03, 0.89]], 150), ([[0.4, 0.1], [0.1, 0.4]], 30)],
)
def test_the_interval_covers_kappa_in_94_of_100(shares, n):
    rng, inside, given, p = np.random.default_rng(3), 0, 0, np.array(shares)
    by_chance = float(p.sum(1) @ p.sum(0))
    true = (np.trace(p) - by_chance) / (1 - by_chance)
    for _ in range(1500):
        bounds = agreement(*labels_of(rng.multinomial(n, p.ravel()).reshape(2, 2))).kappa_bounds
        if bounds is not None:
            given += 1
            inside += bounds.lower <= true <= bounds.upper
    assert given > 1200
    assert inside / given >= 0.94 - 2 * 0.006
