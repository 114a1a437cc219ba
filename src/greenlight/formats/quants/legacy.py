"""How do blocks of 32 values with one scale work? Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0, both ways.

ggml-org/ggml src/ggml-common.h: a scale d (16-bit float), for the _1 types a minimum m, then codes q; value d (q - 8)
for Q4_0, d (q - 16) for Q5_0, d q + m for the _1 types, d q with signed bytes for Q8_0. Low nibbles are the first 16
values, high nibbles the last 16; the fifth bits of Q5 stand apart, one bit a value. Products and sums are rounded to
float32 once. Writing without weights rounds as ggml's reference code does
(src/ggml-quants.c), bit for bit.
"""

from __future__ import annotations

import numpy as np

from greenlight.formats.quants import search
from greenlight.formats.quants.bits import Bytes, Floats, as_stored, bit_flags, half, inverse, join, split, to_half

HALF_STEP = np.float32(0.5)


def read_q4_0(blocks: Bytes) -> Floats:
    """Values d (q - 8), (blocks, 32)."""
    return _symmetric(split(blocks[:, 2:], 16, 4), 8, half(blocks, 0))


def read_q4_1(blocks: Bytes) -> Floats:
    """Values d q + m, (blocks, 32)."""
    return _shifted(split(blocks[:, 4:], 16, 4), half(blocks, 0), half(blocks, 2))


def read_q5_0(blocks: Bytes) -> Floats:
    """Values d (q - 16), (blocks, 32)."""
    return _symmetric(_five(blocks[:, 2:]), 16, half(blocks, 0))


def read_q5_1(blocks: Bytes) -> Floats:
    """Values d q + m, (blocks, 32)."""
    return _shifted(_five(blocks[:, 4:]), half(blocks, 0), half(blocks, 2))


def read_q8_0(blocks: Bytes) -> Floats:
    """Values d q, (blocks, 32)."""
    values = blocks[:, 2:].view(np.int8).astype(np.float32)
    values *= half(blocks, 0)
    return values


def write_q4_0(values: Floats, weights: Floats | None) -> Bytes:
    """The value largest in size becomes code 0; with weights, the scale that loses least by them."""
    scale, codes = _symmetric_codes(values, 8, weights)
    return np.concatenate([to_half(scale), join(codes, 16, 4)], axis=1)


def write_q4_1(values: Floats, weights: Floats | None) -> Bytes:
    """The smallest becomes code 0, the largest code 15; with weights, whatever loses least by them."""
    scale, low, codes = _shifted_codes(values, 15, weights)
    return np.concatenate([to_half(scale), to_half(low), join(codes, 16, 4)], axis=1)


def write_q5_0(values: Floats, weights: Floats | None) -> Bytes:
    """As Q4_0 with 32 codes."""
    scale, codes = _symmetric_codes(values, 16, weights)
    return np.concatenate([to_half(scale), _five_bytes(codes)], axis=1)


def write_q5_1(values: Floats, weights: Floats | None) -> Bytes:
    """As Q4_1 with 32 codes."""
    scale, low, codes = _shifted_codes(values, 31, weights)
    return np.concatenate([to_half(scale), to_half(low), _five_bytes(codes)], axis=1)


def write_q8_0(values: Floats, weights: Floats | None) -> Bytes:
    """The value largest in size becomes ±127; halves round away from zero. Weights would change next to nothing."""
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    scaled = values * inverse(scale)
    whole = np.floor(np.abs(scaled))
    whole += np.floor(2 * (np.abs(scaled) - whole))
    codes = (np.sign(scaled) * whole).astype(np.int8)
    return np.concatenate([to_half(scale), codes.view(np.uint8)], axis=1)


def _symmetric(codes: Bytes, offset: int, scale: Floats) -> Floats:
    values = codes.astype(np.float32)
    values -= np.float32(offset)
    values *= scale
    return values


def _shifted(codes: Bytes, scale: Floats, low: Floats) -> Floats:
    values = codes.astype(np.float32)
    values *= scale
    values += low
    return values


def _five(packed: Bytes) -> Bytes:
    """Five-bit codes from four bytes of fifth bits and sixteen of nibbles."""
    return split(packed[:, 4:], 16, 4) | bit_flags(packed[:, :4]) << np.uint8(4)


def _five_bytes(codes: Bytes) -> Bytes:
    fifth = np.packbits(codes >> 4, axis=1, bitorder="little")
    return np.concatenate([fifth, join(codes & np.uint8(15), 16, 4)], axis=1)


def _symmetric_codes(values: Floats, offset: int, weights: Floats | None) -> tuple[Floats, Bytes]:
    if weights is not None:
        scale = as_stored(search.fit_symmetric(values, offset, weights))
        codes = search.symmetric_codes(values, inverse(scale), offset) + np.float32(offset)
        return scale, codes.astype(np.uint8)
    peak = np.take_along_axis(values, np.abs(values).argmax(axis=1, keepdims=True), axis=1)
    scale = peak / np.float32(-offset)
    codes = np.trunc(values * inverse(scale) + np.float32(offset + 0.5))
    return scale, np.clip(codes, 0, 2 * offset - 1).astype(np.uint8)


def _shifted_codes(values: Floats, most: int, weights: Floats | None) -> tuple[Floats, Floats, Bytes]:
    if weights is not None:
        fit = search.fit_shifted(values, most, weights)
        scale, low = as_stored(fit.scale), as_stored(fit.low)
        return scale, low, search.shifted_codes(values, scale, low, most)
    low = values.min(axis=1, keepdims=True)
    scale = (values.max(axis=1, keepdims=True) - low) / np.float32(most)
    codes = np.trunc((values - low) * inverse(scale) + HALF_STEP)
    return scale, low, np.clip(codes, 0, most).astype(np.uint8)
