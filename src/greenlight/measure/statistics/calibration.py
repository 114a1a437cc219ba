"""Does confidence mean anything? Expected calibration error and Brier score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

BINS = 15


def ece(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float | None:
    """Expected calibration error: sum_b n_b / N * |accuracy_b - mean confidence_b| over bins of equal mass.

    (Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602; equal mass as in Nguyen and O'Connor 2015, arXiv:1508.05154.)
    It is above 0 even for a perfectly calibrated model, the more so the fewer answers there are. None without answers.
    """
    p, y = np.asarray(confidence, float), np.asarray(right, float)
    if len(p) == 0:
        return None
    order = np.argsort(p, kind="stable")
    # Bins that differ by one item at most; equal confidences keep their order.
    bins = min(bins, len(p))
    starts = (np.arange(bins) * len(p) + bins - 1) // bins
    return float(np.abs(np.add.reduceat((p - y)[order], starts)).sum() / len(p))


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Mean of (confidence - right)^2 of the choice made.

    (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.)
    """
    p, y = np.asarray(confidence, float), np.asarray(right, float)
    return float(((p - y) ** 2).mean())
