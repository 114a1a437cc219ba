"""How do codes that name entries of a table work? IQ4_NL and IQ4_XS (16 uneven steps), MXFP4 (16 small floats).

IQ4_NL: 32 nibbles and a 16-bit scale; IQ4_XS: 256 nibbles, a 16-bit scale and six-bit scales of every 32
(ggml-org/ggml src/ggml-common.h). MXFP4: 32 four-bit floats (E2M1) and one shared power of two (E8M0, bias 127), from
the OCP Microscaling Formats specification 1.0; ggml stores the exponent before the nibbles, low nibbles first, and
keeps the table doubled with half the scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError
from greenlight.formats.quants.bits import Bytes, Floats, half, join, split
from greenlight.formats.tensors import Tensor, TensorType

UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""What the codes of IQ4_NL and IQ4_XS stand for (kvalues_iq4nl)."""

TWICE_E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)
"""Twice what the codes of MXFP4 stand for; negative zero counts as zero, as in ggml."""


def read_iq4_nl(blocks: Bytes) -> Floats:
    """Values d table[q], (blocks, 32)."""
    return UNEVEN[split(blocks[:, 2:], 16, 4)] * half(blocks, 0)


def read_iq4_xs(blocks: Bytes) -> Floats:
    """Values (d (s - 32)) table[q], (blocks, 256)."""
    low, high = split(blocks[:, 4:8], 1, 4), split(blocks[:, 2:4], 1, 2)
    scales = (low | high << np.uint8(4)).astype(np.int8) - np.int8(32)
    values = UNEVEN[split(blocks[:, 8:], 16, 4)].reshape(len(blocks), 8, 32)
    values *= (half(blocks, 0) * scales)[..., None]
    return values.reshape(len(blocks), -1)


def read_mxfp4(blocks: Bytes) -> Floats:
    """Values 2^(e - 127) table[q], (blocks, 32)."""
    return TWICE_E2M1[split(blocks[:, 1:], 16, 4)] * half_power(blocks[:, :1])


def half_power(exponents: Bytes) -> Floats:
    """Exactly 2^(e - 128), subnormal for e of 0 and 1; the reserved 255 counts as 2^127, as in ggml."""
    bits = exponents.astype(np.uint32)
    return np.where(bits < 2, np.uint32(0x00200000) << bits, bits - np.uint32(1) << np.uint32(23)).view(np.float32)


def write_mxfp4(values: Floats) -> Bytes:
    """The exponent of the largest value less two, each value to the nearest entry, of equals the first in the table."""
    peak = np.abs(values).max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        exponents = np.where(peak > 0, np.clip(np.floor(np.log2(peak)) + 125, 0, 254), 0).astype(np.uint8)
    codes = nearest(values, TWICE_E2M1 * half_power(exponents))
    return np.concatenate([exponents, join(codes, 16, 4)], axis=1)


def nearest(values: Floats, entries: Floats) -> Bytes:
    """Index of the entry next to each value, the first of equals; entries are (blocks, 16), one table a block."""
    best = np.abs(values - entries[:, :1])
    codes = np.zeros(values.shape, np.uint8)
    for index in range(1, 16):
        distance = np.abs(values - entries[:, index : index + 1])
        closer = distance < best
        np.copyto(best, distance, where=closer)
        codes[closer] = index
    return codes


def mxfp4_from_blocks(blocks: Tensor, scales: Tensor, name: str) -> Tensor:
    """One MXFP4 tensor from Hugging Face's pair of blocks and scales.

    Args:
        blocks: two values a byte, (…, N, C/32, 16), value 2i in the low half of byte i.
        scales: exponents, (…, N, C/32).
        name: of the result.

    Returns:
        The tensor (…, N, C) in ggml's layout; no value changes.

    Raises:
        FormatError: types or shapes that do not belong together.
    """
    fits = blocks.shape[-1:] == (16,) and blocks.shape[:-1] == scales.shape and len(scales.shape) >= 2
    if not fits or blocks.type is not TensorType.U8 or scales.type is not TensorType.U8:
        raise FormatError(
            "blocks and scales of MXFP4 do not belong together",
            where=blocks.name,
            found=f"{blocks.type.name} {blocks.shape} beside {scales.type.name} {scales.shape} of {scales.name}",
            do="both are U8, the blocks with 16 bytes for every scale",
        )
    pairs = blocks.data.reshape(-1, 16)
    data = np.empty((len(pairs), 17), np.uint8)
    data[:, 0] = scales.data
    data[:, 1:] = interleaved_to_halves(pairs)
    return Tensor(name, TensorType.MXFP4, (*scales.shape[:-1], scales.shape[-1] * 32), data.reshape(-1))


def interleaved_to_halves(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of two neighbours each, (blocks, 16), to bytes of value i and value i + 16."""
    low, high = pairs & np.uint8(15), pairs >> np.uint8(4)
    halves = np.empty_like(pairs)
    halves[:, 0::2] = low[:, :8] | low[:, 8:] << np.uint8(4)
    halves[:, 1::2] = high[:, :8] | high[:, 8:] << np.uint8(4)
    return halves
