"""How are values that stand alone stored? As float32, float16, or the upper half of a float32 (BF16)."""

from __future__ import annotations

import numpy as np

from greenlight.formats.quants.bits import Bytes, Floats


def from_bf16(data: Bytes) -> Floats:
    """Exactly the values."""
    return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)


def to_f32(values: Floats) -> Bytes:
    """The values themselves."""
    return np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8)


def to_f16(values: Floats) -> Bytes:
    """To nearest, ties to even; beyond 65,504 infinite, which `quantise` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values).reshape(-1).astype("<f2").view(np.uint8)


def to_bf16(values: Floats) -> Bytes:
    """To nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & np.uint32(1))) >> 16).astype("<u2").view(np.uint8)
