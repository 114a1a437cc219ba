import numpy as np
import pytest
from scipy import stats

from greenlight.measure.statistics.guards import UndercoverageError
from greenlight.measure.statistics.proportions import (
    clean_needed,
    clopper_pearson,
    lower_bound,
    upper_bound,
    upper_bounds,
    wilson,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 30), (7, 30), (15, 30), (30, 30), (3, 600), (299, 600)])
def test_exact_and_wilson_intervals_agree_with_scipy(hits, n):
    witness = stats.binomtest(hits, n)
    exact, shown = witness.proportion_ci(0.95, "exact"), witness.proportion_ci(0.95, "wilson")
    assert clopper_pearson(hits, n, 0.05) == pytest.approx((exact.low, exact.high), abs=1e-12)
    if n >= 30:
        assert wilson(hits, n, 0.05) == pytest.approx((shown.low, shown.high), abs=1e-12)


def test_the_upper_bound_is_the_rate_at_which_so_few_hits_have_probability_alpha():
    bound = upper_bound(3, 100, 0.05)
    assert stats.binom.cdf(3, 100, bound) == pytest.approx(0.05)
    assert lower_bound(97, 100, 0.05) == pytest.approx(1 - bound)


def test_figures_known_from_print():
    assert upper_bound(0, 100, 0.05) == pytest.approx(0.0295, abs=5e-5)  # the rule of three, exact
    assert upper_bound(2, 313, 0.05) == pytest.approx(0.01998, abs=5e-6)
    assert clean_needed(0.02, 0.05) == 149
    assert clean_needed(0.05, 0.025) == 72
    assert clean_needed(0.05, 0.005) == 104


def test_nothing_measured_is_nothing_known():
    assert clopper_pearson(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize("n", [5, 30, 100, 600])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_one_sided_bounds_cover_at_every_rate(n, alpha):
    hits = np.arange(n + 1)
    upper = upper_bounds(hits, n, alpha)
    for rate in (0.001, 0.02, 0.05, 0.15, 0.5, 0.8, 0.99):
        assert stats.binom.pmf(hits[upper < rate], n, rate).sum() <= alpha + 1e-12


@pytest.mark.parametrize("n", [30, 100, 600])
def test_a_nominal_95_percent_interval_covers_at_least_94(n):
    hits = np.arange(n + 1)
    lower, upper = 1 - upper_bounds(n - hits, n, 0.025), upper_bounds(hits, n, 0.025)
    for rate in np.linspace(0.01, 0.99, 33):
        assert stats.binom.pmf(hits[(lower <= rate) & (rate <= upper)], n, rate).sum() >= 0.94


def test_wilson_is_refused_where_its_coverage_falls_below_what_it_says():
    """Exact: the least coverage over a grid of rates, by the formula as scipy has it."""
    rates = np.linspace(0.01, 0.5, 99)
    ends = [stats.binomtest(hits, 10).proportion_ci(0.95, "wilson") for hits in range(11)]
    covers = [sum(stats.binom.pmf(h, 10, p) for h, e in enumerate(ends) if e.low <= p <= e.high) for p in rates]
    assert min(covers) < 0.90
    with pytest.raises(UndercoverageError, match="clopper_pearson"):
        wilson(3, 10)
