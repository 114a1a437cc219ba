"""statsmodels gives the same intervals, errors, tests and agreement."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from greenlight.measure.statistics.agreement import agreement
from greenlight.measure.statistics.clusters import by_group, cluster_t, standard_error
from greenlight.measure.statistics.paired import Discordant, holm
from greenlight.measure.statistics.proportions import clopper_pearson, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 100), (50, 100), (599, 600)])
def test_intervals_of_a_share_are_the_same(hits, n):
    assert clopper_pearson(hits, n, 0.05) == pytest.approx(proportion_confint(hits, n, 0.05, "beta"), abs=1e-9)
    assert wilson(hits, n, 0.05) == pytest.approx(proportion_confint(hits, n, 0.05, "wilson"), abs=1e-9)


@pytest.mark.parametrize(("worse", "better"), [(150, 86), (9, 1), (4, 4), (0, 6)])
def test_mcnemar_is_the_same(worse, better):
    found = mcnemar([[500, worse], [better, 300]], exact=True)
    assert Discordant(worse, better).p == pytest.approx(float(found.pvalue))


def test_holm_is_the_same():
    rng = np.random.default_rng(4)
    for _ in range(20):
        p = rng.random(rng.integers(1, 12)) ** 3
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_cluster_robust_errors_are_those_of_a_regression_on_a_constant():
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 30, 200)
    values = rng.normal(size=200) + rng.normal(size=30)[groups]
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    sums = by_group(values.tolist(), groups.astype(str).tolist())
    assert standard_error(sums) == pytest.approx(float(fit.bse[0]))
    assert cluster_t(sums, 0.025) == pytest.approx(tuple(fit.conf_int(0.05)[0]))


@pytest.mark.parametrize("counts", [[[106, 10, 4], [22, 28, 10], [2, 12, 6]], [[20, 5], [10, 15]]])
def test_kappa_and_its_error_are_the_same(counts):
    pairs = [(str(a), str(b)) for a, row in enumerate(counts) for b, count in enumerate(row) for _ in range(count)]
    found, witness = agreement(*zip(*pairs, strict=True)), cohens_kappa(np.array(counts))
    assert (found.kappa, found.kappa_error) == pytest.approx((witness.kappa, witness.std_kappa))
