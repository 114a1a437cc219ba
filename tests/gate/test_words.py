from greenlight.gate.words import figures_apart
from greenlight.measure.metrics import metric_of


def test_a_bound_and_a_limit_that_round_alike_are_told_apart():
    brier = metric_of("calibrate", "brier")
    assert figures_apart(brier, 0.1875, 0.18752, 0.25) == ["0.18750", "0.18752", "0.25000"]
    assert figures_apart(brier, 0.1875, 0.1875, 0.25) == ["0.188", "0.188", "0.250"]
