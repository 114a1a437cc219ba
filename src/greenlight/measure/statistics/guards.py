"""Where does a method not keep its promise? Cells in which an interval covers less than it says are refused, not told.

What was simulated (benchmarks/simulate.py, docs/statistics.md) and what takes the method's place:

| method | refused | instead |
|---|---|---|
| Wilson's interval | n below 30 | Clopper-Pearson |
| cluster-robust t | fewer than 20 groups | a bootstrap over groups, for display; no verdict |
| t of signs, which are mostly 0 | fewer than 30 groups that differ | bets on group means, exact at any size |
| effective size from the cluster error | fewer than 10 groups with a hit, or with a miss | the number of groups |
| labels of each of several answers to one question | groups of more than one | one answer of each group |
| a percentile bootstrap | for any verdict | exact bounds |
"""

from __future__ import annotations

from greenlight.errors import GreenlightError

FEWEST_FOR_WILSON = 30
"""With fewer answers only exact intervals are told (Bowyer et al. 2025, arXiv:2503.01747)."""


class UndercoverageError(GreenlightError):
    """An interval was asked for in a cell where it is known to cover less than it says."""


def undercovers(method: str, cell: str, instead: str) -> UndercoverageError:
    """The refusal of a method in a cell, with what takes its place."""
    return UndercoverageError(f"{method} covers less than it says here", found=cell, do=f"use {instead}")
