"""How do blocks of 256 with scales of scales work? Q2_K to Q6_K, read, and Q4_K to Q6_K, written.

ggml-org/ggml src/ggml-common.h and ggml-quants.c: 256 values share 16-bit floats d (and dmin); runs of 16 or 32 of
them have a small integer scale s (and minimum m) of their own. Value (d s) q - (dmin m) for Q2_K, Q4_K and Q5_K,
(d s) q with signed codes for Q3_K and Q6_K; each product and difference is rounded to float32 once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.quants import search
from greenlight.formats.quants.bits import Bytes, Floats, as_stored, half, inverse, join, split, to_half


def read_q2_k(blocks: Bytes) -> Floats:
    """Two-bit codes, 16 runs of 16, four-bit scales and minima, (blocks, 256)."""
    scales, codes = blocks[:, :16], split(blocks[:, 16:80], 32, 2)
    return _runs(codes, half(blocks, 80) * (scales & 15), half(blocks, 82) * (scales >> 4))


def read_q3_k(blocks: Bytes) -> Floats:
    """Three-bit codes of -4 to 3, 16 runs of 16, six-bit scales of -32 to 31, (blocks, 256)."""
    third = split(blocks[:, :32], 32, 1)
    codes = (split(blocks[:, 32:96], 32, 2) | third << np.uint8(2)).astype(np.int8) - np.int8(4)
    low, high = split(blocks[:, 96:104], 8, 4), split(blocks[:, 104:108], 4, 2)
    scales = (low | high << np.uint8(4)).astype(np.int8) - np.int8(32)
    return _runs(codes, half(blocks, 108) * scales)


def read_q4_k(blocks: Bytes) -> Floats:
    """Four-bit codes, 8 runs of 32, six-bit scales and minima, (blocks, 256)."""
    scales, minima = six_bits(blocks[:, 4:16])
    return _runs(split(blocks[:, 16:], 32, 4), half(blocks, 0) * scales, half(blocks, 2) * minima)


def read_q5_k(blocks: Bytes) -> Floats:
    """Five-bit codes, 8 runs of 32, six-bit scales and minima, (blocks, 256)."""
    scales, minima = six_bits(blocks[:, 4:16])
    codes = split(blocks[:, 48:], 32, 4) | split(blocks[:, 16:48], 32, 1) << np.uint8(4)
    return _runs(codes, half(blocks, 0) * scales, half(blocks, 2) * minima)


def read_q6_k(blocks: Bytes) -> Floats:
    """Six-bit codes of -32 to 31, 16 runs of 16, eight-bit scales, (blocks, 256)."""
    codes = split(blocks[:, :128], 64, 4) | split(blocks[:, 128:192], 32, 2) << np.uint8(4)
    return _runs(codes.astype(np.int8) - np.int8(32), half(blocks, 208) * blocks[:, 192:208].view(np.int8))


def six_bits(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Eight scales and eight minima from twelve bytes: four of each whole, the other four's upper bits above them."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([first & 63, third & 15 | first >> 2 & 48], axis=1)
    minima = np.concatenate([second & 63, third >> 4 | second >> 2 & 48], axis=1)
    return scales, minima


def six_bit_bytes(scales: Bytes, minima: Bytes) -> Bytes:
    """The inverse of `six_bits`."""
    first = scales[:, :4] | (scales[:, 4:] & 48) << 2
    second = minima[:, :4] | (minima[:, 4:] & 48) << 2
    return np.concatenate([first, second, scales[:, 4:] & 15 | (minima[:, 4:] & 15) << 4], axis=1)


def write_q4_k(values: Floats, weights: Floats | None) -> Bytes:
    """Scales and minima of runs that lose least, rounded to six bits, then the nearest codes."""
    factors, codes = _write_runs(values, weights, 15)
    return np.concatenate([factors, join(codes, 32, 4)], axis=1)


def write_q5_k(values: Floats, weights: Floats | None) -> Bytes:
    """As Q4_K with 32 codes."""
    factors, codes = _write_runs(values, weights, 31)
    return np.concatenate([factors, join(codes >> np.uint8(4), 32, 1), join(codes & np.uint8(15), 32, 4)], axis=1)


def write_q6_k(values: Floats, weights: Floats | None) -> Bytes:
    """Scales of runs that lose least, rounded to eight bits, then the nearest codes."""
    runs = values.reshape(-1, 16)
    scales = search.fit_symmetric(runs, 32, None if weights is None else weights.reshape(-1, 16)).reshape(-1, 16)
    peak = np.take_along_axis(scales, np.abs(scales).argmax(axis=1, keepdims=True), axis=1)
    d = as_stored(peak / np.float32(-128))
    stored = np.clip(np.rint(scales * inverse(d)), -128, 127).astype(np.int8)
    steps = (d * stored).reshape(-1, 1)
    codes = (search.symmetric_codes(runs, inverse(steps), 32) + np.float32(32)).astype(np.uint8).reshape(-1, 256)
    low, high = join(codes & np.uint8(15), 64, 4), join(codes >> np.uint8(4), 32, 2)
    return np.concatenate([low, high, stored.view(np.uint8), to_half(d)], axis=1)


def _write_runs(values: Floats, weights: Floats | None, most: int) -> tuple[Bytes, Bytes]:
    """Sixteen bytes of factors and the codes of blocks of eight runs, (blocks, 16) and (blocks, 256)."""
    runs = values.reshape(-1, 32)
    fit = search.fit_shifted(runs, most, None if weights is None else weights.reshape(-1, 32))
    d, scales = _six_bit(fit.scale.reshape(-1, 8))
    dmin, minima = _six_bit(-fit.low.reshape(-1, 8))
    steps, lows = (d * scales).reshape(-1, 1), -(dmin * minima).reshape(-1, 1)
    codes = search.shifted_codes(runs, steps, lows, most).reshape(-1, 256)
    return np.concatenate([to_half(d), to_half(dmin), six_bit_bytes(scales, minima)], axis=1), codes


def _six_bit(factors: Floats) -> tuple[Floats, Bytes]:
    """Eight factors, none below 0, as codes of 0 to 63 and what one step is, (blocks, 1) and (blocks, 8)."""
    step = as_stored(factors.max(axis=1, keepdims=True) / np.float32(63))
    return step, np.clip(np.rint(factors * inverse(step)), 0, 63).astype(np.uint8)


def _runs(codes: NDArray[np.uint8] | NDArray[np.int8], scales: Floats, minima: Floats | None = None) -> Floats:
    values = codes.reshape(*scales.shape, -1).astype(np.float32)
    values *= scales[..., None]
    if minima is not None:
        values -= minima[..., None]
    return values.reshape(len(codes), -1)
