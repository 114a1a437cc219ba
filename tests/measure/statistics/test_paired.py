"""Bounds of a paired difference against simulation, McNemar and Holm against scipy and statsmodels' definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2

from greenlight.measure.statistics.clusters import MIN_LEANING, by_group, cluster_t
from greenlight.measure.statistics.paired import Discordant, discordant, holm, loss


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (1, 0), (5, 1), (12, 30), (40, 40)])
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_items(worse, better):
    split = Discordant(worse, better)
    if worse + better == 0:
        assert (split.p, split.p_worse) == (1.0, 1.0)
        return
    assert split.p == pytest.approx(binomtest(worse, worse + better).pvalue)
    assert split.p_worse == pytest.approx(binomtest(worse, worse + better, alternative="greater").pvalue)


def test_approval_of_a_prime_minister_asked_twice():
    """Agresti 2002, Categorical Data Analysis, table 10.1: 150 turned away and 86 came round of 1,600; z^2 = 17.36."""
    split = Discordant(150, 86)
    z_squared = (split.worse - split.better) ** 2 / (split.worse + split.better)
    assert z_squared == pytest.approx(17.36, abs=0.005)
    assert split.p == pytest.approx(float(chi2.sf(17.36, 1)), rel=0.3)  # the exact test beside the approximate one


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_losses_of_independent_items_carry_the_exact_test():
    losses = [1.0] * 9 + [-1.0] + [0.0] * 90
    found = loss(losses, [str(i) for i in range(100)], width=1, alpha=0.05, planned=None)
    assert found.value == pytest.approx(0.08)
    assert found.p_worse == pytest.approx(binomtest(9, 10, alternative="greater").pvalue)
    assert found.bounds.lower > 0
    assert discordant(losses) == Discordant(9, 1)


def test_no_difference_at_all_leaves_room_for_one():
    found = loss([0.0] * 60, [str(i) for i in range(60)], width=1, alpha=0.05, planned=None)
    assert found.bounds.lower == -found.bounds.upper
    assert 0.04 < found.bounds.upper < 0.06  # 3 / 60
    assert (found.p_worse, found.p_better) == (1.0, 1.0)


def test_answers_of_one_cluster_count_once():
    losses = ([1.0] * 5 + [0.0] * 5) * 10
    alone = loss(losses, [str(i) for i in range(100)], width=1, alpha=0.05, planned=None)
    grouped = loss(losses, [str(i // 5) for i in range(100)], width=1, alpha=0.05, planned=None)
    assert grouped.value == alone.value
    assert grouped.bounds.lower < alone.bounds.lower
    assert grouped.p_worse > alone.p_worse


def test_the_other_way_round_is_the_mirror_image():
    rng = np.random.default_rng(3)
    losses = rng.normal(0.1, 0.5, 80).clip(-2, 2)
    groups = [str(i // 2) for i in range(80)]
    one = loss(list(losses), groups, width=2, alpha=0.05, planned=None)
    other = loss(list(-losses), groups, width=2, alpha=0.05, planned=None)
    assert one.bounds.lower == pytest.approx(-other.bounds.upper)
    assert one.p_worse == pytest.approx(other.p_better)


def test_a_run_that_stopped_gets_bounds_that_hold_at_every_stop():
    losses = [0.0, 0.0, 1.0, 0.0, 0.0] * 20
    groups = [str(i) for i in range(100)]
    stopped = loss(losses, groups, width=1, alpha=0.05, planned=(400, 400))
    complete = loss(losses, groups, width=1, alpha=0.05, planned=None)
    assert "every stop" in stopped.method
    assert 0 < stopped.bounds.lower < 0.2 < complete.bounds.upper < stopped.bounds.upper
    assert complete.p_worse < stopped.p_worse < 0.05


def test_nothing_to_compare_says_nothing():
    found = loss([], [], width=2, alpha=0.05, planned=None)
    assert found.bounds == (-2, 2)
    assert found.p_worse == 1.0


def test_all_items_alike_worse_is_no_division_by_zero():
    found = loss([0.5] * 40, [str(i) for i in range(40)], width=1, alpha=0.05, planned=None)
    assert math.isfinite(found.bounds.lower)
    assert found.p_worse < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("worse", "better", "size"), [(0.05, 0.05, 1), (0.02, 0.02, 1), (0.3, 0.3, 1), (0.3, 0.3, 3)])
def test_a_model_that_is_not_worse_is_called_worse_no_more_often_than_alpha(worse, better, size):
    """500 simulated comparisons of two models of the same quality; 0.05 plus three standard errors."""
    rng, wrong, outside = np.random.default_rng(11), 0, 0
    for _ in range(500):
        cluster = rng.choice([1.0, -1.0, 0.0], p=[worse, better, 1 - worse - better], size=120 // size)
        losses = list(np.repeat(cluster, size) * (rng.random(120) < 0.9))
        found = loss(losses, [str(i // size) for i in range(120)], width=1, alpha=0.05, planned=None)
        wrong += found.p_worse <= 0.05
        outside += found.bounds.lower > 0
    assert wrong / 500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)
    assert outside / 500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


@pytest.mark.slow
@pytest.mark.parametrize(("worse", "better"), [(0.04, 0.0), (0.1, 0.02), (0.3, 0.1), (0.01, 0.05)])
def test_bounds_miss_a_real_difference_no_more_often_than_alpha(worse, better):
    rng, true, missed = np.random.default_rng(12), worse - better, [0, 0]
    for _ in range(2000):
        losses = list(rng.choice([1.0, -1.0, 0.0], p=[worse, better, 1 - worse - better], size=100))
        bounds = loss(losses, [str(i) for i in range(100)], width=1, alpha=0.05, planned=None).bounds
        missed[0] += bounds.lower > true
        missed[1] += bounds.upper < true
    assert max(missed) / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("alpha", [0.05, 0.0133])
def test_a_model_that_only_ever_loses_passes_at_the_margin_in_at_most_alpha(alpha):
    """Exact: every number of lost items weighed by its probability. Plain t would be wrong up to 1.8 times as often."""
    plain = []
    for n, margin in ((318, 0.15), (551, 0.08), (551, 0.1), (400, 0.12)):
        groups, passes, by_plain_t = [str(i) for i in range(n)], 0.0, 0.0
        for lost in range(int(n * margin)):
            losses = [1.0] * lost + [0.0] * (n - lost)
            chance = binom.pmf(lost, n, margin)
            if chance < 1e-9:
                continue
            passes += chance * (loss(losses, groups, width=1, alpha=alpha, planned=None).bounds.upper < margin)
            if lost >= MIN_LEANING:
                by_plain_t += chance * (cluster_t(by_group(losses, groups), alpha).upper < margin)
        assert passes <= alpha
        plain.append(by_plain_t)
    assert max(plain) > 1.3 * alpha


@given(
    losses=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=90, max_size=120),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_a_p_value_and_the_bounds_never_disagree(losses, alpha):
    """Two values of each group: cluster-robust t, where enough groups differ."""
    groups = [str(index // 2) for index in range(len(losses))]
    found = loss(losses, groups, width=1, alpha=alpha, planned=None)
    if found.method == "cluster-robust t, paired":
        assert (found.p_worse < alpha) == (found.bounds.lower > 0)
        assert (found.p_better < alpha) == (found.bounds.upper < 0)
