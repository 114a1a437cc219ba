import math

import numpy as np
import pytest
from scipy import stats

from greenlight.measure.statistics.clusters import (
    GroupSums,
    balance,
    binary_clustered,
    bootstrap,
    by_group,
    cluster_t,
    effective_size,
    standard_error,
)
from greenlight.measure.statistics.guards import UndercoverageError
from greenlight.measure.statistics.proportions import clopper_pearson, upper_bound


def test_groups_of_one_give_the_ordinary_t_interval():
    values = [0.2, 0.9, 0.4, 0.4, 0.7, 0.1] * 4
    sums = by_group(values, [str(i) for i in range(24)])
    witness = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert cluster_t(sums, 0.025) == pytest.approx(witness)


def test_the_clustered_error_is_the_formula_written_out():
    values, groups = [1, 0, 1, 1, 0, 0, 1], list("aabbbcc")
    mean = np.mean(values)
    residual = {g: sum(v - mean for v, h in zip(values, groups, strict=True) if h == g) for g in "abc"}
    expected = math.sqrt(3 / 2 * sum(r**2 for r in residual.values())) / len(values)
    assert standard_error(by_group(values, groups)) == pytest.approx(expected)


def test_t_from_few_groups_is_refused_where_it_would_cover_too_little():
    """Eight skewed groups: by the formula, 95 % would cover well below 94."""
    rng, covered, runs, rate = np.random.default_rng(8), 0, 2000, 0.1
    for hits in grouped(rate, 8, 10, 0.3, runs, rng):
        mean, error = hits.sum() / 80, standard_error(GroupSums(hits, np.full(8, 10.0)))
        covered += abs(mean - rate) <= stats.t.ppf(0.975, 7) * error
    assert covered / runs < 0.93
    with pytest.raises(UndercoverageError, match="bootstrap"):
        cluster_t(GroupSums(np.ones(8), np.full(8, 10.0)), 0.025)
    assert standard_error(by_group([1, 0, 1], ["a"] * 3)) == math.inf


def test_a_proportion_without_groups_is_exact():
    sums = by_group([1.0] * 12 + [0.0] * 28, [str(i) for i in range(40)])
    assert binary_clustered(sums, 0.025) == pytest.approx(clopper_pearson(12, 40, 0.05))


def test_where_no_failure_is_seen_the_groups_are_the_size():
    sums = by_group([1.0] * 200, [str(i % 40) for i in range(200)])
    assert effective_size(sums) == 40
    assert binary_clustered(sums, 0.05).lower == pytest.approx(1 - upper_bound(0, 40, 0.05))


def grouped(rate, n_groups, size, icc, runs, rng):
    """Hits per group (runs, groups) with this intraclass correlation."""
    if icc == 0:
        return rng.binomial(size, np.full((runs, n_groups), rate)).astype(float)
    spread = (1 - icc) / icc
    return rng.binomial(size, rng.beta(rate * spread, (1 - rate) * spread, (runs, n_groups))).astype(float)


@pytest.mark.parametrize(("n_groups", "size"), [(20, 10), (40, 5), (100, 4)])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.3, 0.5])
def test_clustered_proportions_cover_at_least_94_percent(n_groups, size, rate):
    rng, runs = np.random.default_rng(n_groups), 250
    for icc in (0, 0.3, 0.6):
        covered = 0
        for hits in grouped(rate, n_groups, size, icc, runs, rng):
            bounds = binary_clustered(GroupSums(hits, np.full(n_groups, float(size))), 0.025)
            covered += bounds.lower <= rate <= bounds.upper
        # Two standard errors of the simulation itself below 94 %.
        assert covered / runs >= 0.94 - 2 * math.sqrt(0.94 * 0.06 / runs), icc


@pytest.mark.parametrize("active", [0.1, 0.2, 0.4])
def test_a_lean_at_the_limit_passes_in_at_most_alpha(active):
    """Templates of four answers, P(any lean) = active, mean lean 0.1: sparse, skewed, the case where t alone fails."""
    rng, wrong, runs = np.random.default_rng(int(active * 100)), 0, 300
    towards = (1 + 0.1 / active) / 2
    for _ in range(runs):
        leaning = rng.random((60, 4)) < rng.beta(active * 2, (1 - active) * 2, (60, 1))
        signs = np.where(rng.random((60, 4)) < towards, 1.0, -1.0)
        wrong += balance(GroupSums((leaning * signs).sum(axis=1), np.full(60, 4.0)), 0.05).upper <= 0.1
    assert wrong / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_a_model_that_never_leans_is_bounded_by_its_templates():
    bounds = balance(GroupSums(np.zeros(60), np.full(60, 4.0)), 0.01)
    assert bounds == pytest.approx((-upper_bound(0, 60, 0.01), upper_bound(0, 60, 0.01)))


def test_the_bootstrap_repeats_exactly_and_is_near_the_t_interval():
    rng = np.random.default_rng(1)
    totals = rng.normal(0.4, 1.0, 80)

    def mean(times):
        return float(times @ totals / times.sum())

    first = bootstrap(mean, 80)
    assert first == bootstrap(mean, 80)
    assert first == pytest.approx(stats.t.interval(0.95, 79, totals.mean(), stats.sem(totals)), abs=0.03)


def test_a_statistic_that_mostly_does_not_exist_has_no_interval():
    assert bootstrap(lambda times: None, 10) is None
    assert bootstrap(lambda times: 0.0, 1) is None
