import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.measure.statistics.sequence import Capital, GroupedSequence, final, fixed_bounds, peaks

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def by_hand(values, m, side):
    """The capital of the module's docstring, written out."""
    from greenlight.measure.statistics.sequence import SHARES, WEIGHTS

    total = 0.0
    for share, weight in zip(SHARES, WEIGHTS, strict=True):
        product = 1.0
        for x in values:
            product *= 1 + share * (x - m) / m if side > 0 else 1 - share * (x - m) / (1 - m)
        total += weight * product
    return total


@given(VALUES, st.floats(0.05, 0.95), st.sampled_from([1, -1]))
@settings(max_examples=60, deadline=None)
def test_capital_is_the_mixture_of_products(values, m, side):
    capital = Capital(m, side)
    for value in values:
        capital.add(value)
    assert math.exp(capital.log) == pytest.approx(by_hand(values, m, side), rel=1e-9)
    assert final(values, m, side) == pytest.approx(capital.log)


@given(VALUES, st.floats(0.05, 0.95), st.sampled_from([1, -1]))
@settings(max_examples=40, deadline=None)
def test_the_peak_is_the_most_ever_held(values, m, side):
    capital, most = Capital(m, side), 0.0
    for value in values:
        capital.add(value)
        most = max(most, capital.log)
    assert peaks(np.array([values]), m, side)[0] == pytest.approx(most)


def test_bets_are_fair_at_the_mean():
    """Each factor has mean 1 under any distribution with mean m: checked on three of them."""
    for values, chances in (([0, 1], [0.7, 0.3]), ([0.1, 0.3, 0.9], [0.5, 0.3, 0.2]), ([0.25], [1.0])):
        m = float(np.dot(values, chances))
        for side in (1, -1):
            mean = sum(p * math.exp(final([x], m, side)) for x, p in zip(values, chances, strict=True))
            assert mean == pytest.approx(1.0)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60), st.sampled_from([0.05, 0.01]))
@settings(max_examples=40, deadline=None)
def test_a_limit_is_shown_exactly_when_the_bounds_have_passed_it(values, alpha):
    limits = [(limit, side) for limit in (-0.5, 0.0, 0.3) for side in (1, -1)]
    sequence = GroupedSequence(-1, 1, n_planned=60, n_groups=60, limits=limits)
    for index, value in enumerate(values):
        sequence.add(str(index), value)
    lower, upper = sequence.bounds(alpha)
    for limit, side in limits:
        passed = lower >= limit if side > 0 else upper <= limit
        if abs((lower if side > 0 else upper) - limit) > 1e-9:
            assert sequence.shown(limit, side, alpha) == passed


@given(VALUES)
@settings(max_examples=30, deadline=None)
def test_bounds_only_ever_narrow(values):
    sequence, before = GroupedSequence(0, 1, n_planned=40, n_groups=40), (0.0, 1.0)
    for index, value in enumerate(values):
        sequence.add(str(index), value)
        if index % 8 == 0:
            now = sequence.bounds(0.05)
            assert now.lower >= before[0] - 1e-9
            assert now.upper <= before[1] + 1e-9
            before = now


def runs_with(rate, n, runs, rng):
    return (rng.random((runs, n)) < rate).astype(float)


@pytest.mark.parametrize(("limit", "side"), [(0.8, 1), (0.05, -1), (0.5, 1)])
def test_looking_after_every_item_is_wrong_in_at_most_alpha_of_10000_runs(limit, side):
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(10):
        wrong += int((peaks(runs_with(limit, 200, 1000, rng), limit, side) >= -math.log(0.05)).sum())
    assert wrong / 10_000 <= 0.05


def test_five_attempts_together_are_wrong_in_at_most_alpha():
    """Five models at the limit, one after the other, each with a fifth of alpha: any wrong pass counts."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(10):
        passed = peaks(runs_with(0.8, 150, 1000, rng), 0.8, 1) >= -math.log(0.05 / 5)
        wrong += int(passed.reshape(200, 5).any(axis=1).sum())
    assert wrong / 2000 <= 0.05


def test_a_fixed_interval_looked_at_after_every_item_would_be_wrong_far_too_often():
    """Why betting: an interval that is right once, looked at after each of 200 items."""
    from greenlight.measure.statistics.proportions import upper_bounds

    rng = np.random.default_rng(6)
    hits = runs_with(0.5, 200, 1000, rng).cumsum(axis=1)
    assert (upper_bounds(hits, np.arange(1, 201), 0.05) < 0.5).any(axis=1).mean() > 0.15


def clustered(n_groups, size, rate, icc, rng):
    """Values by group with this intraclass correlation (beta-binomial), and an exam order."""
    spread = (1 - icc) / icc
    rates = rng.beta(rate * spread, (1 - rate) * spread, n_groups)
    values = [(f"g{g}", float(rng.random() < rates[g])) for g in range(n_groups) for _ in range(size)]
    return [values[index] for index in rng.permutation(len(values))]


@pytest.mark.parametrize("icc", [0.3, 0.6, 0.9])
def test_groups_and_early_stopping_together_keep_the_promise(icc):
    rng, wrong, runs = np.random.default_rng(int(icc * 10)), 0, 120
    for _ in range(runs):
        sequence = GroupedSequence(0, 1, n_planned=120, n_groups=30, limits=[(0.8, 1)])
        for group, value in clustered(30, 4, 0.8, icc, rng):
            sequence.add(group, value)
            if sequence.shown(0.8, 1, 0.05):
                wrong += 1
                break
    assert wrong / runs <= 0.05


def test_treating_grouped_answers_as_independent_would_not():
    rng, wrong, runs = np.random.default_rng(9), 0, 120
    for _ in range(runs):
        values = np.array([value for _, value in clustered(30, 4, 0.8, 0.9, rng)])
        wrong += peaks(values[None], 0.8, 1)[0] >= -math.log(0.05)
    assert wrong / runs > 0.08


def test_a_model_that_does_half_of_it_fails_a_two_percent_limit_after_about_four_items():
    rng, stops = np.random.default_rng(4), []
    for _ in range(200):
        capital = Capital(0.02, 1)
        n = 0
        while capital.log < -math.log(0.05):
            capital.add(float(rng.random() < 0.5))
            n += 1
        stops.append(n)
    assert np.median(stops) <= 4


def test_later_members_of_a_group_count_once_all_are_there():
    sequence = GroupedSequence(0, 1, n_planned=120, n_groups=30, limits=[(0.75, 1)])
    for index in range(119):
        sequence.add(f"g{index % 30}", 1.0)
    early = sequence.bounds(0.01)
    sequence.add("g29", 1.0)
    assert sequence.bounds(0.01).lower > early.lower


def test_fixed_bounds_hold_for_sparse_signs():
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(150):
        values = rng.choice([1.0, 0.0], size=60, p=[0.1, 0.9])
        wrong += fixed_bounds(values, -1, 1, 0.05).upper < 0.1
    assert wrong / 150 <= 0.05
