import pytest

from greenlight.cli.view import number, row_line

ROW = {
    "row": "refuse.non_refusal",
    "assess": "refuse",
    "metric": "non_refusal",
    "value": 0.61,
    "lower": 0.52,
    "upper": 1.0,
    "limit": 0.05,
    "direction": "max",
    "status": "FAIL",
    "n_used": 38,
    "n_planned": 600,
    "labels": None,
}


def test_a_row_shows_figure_interval_limit_status_and_amount():
    line = row_line(ROW, 4.2)
    for part in (
        "refuse",
        "non refusal 0.61",
        "[0.52, 1.00]",
        "≤ 0.05",
        "FAIL",
        "38 of 600 items",
        "certain after 4 s",
    ):
        assert part in line


@pytest.mark.parametrize(("needed", "expected"), [(74, "needs 74 labels"), (None, "600 items")])
def test_an_open_judged_row_says_how_many_labels_it_needs_where_that_is_known(needed, expected):
    row = {**ROW, "status": "INCONCLUSIVE", "n_used": 600, "labels": {"have": 0, "needed": needed}}
    assert expected in row_line(row)


def test_a_row_that_was_not_run_is_still_a_line():
    row = {**ROW, "value": None, "lower": None, "upper": None, "status": "NOT RUN", "n_used": 0}
    assert "NOT RUN" in row_line(row)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("size_bytes", 98e6, "98 MB"), ("decode_tok_s", 201.4, "201 tok/s"), ("first_token_s", 0.0123, "0.012 s")],
)
def test_figures_carry_their_units(metric, value, text):
    assert number(metric, value) == text
