import numpy as np
import pytest

from greenlight.measure.statistics.calibration import brier, ece


def test_error_by_hand():
    # Two bins of two: |1 - 1.5| / 4 + |1 - 1.0| / 4
    assert ece([0.4, 0.6, 0.7, 0.8], [1, 0, 1, 0], bins=2) == pytest.approx((abs(1.0 - 1) + abs(1.5 - 1)) / 4)


def test_bins_hold_the_same_number_and_the_order_does_not_matter():
    rng = np.random.default_rng(0)
    p, y = rng.random(97), rng.integers(0, 2, 97)
    shuffled = rng.permutation(97)
    assert ece(p, y) == pytest.approx(ece(p[shuffled], y[shuffled]))
    sizes = [len(part) for part in np.array_split(np.arange(97), 15)]
    assert max(sizes) - min(sizes) <= 1


def test_fewer_answers_than_bins_and_none_at_all():
    assert ece([0.5, 0.9], [1, 1]) == pytest.approx((0.5 + 0.1) / 2)
    assert ece([], []) is None


def test_always_saying_one_in_four_and_being_right_so_often_scores_three_sixteenths():
    assert brier([0.25] * 4, [1, 0, 0, 0]) == pytest.approx(0.1875)
