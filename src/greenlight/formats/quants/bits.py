"""How do blocks lay out their bits? Nibbles, single bits, pairs of bits and 16-bit floats, for all blocks at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]


def half(blocks: Bytes, at: int) -> Floats:
    """The 16-bit float at one place of every block, (blocks, 1)."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def to_half(values: Floats) -> Bytes:
    """16-bit floats, to nearest even, as bytes, (blocks, 2) of (blocks, 1)."""
    return values.astype("<f2").view(np.uint8)


def as_stored(values: Floats) -> Floats:
    """What is left of values that are kept in 16 bits."""
    return values.astype(np.float16).astype(np.float32)


def inverse(scale: Floats) -> Floats:
    """1 / scale, 0 where scale is 0."""
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def split(packed: Bytes, run: int, bits: int) -> Bytes:
    """Codes of `bits` bits from (blocks, bytes): runs of `run` bytes hold their codes from the lowest bits up.

    With runs of 16 bytes and 4 bits, the low nibbles of 16 bytes come first and their high nibbles after them.
    """
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    codes = packed.reshape(len(packed), -1, 1, run) >> shifts & np.uint8((1 << bits) - 1)
    return codes.reshape(len(packed), -1)


def join(codes: Bytes, run: int, bits: int) -> Bytes:
    """The inverse of `split`: (blocks, codes) to (blocks, bytes)."""
    per_byte = 8 // bits
    parts = codes.reshape(len(codes), -1, per_byte, run)
    packed = parts[:, :, 0].copy()
    for index in range(1, per_byte):
        packed |= parts[:, :, index] << np.uint8(bits * index)
    return packed.reshape(len(codes), -1)


def bit_flags(packed: Bytes) -> Bytes:
    """One flag a bit, lowest first, (blocks, 8 · bytes)."""
    return np.unpackbits(packed, axis=1, bitorder="little")
