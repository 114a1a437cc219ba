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
    # Bins that differ by one item at most; equal confidences keep the exam's order.
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(abs(p[part].sum() - y[part].sum()) for part in parts) / len(p))


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Mean of (confidence - right)^2 (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2), of the choice made."""
    p, y = np.asarray(confidence, float), np.asarray(right, float)
    return float(((p - y) ** 2).mean())
