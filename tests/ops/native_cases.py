"""Random weights, batches and references for the tests of native ops, written in numpy and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops.protocol import PAGE_SIZE, AttentionSpec, Batch, KVSpec, RopeSpec
from tests.builders import encode

QUANTISED = ("Q4_0", "Q4_1", "Q8_0")
FLOATS = ("F32", "F16", "BF16")
TYPES = FLOATS + QUANTISED
COMPACT = ("Q5_0", "Q5_1", "IQ4_NL", "MXFP4", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS")
ONE_LAYER = (KVSpec(n_kv_heads=1, head_dim=8),)
_HALVES = {"Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
"""Where blocks keep 16-bit floats, if not in front alone."""


def tensor(rng, kind, *shape, name="weight"):
    """Random values as stored in a type; random codes with scales of one magnitude in those that take work to write."""
    if kind in COMPACT:
        return Tensor(name, TensorType[kind], shape, _random_blocks(rng, kind, shape))
    data = np.frombuffer(encode(rng.standard_normal(shape).astype(np.float32), kind), np.uint8)
    return Tensor(name, TensorType[kind], shape, data)


def _random_blocks(rng, kind, shape):
    type_ = TensorType[kind]
    blocks = rng.integers(0, 256, (np.prod(shape) // type_.block_values, type_.block_bytes), np.uint8)
    if kind == "MXFP4":
        blocks[:, 0] = rng.integers(118, 125, len(blocks))
        return blocks.reshape(-1)
    for place in _HALVES.get(kind, (0,)):
        scales = (rng.uniform(0.001, 0.01, len(blocks)) * rng.choice([1, -1], len(blocks))).astype("<f2")
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def values(rng, *shape):
    """Random activations of several magnitudes, with a block of zeros and large values here and there."""
    x = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3, (shape[0], 1))).astype(np.float32)
    if shape[1] >= 64:
        x[0, 32:64] = 0
    return x


def quantise(x):
    """Activations as kernels see them: int8 per 32 values, (rows, blocks, 32), and float32 scales, (rows, blocks)."""
    blocks = x.reshape(len(x), -1, 32)
    largest = np.abs(blocks).max(axis=2)
    inverse = np.float32(127) / np.maximum(largest, np.float32(2.0**-120))
    return np.rint(blocks * inverse[..., None]).astype(np.int32), largest / np.float32(127)


def int8_linear(x, weight):
    """The int8 scheme in float64, sum by sum: what a quantised linear should compute up to float32 rounding."""
    codes, scales = quantise(x)
    stored = weight.data.reshape(weight.shape[0], -1, weight.type.block_bytes)
    d = np.ascontiguousarray(stored[..., :2]).view("<f2")[..., 0].astype(np.float64)  # (N, blocks)
    minimum = np.zeros_like(d)
    if weight.type is TensorType.Q8_0:
        integers = stored[..., 2:].view(np.int8).astype(np.int64)
    else:
        start = 4 if weight.type is TensorType.Q4_1 else 2
        packed = stored[..., start:]
        integers = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.int64)
        if weight.type is TensorType.Q4_0:
            integers -= 8
        else:
            minimum = np.ascontiguousarray(stored[..., 2:4]).view("<f2")[..., 0].astype(np.float64)
    dots = np.einsum("nbk,mbk->mnb", integers, codes.astype(np.int64)).astype(np.float64)
    scaled = dots * d * scales[:, None].astype(np.float64)
    offset = minimum * (scales.astype(np.float64) * codes.sum(axis=2))[:, None]
    return (scaled + offset).sum(axis=2), np.abs(scaled).sum(axis=2) + np.abs(offset).sum(axis=2)


def linear(x, weight, bias=None):
    """What a linear should give, and the size of what was summed: the yardstick of rounding errors."""
    if weight.type.quantised:
        y, size = int8_linear(x, weight)
    else:
        wide = dequantize(weight).astype(np.float64)
        y, size = x @ wide.T, np.abs(x) @ np.abs(wide).T
    return (y, size) if bias is None else (y + dequantize(bias), size + np.abs(dequantize(bias)))


def one_step(ops, rows, dim=8):
    """A step of one sequence, for operations that ask for no more."""
    pages = ops.new_pages(-(-rows // PAGE_SIZE), [KVSpec(n_kv_heads=1, head_dim=dim)])
    return ops.begin(ragged([rows]), pages)


def ragged(lengths, past=None, tables=None, tokens=None, outputs=None):
    """A batch of new tokens per sequence; by default nothing is past and pages follow each other."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    past = np.zeros(len(lengths), np.int32) if past is None else np.array(past, np.int32)
    if tables is None:
        counts = [-(-int(n) // PAGE_SIZE) for n in past + lengths]
        tables = np.full((len(lengths), max(counts)), -1, np.int32)
        for b, count in enumerate(counts):
            tables[b, :count] = sum(counts[:b]) + np.arange(count)
    total = int(starts[-1])
    return Batch(
        tokens=np.zeros(total, np.int32) if tokens is None else np.asarray(tokens, np.int32),
        starts=starts,
        past=past,
        page_tables=tables,
        outputs=np.arange(total, dtype=np.int32) if outputs is None else np.array(outputs, np.int32),
    )


def in_groups(batch, window):
    """The same batch for the second of two groups of layers, which has let go of what left its window.

    The first group's table names one page for everything: whoever used it would overwrite what was kept.
    """
    newest = batch.page_tables.copy()
    for table, past in zip(newest, batch.past, strict=True):
        table[: 0 if window is None else max(0, past + 1 - window) // PAGE_SIZE] = -1
    return replace(batch, page_tables=np.stack([np.zeros_like(newest), newest]))


def spec(n_heads, n_kv_heads, head_dim, rotated=None, factor=1.0):
    """An attention with rope over `rotated` dims (all by default, none for 0)."""
    rotated = head_dim if rotated is None else rotated
    frequencies = tuple(float(f) for f in 100.0 ** -(np.arange(0, rotated, 2) / max(rotated, 1)))
    rope = RopeSpec(inv_freq=frequencies, scale=factor) if rotated else None
    return AttentionSpec(n_heads=n_heads, n_kv_heads=n_kv_heads, head_dim=head_dim, scale=head_dim**-0.5, rope=rope)
