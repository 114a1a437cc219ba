import math

import numpy as np
import pytest

from greenlight.measure.statistics.power import items_needed, p_ever_shown, p_labels_suffice, passes_after, passes_at
from greenlight.measure.statistics.sequence import peaks


def test_a_perfect_model_passes_when_the_capital_is_there():
    after = passes_after([1.0] * 50, [str(i) for i in range(50)], 0.8, 1, 0, 1, 0.05)
    assert peaks(np.ones((1, after)), 0.8, 1)[0] >= -math.log(0.05)
    assert peaks(np.ones((1, after - 1)), 0.8, 1)[0] < -math.log(0.05)
    assert items_needed(1.0, 0.8, 1, 0, 1, 0.05) == after


def test_an_exam_can_be_too_small_and_a_value_can_never_do():
    assert passes_after([0.0] * 20, [str(i) for i in range(20)], 0.02, -1, 0, 1, 0.05) is None
    assert items_needed(0.0, 0.02, -1, 0, 1, 0.05) > 149
    assert items_needed(0.8, 0.8, 1, 0, 1, 0.05) is None


def test_labels_suffice_for_a_good_judge_and_not_for_a_small_exam():
    assert p_labels_suffice(600, 0.98, 0.05, 0.05) > 0.99
    assert p_labels_suffice(60, 0.98, 0.05, 0.05) < 0.01


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_a_rate_below_a_limit_is_rarely_shown_above_it(rate):
    assert p_ever_shown(rate, 300, 0.2, 0.05) <= 0.05


@pytest.mark.parametrize(("n", "limit", "side"), [(400, 0.8, 1), (300, 0.15, -1)])
def test_a_model_at_the_share_that_is_told_passes_in_nine_of_ten(n, limit, side):
    """Independent draws; one halfway to the limit passes less often."""
    rate, rng = passes_at(n, limit, side, 0.05), np.random.default_rng(2)
    assert (rate - limit) * side > 0

    def share(rate):
        return float(np.mean(peaks((rng.random((400, n)) < rate).astype(float), limit, side) >= -math.log(0.05)))

    assert share(rate) > 0.82
    assert share((rate + limit) / 2) < 0.82


def test_too_few_answers_pass_at_no_share():
    assert passes_at(20, 0.02, -1, 0.05) is None
