"""The simulations behind docs/statistics.md, with fewer runs: what the intervals promise, they keep."""

import math

import pytest

from benchmarks import simulate


def within(share, promised, runs):
    """At most what is promised, up to two standard errors of the simulation."""
    return share <= promised + 2 * math.sqrt(promised * (1 - promised) / runs)


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1])
@pytest.mark.parametrize(("se", "sp", "labels"), [(0.99, 0.99, 600), (0.9, 0.95, 100), (0.8, 0.8, 600)])
def test_a_judged_share_is_covered_whatever_the_judge(rate, se, sp, labels):
    assert within(1 - simulate.judged_coverage(300, rate, se, sp, labels, 150), 0.06, 150)


@pytest.mark.parametrize(("se", "sp"), [(1.0, 1.0), (0.9, 0.9), (0.5, 0.95)])
def test_labels_of_a_run_cover_the_rate_whatever_the_judge(se, sp):
    assert within(1 - simulate.labelled_coverage(300, 0.1, se, sp, 75, 300), 0.06, 300)


@pytest.mark.parametrize(("size", "icc"), [(1, 0.0), (4, 0.0), (4, 0.8)])
def test_paired_differences_are_covered(size, icc):
    assert within(1 - simulate.paired_coverage(240, size, 0.15, 0.05, icc, 150), 0.06, 150)


@pytest.mark.parametrize("attempts", [1, 5])
def test_a_model_at_its_limit_gets_through_in_at_most_alpha_over_all_attempts(attempts):
    assert within(simulate.wrong_go(0.8, 1, 200, 0.05, attempts, 1000), 0.05, 1000)
    assert within(simulate.wrong_go(0.05, -1, 300, 0.05, attempts, 1000), 0.05, 1000)


@pytest.mark.parametrize(("se", "sp"), [(1.0, 1.0), (0.9, 0.88)])
def test_nor_by_labels_over_attempts_and_stages_with_a_perfect_and_an_imperfect_judge(se, sp):
    assert within(simulate.wrong_go_judged(0.15, 200, se, sp, 0.05, 3, 60), 0.05, 60)


@pytest.mark.parametrize("better", [0.0, 0.05])
def test_a_model_worse_by_the_margin_itself_passes_in_at_most_alpha(better):
    assert within(simulate.at_margin(300, 300, 0.12, better, 150), 0.05, 150)


def test_most_answers_are_saved_far_from_a_limit_and_few_at_it():
    far, near = simulate.stops(0.5, 0.05, 30, 200), simulate.stops(0.05, 0.05, 30, 200)
    assert far.mean() < 20
    assert near.mean() > 150


def test_exact_coverage_is_what_it_says_and_wilsons_is_not():
    exact = [simulate.exact_coverage("Clopper-Pearson", 100, rate) for rate in simulate.RATES]
    assert min(exact) >= 0.95
    assert min(simulate.exact_coverage("Wilson", 100, rate) for rate in simulate.RATES) < 0.94


def test_tables_are_markdown_and_every_refused_cell_is_worse_than_it_says():
    text = simulate.table(["a", "b"], [["1", "2"]])
    assert text == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert len(simulate.refused(200)) == 4
