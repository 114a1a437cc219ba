"""Which scale (and minimum) loses least of a run of values? Some are tried, each is solved for its codes, one stays.

For given codes, the scale and minimum that lose least are a least-squares fit, whose error follows from five sums (as
in ggml's make_qkx2_quants and make_qx_quants); so trying one costs rounding the values once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from greenlight.formats.quants.bits import Bytes, Floats, inverse

SHIFTED_TRIES = tuple(np.float32(step / 4) for step in range(-4, 5))
"""Added to the number of steps between the smallest and the largest value: a few outliers may saturate."""

SYMMETRIC_TRIES = tuple(np.float32(step / 4) for step in range(-4, 5))
"""Added to the code of the value largest in size."""


class Fit(NamedTuple):
    """The best fit of each run, (runs, 1) each."""

    scale: Floats
    """One step."""

    low: Floats
    """The value of code 0; never above 0."""


def total(x: Floats) -> Floats:
    """Sums over runs, (runs, 1)."""
    sums: Floats = x.sum(axis=1, keepdims=True, dtype=np.float32)
    return sums


def dot(x: Floats, y: Floats) -> Floats:
    """Sums of products over runs, (runs, 1)."""
    sums: Floats = np.einsum("ij,ij->i", x, y)
    return sums[:, None]


def fit_shifted(values: Floats, most: int, weights: Floats | None) -> Fit:
    """Scale and low of x ≈ scale q + low with codes q of 0 to `most` and low at most 0.

    Args:
        values: (runs, run).
        most: the largest code.
        weights: of the squared errors, (runs, run), or None.
    """
    low = np.minimum(values.min(axis=1, keepdims=True), 0)
    span = values.max(axis=1, keepdims=True) - low
    weighted = values if weights is None else values * weights
    sum_w = np.float32(values.shape[1]) if weights is None else total(weights)
    sum_x = total(weighted)
    best = Fit(span / np.float32(most), low)
    least = np.full_like(low, np.inf)
    shifted = values - low
    for extra in SHIFTED_TRIES:
        codes = np.clip(np.rint(shifted * ((np.float32(most) + extra) * inverse(span))), 0, np.float32(most))
        weighted_codes = codes if weights is None else codes * weights
        sum_q, sum_qq, sum_xq = total(weighted_codes), dot(codes, weighted_codes), dot(values, weighted_codes)
        fit = _solve(sum_w, sum_q, sum_qq, sum_x, sum_xq)
        error = _error(fit, sum_w, sum_q, sum_qq, sum_x, sum_xq)
        better = error < least
        least = np.where(better, error, least)
        best = Fit(np.where(better, fit.scale, best.scale), np.where(better, fit.low, best.low))
    return best


def _solve(sum_w: Floats | np.float32, sum_q: Floats, sum_qq: Floats, sum_x: Floats, sum_xq: Floats) -> Fit:
    """Least squares with low at most 0."""
    determinant = sum_w * sum_qq - sum_q * sum_q
    scale = (sum_w * sum_xq - sum_q * sum_x) * inverse(determinant)
    low = (sum_qq * sum_x - sum_q * sum_xq) * inverse(determinant)
    bound = (low > 0) | (determinant <= 0) | (scale < 0)
    return Fit(np.where(bound, sum_xq * inverse(sum_qq), scale), np.where(bound, np.float32(0), low))


def _error(
    fit: Fit, sum_w: Floats | np.float32, sum_q: Floats, sum_qq: Floats, sum_x: Floats, sum_xq: Floats
) -> Floats:
    """Squared error less the squares of the values, which no fit changes."""
    scale, low = fit
    return scale * (scale * sum_qq + 2 * (low * sum_q - sum_xq)) + low * (low * sum_w - 2 * sum_x)


def fit_symmetric(values: Floats, most: int, weights: Floats | None) -> Floats:
    """Scale of x ≈ scale q with codes q of -most to most - 1, (runs, 1); the largest in size gets about -most."""
    peak = np.take_along_axis(values, np.abs(values).argmax(axis=1, keepdims=True), axis=1)
    weighted = values if weights is None else values * weights
    best, most_gained = peak / np.float32(-most), np.zeros_like(peak)
    for extra in SYMMETRIC_TRIES:
        codes = symmetric_codes(values, inverse(peak) * -(np.float32(most) + extra), most)
        sum_xq = dot(weighted, codes)
        sum_qq = dot(codes, codes if weights is None else codes * weights)
        gained = sum_xq * sum_xq * inverse(sum_qq)
        better = gained > most_gained
        most_gained = np.where(better, gained, most_gained)
        best = np.where(better, sum_xq * inverse(sum_qq), best)
    return best


def symmetric_codes(values: Floats, inverse_scale: Floats, most: int) -> Floats:
    """Nearest codes of -most to most - 1, as floats."""
    codes: Floats = np.rint(values * inverse_scale)
    np.clip(codes, np.float32(-most), np.float32(most - 1), out=codes)
    return codes


def shifted_codes(values: Floats, scale: Floats, low: Floats, most: int) -> Bytes:
    """Nearest codes of 0 to most."""
    codes: Floats = np.clip(np.rint((values - low) * inverse(scale)), 0, np.float32(most))
    return codes.astype(np.uint8)
