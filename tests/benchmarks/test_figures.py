from __future__ import annotations

import pytest
from benchmarks.figures import Figure, alternate, median, paired_ratio, status, void_because


def speed(ours=(), peer=(), **rest) -> Figure:
    return Figure(name="speed", unit="tok/s", ours=tuple(ours), peer=tuple(peer), peer_name="peer", **rest)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    # The medians alone would say 20 / 10 = 2.
    assert paired_ratio(speed([10, 20, 90], [10, 30, 10])) == 1.0


def test_a_ratio_above_one_means_ours_is_ahead_in_seconds_too():
    assert paired_ratio(speed([2.0], [8.0], more_is_better=False)) == 4.0


def test_sides_with_different_numbers_of_rounds_have_no_ratio():
    assert paired_ratio(speed([1, 2], [1])) is None
    assert paired_ratio(speed([1])) is None
    assert median(()) is None


@pytest.mark.parametrize(
    ("peer", "rest", "void"),
    [
        (80.0, {"known": 100.0}, False),
        (79.0, {"known": 100.0}, True),
        (90.0, {"known": 100.0, "best": 120.0}, True),
        (1.0, {}, False),
        (12.5, {"known": 10.0, "more_is_better": False}, False),
        (13.0, {"known": 10.0, "more_is_better": False}, True),
    ],
)
def test_a_peer_below_80_percent_of_what_it_can_do_voids_the_comparison(peer, rest, void):
    figure = speed([1000.0], [peer], ratio_floor=1.5, **rest)
    assert (void_because(figure) is not None) == void
    assert (status(figure) == "void") == void


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (speed(), "not run"),
        (speed([3]), "shown"),
        (speed([3], [2], ratio_floor=1.5), "met"),
        (speed([3], [2.1], ratio_floor=1.5), "missed"),
        (speed([3], ratio_floor=1.5), "missed"),
        (speed([3], [2], ratio_floor=1.5, at_least=4), "missed"),
        (speed([800], at_least=800), "met"),
        (speed([0.2], at_most=0.2, more_is_better=False), "met"),
        (speed([0.21], at_most=0.2, more_is_better=False), "missed"),
        (speed([3], [2]), "shown"),
    ],
)
def test_a_figure_is_met_when_everything_required_of_it_is(figure, expected):
    assert status(figure) == expected


def test_rounds_alternate_and_the_warm_up_is_forgotten():
    said: list[str] = []

    def side(name: str):
        def run() -> float:
            said.append(name)
            return float(len(said))

        return run

    values = alternate(2, {"a": side("a"), "b": side("b")}, between=lambda: said.append("|"))
    assert "".join(said) == "|a|b|b|a|a|b"
    assert values == {"a": (8.0, 10.0), "b": (6.0, 12.0)}
