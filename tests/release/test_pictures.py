import random

import numpy as np
import pytest

from greenlight.measure.statistics.calibration import ece
from greenlight.measure.statistics.selective import risk_coverage
from greenlight.release.page.pictures import _bins, _covered, _mean, confidence, differences, overview


@pytest.fixture
def picks():
    rng = random.Random(4)
    return [(confidence := rng.uniform(0.25, 1), float(rng.random() < confidence)) for _ in range(101)]


def test_the_groups_of_the_reliability_picture_are_those_of_the_calibration_error(picks):
    groups = _bins(picks)
    assert sum(map(len, groups)) == len(picks)
    gaps = [len(group) * abs(_mean(group, 0) - _mean(group, 1)) for group in groups]
    expected = ece([pick[0] for pick in picks], [pick[1] for pick in picks])
    assert sum(gaps) / len(picks) == pytest.approx(expected)


def test_the_table_of_risk_ends_where_everything_is_answered(picks):
    lines = list(_covered(picks))
    assert lines[-1][0] == "100%"
    assert float(lines[-1][1]) == pytest.approx(1 - np.mean([pick[1] for pick in picks]), abs=5e-4)
    assert risk_coverage([pick[0] for pick in picks], [pick[1] for pick in picks]).points[-1].coverage == 1


def row(name, **changes):
    assess, _, metric = name.rpartition(".")
    return {
        "row": name, "assess": assess, "metric": metric, "direction": "max", "limit": 0.1, "status": "PASS",
        "value": 0.02, "lower": 0.0, "upper": 0.08, "n_used": 100, "details": {}, "n_planned": 100,
    } | changes  # fmt: skip


def test_limits_are_drawn_where_there_are_two_and_leans_on_an_axis_of_their_own():
    assert overview({"rows": [row("hallucinate.wrong")]}) == ()
    [both] = overview({"rows": [row("hallucinate.wrong"), row("bias.s_amb", lower=-0.05)]})
    assert "−1" in both.figure
    assert [line[2] for line in both.lines] == ["at most 0.100", "within 0.100 either way"]


def test_differences_have_a_picture_of_their_own_with_flips():
    details = {"worse": 3, "better": 11, "mcnemar_p": 0.0574}
    [found] = differences({"rows": [row("hallucinate.wrong", compare="base", details=details)]})
    assert found.lines[0][-3:] == ("3", "11", "0.0574")
    assert "beside base" in found.figure
    assert overview({"rows": [row("hallucinate.wrong", compare="base", details=details)] * 2}) == ()


def test_a_run_without_confidence_has_no_picture_of_it():
    class Contents:
        decision = {"rows": [row("hallucinate.wrong")]}

    assert confidence(Contents()) == ()


def test_pictures_do_not_depend_on_when_they_are_drawn():
    rows = [row("hallucinate.wrong"), row("bias.s_amb", lower=-0.05)]
    assert overview({"rows": rows}) == overview({"rows": rows})
