"""Which values do blocks of 256 with scales of scales hold? Q2_K to Q6_K, read.

ggml-org/ggml src/ggml-common.h and ggml-quants.c: 256 values share 16-bit floats d (and dmin); runs of 16 or 32 of
them have a small integer scale s (and minimum m) of their own. Value (d s) q - (dmin m) for Q2_K, Q4_K and Q5_K,
(d s) q with signed codes for Q3_K and Q6_K; each product and difference is rounded to float32 once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.quants.bits import Bytes, Floats, half, split


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


def _runs(codes: NDArray[np.uint8] | NDArray[np.int8], scales: Floats, minima: Floats | None = None) -> Floats:
    values = codes.reshape(*scales.shape, -1).astype(np.float32)
    values *= scales[..., None]
    if minima is not None:
        values -= minima[..., None]
    return values.reshape(len(codes), -1)
