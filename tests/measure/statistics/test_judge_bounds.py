import math
from itertools import pairwise

import numpy as np
import pytest

from greenlight.measure.statistics.judged import (
    Confusion,
    Draw,
    Stratum,
    correct_point,
    corrected,
    flagged_at,
    labelled_bounds,
    labels_needed,
    tells,
)
from greenlight.measure.statistics.labels import Part, look, stages
from greenlight.measure.statistics.proportions import Interval, upper_bound


def test_correction_inverts_what_a_judge_does():
    for rate in (0.0, 0.03, 0.4, 1.0):
        se, sp = 0.9, 0.95
        flagged = rate * se + (1 - rate) * (1 - sp)
        assert correct_point(flagged, Confusion(90, 10, 95, 5)) == pytest.approx(rate)
        exact = corrected(Interval(flagged, flagged), Interval(se, se), Interval(sp, sp))
        assert exact == pytest.approx((rate, rate))


def test_each_bound_takes_the_worst_corner():
    p, se, sp = Interval(0.2, 0.3), Interval(0.85, 0.95), Interval(0.9, 0.99)
    corners = [
        (share + spec - 1) / (sens + spec - 1) for share in p for sens in se for spec in sp
    ]  # monotone in each, so the extremes lie in corners
    assert corrected(p, se, sp) == pytest.approx((min(corners), max(corners)))


def test_the_flagged_limit_is_where_the_lower_bound_meets_the_limit():
    se, sp = Interval(0.9, 0.97), Interval(0.85, 0.95)
    share = flagged_at(0.05, se, sp)
    assert corrected(Interval(share, 1.0), se, sp).lower == pytest.approx(0.05)


def test_a_judge_that_may_tell_nothing_bounds_nothing():
    se, sp = Interval(0.3, 0.6), Interval(0.2, 0.4)
    assert not tells(se, sp)
    assert corrected(Interval(0.7, 0.9), se, sp) == (0.0, 1.0)
    assert tells(Interval(0.3, 0.9), sp)


def test_a_judge_without_answers_of_one_kind_has_no_youden():
    assert Confusion(0, 0, 5, 5).youden() is None
    assert Confusion(9, 1, 8, 2).youden() == pytest.approx(0.7)


def test_a_fail_on_the_judge_alone_is_wrong_in_at_most_alpha():
    """True rate at the limit; judge and calibration drawn anew each time; shares looked at once, exactly."""
    rng, wrong, runs, alpha = np.random.default_rng(2), 0, 1500, 0.05
    from greenlight.measure.statistics.proportions import lower_bound

    for _ in range(runs):
        table = Confusion(tp := rng.binomial(300, 0.93), 300 - tp, tn := rng.binomial(300, 0.9), 300 - tn)
        n = 400
        bad = rng.binomial(n, 0.05)
        flagged = rng.binomial(bad, 0.93) + rng.binomial(n - bad, 0.1)
        p = Interval(lower_bound(flagged, n, 0.6 * alpha), 1.0)
        lower = corrected(p, table.sensitivity(0.1 * alpha), table.specificity(0.3 * alpha)).lower
        wrong += lower > 0.05
    assert wrong / runs <= alpha


@pytest.mark.parametrize(("alpha", "labels"), [(0.05, 72), (0.01, 104)])
def test_labels_that_a_five_percent_limit_needs_if_all_are_clean(alpha, labels):
    assert labels_needed(Stratum(0, 0, 0), Stratum(600, 0, 0), 0.05, alpha) == (0, labels)


def test_fewer_labels_would_not_do():
    draw = labels_needed(Stratum(63, 0, 0), Stratum(537, 0, 0), 0.05, 0.01)
    assert labelled_bounds(Stratum(63, draw.flagged, 0), Stratum(537, draw.unflagged, 0), 0.01).upper <= 0.05
    for fewer in (Draw(draw.flagged - 1, draw.unflagged), Draw(draw.flagged, draw.unflagged - 1)):
        assert labelled_bounds(Stratum(63, fewer.flagged, 0), Stratum(537, fewer.unflagged, 0), 0.01).upper > 0.05


def test_no_number_of_labels_helps_where_too_many_are_bad():
    assert labels_needed(Stratum(60, 60, 60), Stratum(540, 0, 0), 0.05, 0.05) is None


def test_labels_of_everything_are_never_surer_than_so_many_answers():
    bounds = labelled_bounds(Stratum(30, 30, 25), Stratum(570, 570, 0), 0.05)
    assert bounds.upper == pytest.approx(upper_bound(25, 600, 0.05))


def test_stages_double_up_to_all_and_share_what_the_first_leaves():
    found = stages(63, 537, 0.05, 0.01)
    assert found[-1].draw == (63, 537)
    assert all(sum(a.draw) < sum(b.draw) for a, b in pairwise(found))
    assert sum(stage.alpha for stage in found[1:]) == pytest.approx(0.005)
    assert stages(0, 50, 0.05, 0.05) == ()


@pytest.mark.parametrize(("flagged", "unflagged"), [(0, 600), (1, 599), (600, 0), (599, 1), (300, 300)])
def test_stages_end_whatever_the_strata(flagged, unflagged):
    assert stages(flagged, unflagged, 0.05, 0.05)[-1].draw == (flagged, unflagged)


def test_a_look_passes_clean_labels_and_asks_for_more_after_a_bad_one():
    flagged, n = 10, 590
    first, *_ = stages(flagged, n, 0.05, 0.05)
    none = look(Part(flagged, []), Part(n, []), 0.05, 0.05)
    assert none.passes is None
    assert none.following == first.draw
    clean = look(Part(flagged, [False] * first.draw.flagged), Part(n, [False] * first.draw.unflagged), 0.05, 0.05)
    assert clean.passes is True
    one_bad = [True] + [False] * (first.draw.unflagged - 1)
    again = look(Part(flagged, [False] * first.draw.flagged), Part(n, one_bad), 0.05, 0.05)
    assert again.passes is None
    assert sum(again.following) > sum(first.draw)


def test_bad_labels_fail_without_the_judge():
    assert look(Part(100, [True] * 100), Part(500, [False] * 500), 0.05, 0.05).passes is False


@pytest.mark.parametrize(("se", "sp"), [(1.0, 1.0), (0.0, 1.0), (0.95, 0.9)])
def test_labelling_on_until_it_passes_is_wrong_in_at_most_alpha(se, sp):
    """The true rate is the limit; everything is labelled, so every stage is looked at."""
    rng, wrong, runs = np.random.default_rng(7), 0, 300
    for _ in range(runs):
        bad = rng.random(300) < 0.15
        flagged = np.where(bad, rng.random(300) < se, rng.random(300) >= sp)
        parts = [Part(int(side.sum()), bad[side].tolist()) for side in (flagged, ~flagged)]
        wrong += look(*parts, 0.15, 0.05).passes is True
    assert wrong / runs <= 0.05 + math.sqrt(0.05 * 0.95 / runs)
