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
from greenlight.formats.quants import search
from greenlight.formats.quants.bits import Bytes, Floats, as_stored, half, inverse, join, split, to_half
from greenlight.formats.tensors import Tensor, TensorType

UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""What the codes of IQ4_NL and IQ4_XS stand for (kvalues_iq4nl)."""

TWICE_E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)
"""Twice what the codes of MXFP4 stand for; negative zero counts as zero, as in ggml."""

_BLOCK = np.dtype([("exponent", "u1"), ("codes", "V16")])
"""MXFP4's, as ggml keeps it."""

_CHUNK_BLOCKS = 1 << 14
"""Blocks that are put in another order at a time, so that what lies between stays in the cache."""

_LOW, _FOUR = np.uint64(0x0F0F_0F0F_0F0F_0F0F), np.uint64(4)

IQ4_ENDS = tuple(np.float32(UNEVEN[0] + step) for step in range(-8, 9, 2))
"""Where the value largest in size may land, in units of the scale."""

_UNEVEN_INDEX = np.searchsorted((UNEVEN[1:] + UNEVEN[:-1]) / 2, np.arange(-256, 256) / 2 + 0.25).astype(np.uint8)
"""Index of the nearest entry, by twice the value and 256, rounded down."""

_E2M1_INDEX = np.searchsorted((TWICE_E2M1[1:8] + TWICE_E2M1[:7]) / 2, np.arange(33) / 2).astype(np.uint8)
"""Index of the nearest entry that is not negative, by twice the doubled value, rounded up."""


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


def write_iq4_nl(values: Floats, weights: Floats | None) -> Bytes:
    """The scale that loses least, among those that bring the largest value near an end of the table."""
    peak = np.take_along_axis(values, np.abs(values).argmax(axis=1, keepdims=True), axis=1)
    weighted = values if weights is None else values * weights
    best, most_gained = peak / UNEVEN[0], np.zeros_like(peak)
    for end in IQ4_ENDS:
        entries = UNEVEN[nearest_uneven(values * (end * inverse(peak)))]
        sum_xq = search.dot(weighted, entries)
        sum_qq = search.dot(entries, entries if weights is None else entries * weights)
        gained = sum_xq * sum_xq * inverse(sum_qq)
        better = gained > most_gained
        most_gained = np.where(better, gained, most_gained)
        best = np.where(better, sum_xq * inverse(sum_qq), best)
    d = as_stored(best)
    return np.concatenate([to_half(d), join(nearest_uneven(values * inverse(d)), 16, 4)], axis=1)


def nearest_uneven(scaled: Floats) -> Bytes:
    """Index of the entry of `UNEVEN` next to each value: borders lie at halves, so twice the value finds it."""
    doubled = np.clip(np.floor(2 * scaled), -256, 255)
    return _UNEVEN_INDEX[(doubled + 256).astype(np.intp)]


def write_mxfp4(values: Floats, weights: Floats | None) -> Bytes:
    """The exponent of the largest value less two, each value to the nearest entry, of equals the first in the table.

    With weights, whichever loses least by them of that exponent and its two neighbours.
    """
    peak = np.abs(values).max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        exponents = np.where(peak > 0, np.clip(np.floor(np.log2(peak)) + 125, 0, 254), 0).astype(np.uint8)
    codes = nearest_small_floats(values, exponents)
    if weights is not None:
        exponents, codes = _better_exponents(values, weights, exponents, codes)
    return np.concatenate([exponents, join(codes, 16, 4)], axis=1)


def _better_exponents(values: Floats, weights: Floats, middle: Bytes, codes: Bytes) -> tuple[Bytes, Bytes]:
    def lost(exponents: Bytes, codes: Bytes) -> Floats:
        left = TWICE_E2M1[codes] * half_power(exponents) - values
        return search.dot(left * left, weights)

    best, least = middle, lost(middle, codes)
    for step in (-1, 1):
        exponents = np.clip(middle.astype(np.int16) + step, 0, 254).astype(np.uint8)
        other = nearest_small_floats(values, exponents)
        error = lost(exponents, other)
        better = error < least
        best, codes = np.where(better, exponents, best), np.where(better, other, codes)
        least = np.where(better, error, least)
    return best, codes


def nearest_small_floats(values: Floats, exponents: Bytes) -> Bytes:
    """Codes of MXFP4 next to values under given exponents; of equally near ones the smaller, and never minus zero."""
    scaled = values / half_power(exponents)
    steps = np.minimum(np.ceil(2 * np.abs(scaled)), np.float32(len(_E2M1_INDEX) - 1))
    codes: Bytes = _E2M1_INDEX[steps.astype(np.intp)]
    return codes | ((scaled < 0) & (codes > 0)).astype(np.uint8) << np.uint8(3)


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
    whole = np.empty(len(pairs), _BLOCK)
    whole["exponent"] = scales.data
    for first in range(0, len(pairs), _CHUNK_BLOCKS):
        halves = interleaved_to_halves(pairs[first : first + _CHUNK_BLOCKS])
        whole["codes"][first : first + _CHUNK_BLOCKS] = halves.view("V16")[:, 0]
    return Tensor(name, TensorType.MXFP4, (*scales.shape[:-1], scales.shape[-1] * 32), whole.view(np.uint8))


def mxfp4_to_blocks(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Blocks (n, 16) and scales (n,) as Hugging Face has them, of n blocks in ggml's layout; undoes the former."""
    whole = np.ascontiguousarray(data).view(_BLOCK)
    pairs = np.empty((len(whole), 16), np.uint8)
    for first in range(0, len(whole), _CHUNK_BLOCKS):
        codes = np.ascontiguousarray(whole["codes"][first : first + _CHUNK_BLOCKS])
        pairs[first : first + _CHUNK_BLOCKS] = halves_to_interleaved(codes.view(np.uint8).reshape(-1, 16))
    return pairs, np.ascontiguousarray(whole["exponent"])


def interleaved_to_halves(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of two neighbours each, (blocks, 16), to bytes of value i and value i + 16; eight bytes at a time."""
    words = pairs.view("<u8")
    first, second = np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])  # values 0 to 15, 16 to 31
    even, odd = first & _LOW | (second & _LOW) << _FOUR, first >> _FOUR & _LOW | second & ~_LOW
    halves = odd.view(np.uint8).astype("<u2") << np.uint16(8) | even.view(np.uint8)
    return halves.view(np.uint8).reshape(-1, 16)


def halves_to_interleaved(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The other way."""
    both = halves.view("<u2")
    even, odd = ((both >> np.uint16(shift)).astype(np.uint8).view("<u8")[:, 0] for shift in (0, 8))
    words = np.empty((len(halves), 2), "<u8")
    words[:, 0] = even & _LOW | (odd & _LOW) << _FOUR
    words[:, 1] = even >> _FOUR & _LOW | odd & ~_LOW
    return words.view(np.uint8)
