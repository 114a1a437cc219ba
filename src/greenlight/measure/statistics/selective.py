"""If a model may stay silent where it is unsure, how often is the rest wrong? The risk-coverage curve and its area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class CurvePoint(NamedTuple):
    """What answering above one confidence comes to."""

    coverage: float
    """Share of the questions that are answered."""

    risk: float
    """Share of those that are wrong."""

    confidence: float
    """The least confidence that is answered."""


class RiskCoverage(NamedTuple):
    """Risk at every coverage, surest answers first."""

    points: tuple[CurvePoint, ...]
    """One for each confidence that occurs, by rising coverage; the last one answers everything."""

    aurc: float | None
    """Mean risk over all coverages k / n; None without answers."""


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The risk-coverage curve and its area.

    (El-Yaniv and Wiener 2010, JMLR 11, 1605; Geifman et al. 2019, arXiv:1805.08206.)

    Answers of equal confidence enter together: which of them comes first says nothing, so within such a block each
    coverage has the risk that a random order would have on average, and the result does not depend on the order in
    which answers are given.

    Args:
        confidence: in each answer, on any scale that rises.
        correct: 1 where it was right, 0 where not.
    """
    sure, wrong = np.asarray(confidence, float), 1.0 - np.asarray(correct, float)
    n = len(sure)
    if n == 0:
        return RiskCoverage((), None)
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], wrong[order]
    ends = np.append(np.flatnonzero(np.diff(sure)) + 1, n)  # answered in all after each block of equal confidence
    sizes = np.diff(ends, prepend=0)
    errors = np.add.reduceat(wrong, ends - sizes)
    before = errors.cumsum() - errors
    answered = np.arange(1, n + 1)
    within = answered - np.repeat(ends - sizes, sizes)
    risks = (np.repeat(before, sizes) + np.repeat(errors / sizes, sizes) * within) / answered
    points = [CurvePoint(end / n, float(risks[end - 1]), float(sure[end - 1])) for end in ends.tolist()]
    return RiskCoverage(tuple(points), float(risks.mean()))
