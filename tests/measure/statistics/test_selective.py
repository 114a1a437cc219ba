"""The risk-coverage curve against its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.measure.statistics.selective import CurvePoint, risk_coverage


def test_the_curve_of_four_answers_is_as_by_hand():
    curve = risk_coverage([0.6, 0.9, 0.8, 0.7], [0, 1, 0, 1])
    assert curve.points == (
        CurvePoint(0.25, 0.0, 0.9),
        CurvePoint(0.5, 0.5, 0.8),
        CurvePoint(0.75, pytest.approx(1 / 3), 0.7),
        CurvePoint(1.0, 0.5, 0.6),
    )
    assert curve.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_without_answers_there_is_no_area():
    assert risk_coverage([], []) == ((), None)


def test_a_model_that_knows_when_it_is_wrong_has_the_least_area_and_its_mirror_the_most():
    right = [1] * 6 + [0] * 4
    knows, fooled = (risk_coverage(sure, right).aurc for sure in (range(10, 0, -1), range(10)))
    others = [risk_coverage(np.random.default_rng(seed).permutation(10), right).aurc for seed in range(50)]
    assert knows <= min(others)
    assert max(others) <= fooled


def test_confidence_that_says_nothing_has_the_share_of_errors_as_area():
    assert risk_coverage([0.5] * 10, [1] * 7 + [0] * 3).aurc == pytest.approx(0.3)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_ties_count_as_the_mean_over_every_order(answers):
    """Every order that confidence allows, each by the plain definition."""
    areas = []
    for order in itertools.permutations(answers):
        if all(a[0] >= b[0] for a, b in itertools.pairwise(order)):
            wrong = np.cumsum([not right for _, right in order])
            areas.append(np.mean(wrong / np.arange(1, len(order) + 1)))
    curve = risk_coverage(*zip(*answers, strict=True))
    assert curve.aurc == pytest.approx(np.mean(areas))
    assert curve.points[-1].risk == pytest.approx(np.mean([not right for _, right in answers]))
