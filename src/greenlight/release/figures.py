"""Where does a number lie against its limit? One small drawing a row, in colours that the page chooses."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup, escape

from greenlight.evidence import JSON

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 340, 74
"""Size in CSS pixels: drawn for a phone, so that nothing shrinks on one."""

_MARGIN = 14
_HEADROOM = 20  # where the limit is named
_BAR_Y, _AXIS_Y = 0.50, 0.24
TEXT_PX = 11

# matplotlib knows no CSS variables: each role is drawn in a colour of its own and given its name afterwards.
_NAMES = ("--ink", "--rule", "--band", "--status", "--muted", "--red", "--green", "--amber", "--blue")
_ROLES = {f"#{number:06x}": name for number, name in enumerate(_NAMES, start=1)}
INK, RULE, BAND, STATUS, MUTED, RED, GREEN, AMBER, BLUE = _ROLES

_SVG = "{http://www.w3.org/2000/svg}"


class Words(NamedTuple):
    """What a drawing is called and says."""

    name: str
    """Unique on the page."""

    title: str
    """What is drawn, for those who do not see it."""

    description: str
    """What it shows, in a sentence."""

    limit: str
    """What is allowed, as it stands over the limit; empty where there is none."""


class Scale(NamedTuple):
    """The stretch of numbers that a drawing shows."""

    low: float
    high: float

    @property
    def whole(self) -> float:
        """Its length."""
        return self.high - self.low


def scale_of(row: Mapping[str, JSON], low: float, high: float) -> Scale:
    """The metric's whole range, or the part of it from its good end where all that matters lies in under a third.

    Args:
        row: with limit, value, lower and upper.
        low: least value that the metric can have.
        high: greatest; infinity where there is none.
    """
    numbers = [abs(row[key]) for key in ("limit", "value", "lower", "upper") if row[key] is not None]
    reach = _round_up(1.15 * max(numbers, default=1.0))
    if math.isinf(high):
        return Scale(low, reach)
    if reach >= high / 3:
        return Scale(low, high)
    return Scale(-reach if low < 0 else low, reach)


def _round_up(value: float) -> float:
    """The next number of the form 1, 2, 2.5, 3, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next((step * power for step in (1, 2, 2.5, 3, 4, 5, 8) if step * power >= value), 10 * power))


def interval_figure(row: Mapping[str, JSON], low: float, high: float, words: Words) -> Markup:
    """An interval against its limit: the allowed side as a band, the estimate as a diamond, open ends as arrows.

    Args:
        row: a row of the decision with lower and upper.
        low: least value that the metric can have.
        high: greatest.
        words: what it is called and says.
    """
    scale = scale_of(row, low, high)
    pad = scale.whole * _MARGIN / (WIDTH - 2 * _MARGIN)

    def draw(axes: Axes) -> None:
        axes.set_xlim(scale.low - pad, scale.high + pad)
        axes.set_ylim(0, 1)
        _draw(axes, row, scale, closed=(low, high), limit=words.limit)

    return drawing(draw, HEIGHT, words, top=0 if words.limit else _HEADROOM)


def drawing(draw: Callable[[Axes], None], height: int, words: Words, *, top: int = 0) -> Markup:
    """What a function draws, as a part of the page.

    Args:
        draw: draws on axes that fill the picture and are without a scale until it gives them one.
        height: in CSS pixels; the width is WIDTH.
        words: what it is called and says.
        top: pixels to leave out above.
    """
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.figure import Figure

    with rc_context():
        rcdefaults()
        rcParams.update(
            {"svg.hashsalt": "greenlight", "svg.fonttype": "none", "font.size": TEXT_PX, "path.simplify": False}
        )
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        figure.patch.set_visible(False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_page(buffer.getvalue(), words, height, top)


def _draw(axes: Axes, row: Mapping[str, JSON], scale: Scale, *, closed: tuple[float, float], limit: str) -> None:
    _axis(axes, scale)
    if row["limit"] is not None:
        _limit(axes, row, scale, limit, both=_either_way(row, closed[0]))
    if row["lower"] is None or row["upper"] is None:
        return
    colour = INK if row["limit"] is None else STATUS
    lower, upper = max(row["lower"], scale.low), min(row["upper"], scale.high)
    axes.plot([lower, upper], [_BAR_Y, _BAR_Y], color=colour, linewidth=3, solid_capstyle="butt", clip_on=False)
    for end, sign, edge in ((lower, -1, max(closed[0], scale.low)), (upper, 1, min(closed[1], scale.high))):
        is_open = math.isclose(end, edge)
        _end(axes, end, sign * scale.whole / (WIDTH - 2 * _MARGIN), colour, arrow=is_open and row["limit"] is not None)
    if row["value"] is not None and scale.low <= row["value"] <= scale.high:
        _diamond(axes, row["value"], scale.whole / (WIDTH - 2 * _MARGIN), colour)


def _either_way(row: Mapping[str, JSON], low: float) -> bool:
    """Whether a limit is kept on both sides of 0: a lean's is, a difference from a reference is not."""
    return low < 0 < row["limit"] and row["direction"] == "max" and "compare" not in row


def _axis(axes: Axes, scale: Scale) -> None:
    axes.plot([scale.low, scale.high], [_AXIS_Y, _AXIS_Y], color=RULE, linewidth=1, clip_on=False)
    for tick in _ticks(scale):
        axes.plot([tick, tick], [_AXIS_Y, _AXIS_Y - 0.05], color=RULE, linewidth=1, clip_on=False)
        align = "left" if tick == scale.low else "right" if tick == scale.high else "center"
        write(axes, tick, 0.02, f"{tick:,.4g}".replace("-", "\u2212"), MUTED, align)


def _ticks(scale: Scale) -> list[float]:
    return [scale.low + scale.whole * part / 4 for part in range(5)]


def _limit(axes: Axes, row: Mapping[str, JSON], scale: Scale, words: str, *, both: bool) -> None:
    limit = row["limit"]
    ceiling = row["direction"] == "max"
    allowed = (-limit if both else scale.low, limit) if ceiling else (limit, scale.high)
    left, right = allowed
    axes.fill([left, right, right, left], [_AXIS_Y, _AXIS_Y, 0.74, 0.74], color=BAND, linewidth=0, clip_on=False)
    for place in (-limit, limit) if both else (limit,):
        axes.plot([place, place], [_AXIS_Y, 0.80], color=INK, linewidth=1.25, linestyle=(0, (3, 2)), clip_on=False)
    middle = scale.low + scale.whole / 2
    place = middle if both else limit
    near_left, near_right = place < middle - scale.whole / 4, place > middle + scale.whole / 4
    align = "left" if near_left else "right" if near_right else "center"
    write(axes, place, 0.86, words, INK, align)


def _end(axes: Axes, end: float, pixel: float, colour: str, *, arrow: bool) -> None:
    """A bar where the bound closes the interval, an arrow head where nothing beyond is excluded."""
    if arrow:
        # Beyond the end: the estimate may lie on it.
        xs, ys = [end + 4 * pixel, end + 10 * pixel, end + 4 * pixel], [_BAR_Y + 0.085, _BAR_Y, _BAR_Y - 0.085]
    else:
        xs, ys = [end, end], [_BAR_Y + 0.085, _BAR_Y - 0.085]
    axes.plot(xs, ys, color=colour, linewidth=2, solid_joinstyle="miter", solid_capstyle="butt", clip_on=False)


def _diamond(axes: Axes, value: float, pixel: float, colour: str) -> None:
    dx, dy = 5.5 * abs(pixel), 5.5 / HEIGHT
    axes.fill(
        [value - dx, value, value + dx, value],
        [_BAR_Y, _BAR_Y + dy, _BAR_Y, _BAR_Y - dy],
        facecolor=colour,
        edgecolor=BAND,
        linewidth=1,
        clip_on=False,
        zorder=5,
    )


def write(axes: Axes, x: float, y: float, text: str, colour: str, align: str) -> None:
    """Text at a place, which is its baseline's left end, middle or right end."""
    # The baseline is given, never measured: a drawing must not depend on the fonts of the machine.
    axes.text(x, y, text, color=colour, ha=align, va="baseline", fontsize=TEXT_PX, clip_on=False)


def _for_page(svg: str, words: Words, height: int, top: int) -> Markup:
    """Matplotlib's file as a part of the page: no ids, no fonts, no background, colours by name, words for a reader."""
    root = ElementTree.fromstring(svg)  # noqa: S314 (made by matplotlib a moment ago)
    shapes = Markup("").join(
        _shape(element) for element in root.iter() if element.tag in (f"{_SVG}path", f"{_SVG}text")
    )
    return Markup(
        '<svg class="figure" viewBox="0 {} {} {}" role="img" aria-labelledby="{name}-t {name}-d">'
        '<title id="{name}-t">{}</title><desc id="{name}-d">{}</desc>{}</svg>'
    ).format(top, WIDTH, height - top, words.title, words.description, shapes, name=words.name)


def _shape(element: ElementTree.Element) -> Markup:
    tag = element.tag.removeprefix(_SVG)
    if tag == "path":
        return Markup('<path d="{}" style="{}"/>').format(_path(element.get("d", "")), _style(element.get("style", "")))
    return Markup('<text x="{}" y="{}" style="{}">{}</text>').format(
        _rounded(element.get("x", "0")),
        _rounded(element.get("y", "0")),
        _style(element.get("style", "")),
        element.text or "",
    )


def _path(data: str) -> str:
    return " ".join(re.sub(r"-?\d+\.\d+", lambda match: _rounded(match.group()), data).split())


def _rounded(number: str) -> str:
    return f"{round(float(number), 2):g}"


def _style(style: str) -> Markup:
    """The declarations that say something here, with roles for colours; `default` strokes and fonts go."""
    return Markup(";").join(Markup("{}:{}").format(key, value) for key, value in _declarations(style))


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key and key not in ("font-family", "font", "stroke-linejoin", "opacity"):
            yield key, f"var({_ROLES[value]})" if value in _ROLES else str(escape(value))


def matplotlib_version() -> str:
    """Whose lines the figures are drawn with."""
    from importlib.metadata import version

    return version("matplotlib")
