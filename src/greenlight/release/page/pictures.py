"""What do the rows look like together? Pictures of limits, differences and confidence, each with its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from greenlight.evidence import JSON
from greenlight.measure.metrics import picked
from greenlight.measure.statistics.calibration import BINS
from greenlight.measure.statistics.selective import risk_coverage
from greenlight.release.explanation import limit_words, metric_of_row, number, title
from greenlight.release.figures import (
    AMBER,
    BAND,
    BLUE,
    GREEN,
    INK,
    MUTED,
    RED,
    RULE,
    TEXT_PX,
    WIDTH,
    Words,
    drawing,
    write,
)
from greenlight.release.order import Row
from greenlight.release.page.contents import Contents
from greenlight.release.text import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"PASS": GREEN, "FAIL": RED, "DISCLOSED": BLUE}
_CONFIDENT = ("ece", "brier", "aurc")
_MARGIN, _LINE, _FOOT, _HEAD = 14, 36, 34, 6
_SQUARE = 240
"""Height of a picture with two axes."""

_TABLED = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Coverages that the table of a risk-coverage curve names."""


class Picture(NamedTuple):
    """A drawing, and the same as a table."""

    id: str
    title: str
    about: str
    figure: Markup
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


class _Line(NamedTuple):
    """One row of a forest plot, in the unit of its axis."""

    name: str
    status: str
    value: float | None
    lower: float
    upper: float
    allowed: tuple[float, float]
    limits: tuple[float, ...]


def overview(decision: Mapping[str, JSON]) -> tuple[Picture, ...]:
    """Every limit on a rate at a glance."""
    rows = [row for row in decision["rows"] if _has_interval(row) and row["limit"] is not None and _is_rate(row)]
    plain = [row for row in rows if "compare" not in row]
    if len(plain) < 2:
        return ()
    shares = [_line(row) for row in plain if _range(row)[0] >= 0]
    leans = [_line(row) for row in plain if _range(row)[0] < 0]
    least = min((_range(row)[0] for row in plain), default=0.0)
    panels = [panel for panel in (((0.0, 1.0), shares), ((least, 1.0), leans)) if panel[1]]
    return (
        Picture(
            id="picture-limits",
            title="Every limit at a glance",
            about="The band is what is allowed, the line is what the answers leave possible, the diamond the estimate. "
            "A row passes where its line lies in the band, fails where it lies outside, and is open where it crosses.",
            figure=_forest(panels, "picture-limits", "Every limit and what the answers leave possible"),
            head=("row", "status", "allowed", "estimate", "interval", "answers"),
            lines=tuple(_told(row) for row in plain),
        ),
    )


def differences(decision: Mapping[str, JSON]) -> tuple[Picture, ...]:
    """Rows beside a reference, on the same items."""
    rows = [row for row in decision["rows"] if "compare" in row and _has_interval(row) and _is_rate(row)]
    if not rows:
        return ()
    lines = [_line(row) for row in rows]
    reach = max(max(abs(line.lower), abs(line.upper), *map(abs, line.limits)) for line in lines)
    reach = min(1.0, math.ceil(reach * 1.1 * 10) / 10)
    clipped = [line._replace(allowed=_within(line.allowed, reach)) for line in lines]
    return (
        Picture(
            id="picture-differences",
            title="Beside the reference, item by item",
            about="Differences on the same items, the candidate minus the reference: at 0 both are alike. Worse and "
            "better count the items on which one of the two alone went wrong; p is McNemar\u2019s exact test of them.",
            figure=_forest([((-reach, reach), clipped)], "picture-differences", "Differences from the reference"),
            head=("row", "status", "allowed", "difference", "interval", "answers", "worse", "better", "p"),
            lines=tuple((*_told(row), *_flips(row)) for row in rows),
        ),
    )


def confidence(contents: Contents) -> tuple[Picture, ...]:
    """Reliability and risk over coverage, for each suite of which a row reads confidence."""
    used: dict[str, int] = {}
    for row in contents.decision["rows"]:
        if row["metric"] in _CONFIDENT and row["n_used"] and "compare" not in row:
            used[row["assess"]] = max(used.get(row["assess"], 0), row["n_used"])
    return tuple(picture for suite, n in used.items() for picture in _of_suite(contents, suite, n))


def _of_suite(contents: Contents, suite: str, n: int) -> Iterator[Picture]:
    picks = _picks(contents, suite, n)
    name = words(suite)
    yield Picture(
        id=f"picture-reliability-{suite.replace('.', '-')}",
        title=f"{name}: is it right as often as it is sure?",
        about=f"{len(picks):,} answers in {min(BINS, len(picks))} groups of equal size by their confidence: on the "
        "dashed line confidence and accuracy are alike, below it the model is surer than it is right.",
        figure=_reliability(picks, suite),
        head=("answers", "mean confidence", "right"),
        lines=tuple((f"{len(part):,}", f"{_mean(part, 0):.3f}", f"{_mean(part, 1):.3f}") for part in _bins(picks)),
    )
    yield Picture(
        id=f"picture-risk-{suite.replace('.', '-')}",
        title=f"{name}: how often is it wrong where it is surest?",
        about="If only the surest answers were given, how many of those would be wrong: a line that is low at the "
        "left and rises says that confidence tells right from wrong.",
        figure=_risk(picks, suite),
        head=("answered", "of those wrong", "least confidence"),
        lines=tuple(_covered(picks)),
    )


def _picks(contents: Contents, suite: str, n: int) -> list[tuple[float, float]]:
    """Confidence and right or wrong of the first answers in the exam's order; unreadable is certain and wrong."""
    items, samples = contents.items[suite], contents.samples.get(suite, {})
    answered = [{**item, **samples[name].sample} for name, item in items.items() if name in samples]
    return [picked(sample) or (1.0, 0.0) for sample in answered[:n]]


def _bins(picks: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The bins of the calibration error."""
    ordered, n = sorted(picks, key=lambda pick: pick[0]), len(picks)
    bins = min(BINS, n)
    starts = [(index * n + bins - 1) // bins for index in range(bins + 1)]
    return [ordered[start:end] for start, end in pairwise(starts) if end > start]


def _mean(picks: Sequence[tuple[float, float]], part: int) -> float:
    return math.fsum(pick[part] for pick in picks) / len(picks)


def _covered(picks: Sequence[tuple[float, float]]) -> Iterator[tuple[str, ...]]:
    points = risk_coverage([pick[0] for pick in picks], [pick[1] for pick in picks]).points
    for share in _TABLED:
        point = next(point for point in points if point.coverage >= share - 1e-9)
        yield f"{point.coverage:.0%}", f"{point.risk:.3f}", f"{point.confidence:.3f}"


def _has_interval(row: Row) -> bool:
    return row["lower"] is not None and row["upper"] is not None


def _range(row: Row) -> tuple[float, float]:
    metric = metric_of_row(row)
    return (0.0, math.inf) if metric is None else (metric.low, metric.high)


def _is_rate(row: Row) -> bool:
    return _range(row)[1] <= 1 and _range(row)[0] >= -1


def _line(row: Row) -> _Line:
    low, high = _range(row)
    limit, ceiling = row["limit"], row["direction"] == "max"
    both = low < 0 < (limit or 0) and ceiling and "compare" not in row
    allowed, limits = (0.0, 0.0), tuple[float, ...]()
    if both:
        allowed, limits = (-limit, limit), (-limit, limit)
    elif limit is not None:
        allowed, limits = ((low, limit) if ceiling else (limit, high)), (limit,)
    return _Line(title(row), row["status"], row["value"], row["lower"], row["upper"], allowed, limits)


def _within(allowed: tuple[float, float], reach: float) -> tuple[float, float]:
    return max(-reach, allowed[0]), min(reach, allowed[1])


def _told(row: Row) -> tuple[str, ...]:
    interval = f"{number(row, row['lower'])} to {number(row, row['upper'])}"
    allowed = "" if row["limit"] is None else limit_words(row)
    return title(row), row["status"], allowed, number(row, row["value"]), interval, f"{row['n_used']:,}"


def _flips(row: Row) -> tuple[str, ...]:
    worse, better, p = (row["details"].get(name) for name in ("worse", "better", "mcnemar_p"))
    counts = ["" if value is None else f"{value:,}" for value in (worse, better)]
    return (*counts, "" if p is None else f"{p:.3g}")


Panel = tuple[tuple[float, float], Sequence[_Line]]

Place = Callable[[float, float], tuple[float, float]]
"""A point of the data to its place in the picture."""


def _forest(panels: Sequence[Panel], name: str, what: str) -> Markup:
    """Rows one below the other, those of one range over one axis."""
    height = sum(_HEAD + _LINE * len(lines) + _FOOT for _, lines in panels)

    def draw(axes: Axes) -> None:
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(0, height)
        top = height
        for ends, lines in panels:
            bottom = top - _HEAD - _LINE * len(lines)
            _axis(axes, ends, bottom, top - _HEAD)
            for index, line in enumerate(lines):
                _forest_line(axes, line, ends, top - _HEAD - _LINE * (index + 1))
            top = bottom - _FOOT

    said = "; ".join(f"{line.name}: {line.status.lower()}" for _, lines in panels for line in lines)
    return drawing(draw, height, Words(name, what, f"{said}. The table beneath has the numbers.", ""))


def _at(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    inside = min(max(value, low), high)
    return _MARGIN + (inside - low) / (high - low) * (WIDTH - 2 * _MARGIN)


def _axis(axes: Axes, ends: tuple[float, float], bottom: float, top: float) -> None:
    _stroke(axes, (_MARGIN, WIDTH - _MARGIN), (bottom, bottom), RULE)
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = ends[0] + share * (ends[1] - ends[0])
        x = _at(value, ends)
        _stroke(axes, (x, x), (bottom, bottom - 4), RULE)
        align = "left" if share == 0 else "right" if share == 1 else "center"
        write(axes, x, bottom - 4 - TEXT_PX, f"{value:.3g}".replace("-", "\u2212"), MUTED, align)
    if ends[0] < 0:
        _stroke(axes, (_at(0, ends),) * 2, (bottom, top), RULE)


def _forest_line(axes: Axes, line: _Line, ends: tuple[float, float], bottom: float) -> None:
    colour, y = _COLOURS.get(line.status, AMBER), bottom + 9
    left, right = (_at(value, ends) for value in line.allowed)
    if line.limits:
        axes.fill([left, right, right, left], [y - 7, y - 7, y + 7, y + 7], color=BAND, linewidth=0)
    for limit in line.limits:
        _stroke(axes, (_at(limit, ends),) * 2, (y - 7, y + 7), INK, style=(0, (3, 2)), width=1.25)
    _stroke(axes, (_at(line.lower, ends), _at(line.upper, ends)), (y, y), colour, width=3)
    for end in (line.lower, line.upper):
        _stroke(axes, (_at(end, ends),) * 2, (y - 4, y + 4), colour, width=2)
    if line.value is not None:
        x = _at(line.value, ends)
        axes.fill([x - 5, x, x + 5, x], [y, y + 5, y, y - 5], facecolor=colour, edgecolor=BAND, linewidth=1, zorder=5)
    write(axes, _MARGIN, y + 11, line.name, INK, "left")
    write(axes, WIDTH - _MARGIN, y + 11, line.status, colour, "right")


def _stroke(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], colour: str, *, width: float = 1, style: object = "-"
) -> None:
    axes.plot(list(xs), list(ys), color=colour, linewidth=width, linestyle=style, solid_capstyle="butt", clip_on=False)


def _plane(up: str, said: Words, top: float, draw: Callable[[Axes, Place], None]) -> Markup:
    """A picture with both axes from 0: across to 1, up to `top`."""
    left, bottom, right, ceiling = 44, 38, WIDTH - _MARGIN, _SQUARE - 26

    def x_of(x: float) -> float:
        return left + x * (right - left)

    def y_of(y: float) -> float:
        return bottom + y / top * (ceiling - bottom)

    def all_of(axes: Axes) -> None:
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(0, _SQUARE)
        _stroke(axes, (left, right), (bottom, bottom), RULE)
        _stroke(axes, (left, left), (bottom, ceiling), RULE)
        for share in (0, 0.5, 1):
            write(axes, x_of(share), bottom - 15, f"{share:g}", MUTED, "center")
            write(axes, left - 6, y_of(share * top) - 4, f"{share * top:.3g}", MUTED, "right")
        write(axes, right, 5, said.limit, MUTED, "right")
        write(axes, left - 6, ceiling + 14, up, MUTED, "left")
        draw(axes, lambda x, y: (x_of(x), y_of(y)))

    return drawing(all_of, _SQUARE, said._replace(limit=""))


def _reliability(picks: Sequence[tuple[float, float]], suite: str) -> Markup:
    points = [(_mean(part, 0), _mean(part, 1)) for part in _bins(picks)]
    said = Words(
        f"picture-reliability-{suite.replace('.', '-')}", f"{words(suite)}: accuracy against confidence",
        "Each dot is one group of answers. The table beneath has the numbers.", "confidence",
    )  # fmt: skip

    def draw(axes: Axes, place: Place) -> None:
        (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
        _stroke(axes, (x0, x1), (y0, y1), MUTED, style=(0, (4, 3)))
        _curve(axes, [place(*point) for point in points], dots=True)

    return _plane("right", said, 1.0, draw)


def _risk(picks: Sequence[tuple[float, float]], suite: str) -> Markup:
    points = risk_coverage([pick[0] for pick in picks], [pick[1] for pick in picks]).points
    most = max(point.risk for point in points)
    top = min(1.0, math.ceil(max(most, 0.05) * 10) / 10)
    said = Words(
        f"picture-risk-{suite.replace('.', '-')}", f"{words(suite)}: share wrong against share answered",
        f"Answering everything, {points[-1].risk:.3f} are wrong. The table beneath has the numbers.", "share answered",
    )  # fmt: skip

    def draw(axes: Axes, place: Place) -> None:
        _curve(axes, [place(point.coverage, point.risk) for point in points], dots=False)

    return _plane("wrong", said, top, draw)


def _curve(axes: Axes, points: Sequence[tuple[float, float]], *, dots: bool) -> None:
    xs, ys = np.array(points).T
    if not dots:
        _stroke(axes, xs.tolist(), ys.tolist(), BLUE, width=2)
    for x, y in points if dots else ():
        axes.fill([x - 4, x, x + 4, x], [y, y + 4, y, y - 4], facecolor=BLUE, edgecolor=BAND, linewidth=1, zorder=5)
