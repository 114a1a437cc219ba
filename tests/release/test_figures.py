import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.release.figures import Words, interval_figure, scale_of

WORDS = Words("row-x", "a & b", "it <is>", "allowed: at most 0.050")


def row(**values):
    return {"limit": 0.05, "value": 0.61, "lower": 0.52, "upper": 1.0, "direction": "max", **values}


def test_a_drawing_is_the_same_every_time():
    assert interval_figure(row(), 0, 1, WORDS) == interval_figure(row(), 0, 1, WORDS)


def test_settings_of_the_machine_do_not_reach_a_drawing():
    import matplotlib as mpl

    plain = interval_figure(row(), 0, 1, WORDS)
    with mpl.rc_context(
        {"font.family": "serif", "lines.linewidth": 9, "svg.fonttype": "path", "axes.facecolor": "red"}
    ):
        assert interval_figure(row(), 0, 1, WORDS) == plain


def test_a_drawing_takes_its_colours_from_the_page_and_brings_no_ids_of_its_own():
    svg = str(interval_figure(row(), 0, 1, WORDS))
    assert re.findall(r' id="([^"]+)"', svg) == ["row-x-t", "row-x-d"]
    assert "#" not in svg
    assert "font-family" not in svg
    assert "http" not in svg
    assert set(re.findall(r"(?:fill|stroke):([^;\"]+)", svg)) <= {
        "none", "var(--ink)", "var(--rule)", "var(--band)", "var(--status)", "var(--muted)",
    }  # fmt: skip


def test_words_for_those_who_do_not_see_it_are_escaped():
    svg = str(interval_figure(row(), 0, 1, WORDS))
    assert '<title id="row-x-t">a &amp; b</title><desc id="row-x-d">it &lt;is&gt;</desc>' in svg
    ElementTree.fromstring(svg)


def test_an_open_end_is_an_arrow_and_a_closed_one_a_bar():
    def widths(svg):
        paths = re.findall(r'<path d="([^"]+)" style="[^"]*stroke-width:2"/>', str(svg))
        xs = [[float(x) for x in re.findall(r"[ML] (-?[\d.]+)", path)] for path in paths]
        return [max(x) - min(x) for x in xs]

    assert widths(interval_figure(row(), 0, 1, WORDS)) == [0, pytest.approx(6)]
    assert widths(interval_figure(row(lower=0.0, upper=0.3), 0, 1, WORDS)) == [pytest.approx(6), 0]
    assert widths(interval_figure(row(lower=0.2, upper=0.3), 0, 1, WORDS)) == [0, 0]


def test_a_drawing_zooms_where_everything_is_small_and_shows_both_sides_of_a_balance():
    assert scale_of(row(), 0, 1) == (0, 1)
    assert scale_of(row(value=0.0, lower=0.0, upper=0.08), 0, 1) == (0, 0.1)
    assert scale_of(row(limit=0.1, value=0.0, lower=-0.07, upper=0.07), -1, 1) == (-0.2, 0.2)
    assert scale_of(row(limit=None, value=900.0, lower=800.0, upper=1000.0), 0, float("inf")) == (0, 2000)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.one_of(st.none(), st.floats(-1, 1)),
    st.sampled_from(["max", "min"]),
)  # fmt: skip
def test_every_row_can_be_drawn(one, other, value, limit, direction):
    lower, upper = sorted((one, other))
    words = WORDS if limit is not None else WORDS._replace(limit="")
    drawn = interval_figure(row(lower=lower, upper=upper, value=value, limit=limit, direction=direction), -1, 1, words)
    assert drawn.startswith("<svg")
    assert "nan" not in drawn
