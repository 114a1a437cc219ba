"""How is a figure shown, and what keeps a run from being quoted?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Figure, median, paired_ratio, status
from benchmarks.runs import Run

HEADER = ("what", "ours", "peer", "ratio", "required", "")
FEWEST = 3
"""Rounds that a comparison needs."""


def table(figures: Sequence[Figure]) -> str:
    """Aligned columns for a terminal."""
    rows = [HEADER, *map(cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def warnings(run: Run) -> list[str]:
    """What keeps a run from being quoted, in sentences; none for a good one."""
    said = []
    shares = {part: share for part, share in run.others_share_of_cores.items() if share is not None and share > 0.05}
    if shares:
        during = ", ".join(f"{share:.0%} during {part}" for part, share in shares.items())
        said.append(f"Other processes used a part of all cores: {during}.")
    figures = [figure for part in run.parts.values() for figure in part]
    few = [each for each in figures if each.ours and not each.counted and 0 < len(each.peer) < FEWEST]
    if few:
        said.append(f"{len(few)} comparisons rest on fewer than {FEWEST} rounds.")
    spinning = run.most_cpu_left_in_pauses
    if spinning > 0.1:
        said.append(f"A side still used {spinning:.0%} of a core when the other was timed.")
    if run.dirty:
        said.append("The code had changes that were not committed.")
    return said


def cells(figure: Figure) -> tuple[str, ...]:
    ratio = paired_ratio(figure)
    return (
        figure.name,
        value_with_unit(median(figure.ours), figure.unit),
        value_with_unit(median(figure.peer), figure.unit),
        "" if ratio is None else f"{ratio:.2f} ×",
        _required(figure),
        status(figure),
    )


def value_with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if 0 < abs(value) < 0.01:
        return f"{value:.2g} {unit}"
    digits = 3 if abs(value) < 1 and value else 2 if abs(value) < 10 and value != int(value) else 0
    return f"{value:.{digits}f} {unit}"


def _required(figure: Figure) -> str:
    parts = []
    if figure.ratio_floor is not None:
        parts.append(f"≥ {figure.ratio_floor:g} ×")
    if figure.at_least is not None:
        parts.append(f"≥ {figure.at_least:.4g} {figure.unit}")
    if figure.at_most is not None:
        parts.append(f"≤ {figure.at_most:.4g} {figure.unit}")
    return ", ".join(parts)
