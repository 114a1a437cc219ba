"""Every type that GGUF files hold runs on native ops with exactly its own weights, the same bits in every batch."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops import native
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

KINDS = cases.COMPACT


@pytest.fixture(scope="module")
def ops():
    return native.NativeOps()


def linear(ops, x, *weights):
    step = cases.one_step(ops, len(x))
    packed = ops.pack_linear(weights, [None] * len(weights))
    return ops.to_numpy(ops.linear(step, ops.from_numpy(step, x), packed))


def int8_product(x, weight):
    """Activations in int8 times exactly the weights, in float64, and the size of what was summed."""
    codes, scales = cases.quantise(x)
    rounded = (codes * scales[..., None].astype(np.float64)).reshape(len(x), -1)
    wide = dequantize(weight).astype(np.float64)
    # Codes and minimum may be much larger than the value they make together.
    parts = np.abs(wide).reshape(len(wide), -1, 32).max(axis=2).repeat(32, axis=1)
    return rounded @ wide.T, np.abs(rounded) @ (4 * parts).T


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "blocks"), [(1, 1), (16, 2), (35, 3)])
def test_a_linear_multiplies_int8_activations_with_exactly_its_weights(ops, kind, n, blocks):
    rng = np.random.default_rng(n)
    k = blocks * TensorType[kind].block_values
    weight = cases.tensor(rng, kind, n, k)
    for rows in (1, 2, 5, 13):
        x = cases.values(rng, rows, k)
        expected, size = int8_product(x, weight)
        np.testing.assert_array_less(np.abs(linear(ops, x, weight) - expected), (k + 4) * 2.0**-24 * size + 1e-30)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_same_bits_in_every_batch(ops, kind):
    rng = np.random.default_rng(3)
    x, weight = cases.values(rng, 31, 512), cases.tensor(rng, kind, 50, 512)
    alone = np.concatenate([linear(ops, x[i : i + 1], weight) for i in range(31)])
    for rows in (2, 3, 4, 5, 6, 7, 8, 12, 13, 31):
        np.testing.assert_array_equal(linear(ops, x[:rows], weight), alone[:rows])


@pytest.mark.parametrize("kind", KINDS)
def test_beside_other_types_a_linear_has_the_same_bits(ops, kind):
    rng = np.random.default_rng(4)
    weights = [cases.tensor(rng, other, 20, 256) for other in ("Q4_0", kind, "Q6_K", "F16", "Q8_0")]
    for rows in (1, 2, 9, 14):
        x = cases.values(rng, rows, 256)
        apart = np.hstack([linear(ops, x, weight) for weight in weights])
        np.testing.assert_array_equal(linear(ops, x, *weights), apart)


@pytest.mark.parametrize("kind", KINDS)
def test_gate_and_up_are_its_linears(ops, kind):
    rng = np.random.default_rng(5)
    gate, up = cases.tensor(rng, kind, 40, 256), cases.tensor(rng, "Q5_K", 40, 256)
    for rows in (1, 3, 14):
        x = cases.values(rng, rows, 256)
        step = cases.one_step(ops, rows)
        pair = ops.pack_gate_up(gate, up, (None, None))
        y = ops.to_numpy(ops.gate_up(step, ops.from_numpy(step, x), pair, "silu"))
        g, u = linear(ops, x, gate).astype(np.float64), linear(ops, x, up)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(y, g / (1 + np.exp(-g)) * u, rtol=3e-6, atol=1e-6 * np.abs(g * u).max())


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedding_gives_the_bits_of_the_reference(ops, kind):
    type_ = TensorType[kind]
    data = np.random.default_rng(6).integers(0, 256, 50 * 512 // type_.block_values * type_.block_bytes, np.uint8)
    table, tokens = Tensor("t", type_, (50, 512), data), np.arange(50, dtype=np.int32)
    step = ops.begin(cases.ragged([50], tokens=tokens), ops.new_pages(2, cases.ONE_LAYER))
    np.testing.assert_array_equal(ops.to_numpy(ops.embed(step, ops.pack_embedding(table))), dequantize(table))


def test_scales_of_mxfp4_reach_both_ends(ops):
    blocks = np.random.default_rng(7).integers(0, 256, (256, 17), np.uint8)
    blocks[:, 0] = np.arange(256)
    weight, x = Tensor("w", TensorType.MXFP4, (256, 32), blocks.reshape(-1)), np.eye(1, 32, dtype=np.float32)
    for rows in (1, 2):
        y = linear(ops, np.tile(x, (rows, 1)), weight)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(y[0], dequantize(weight)[:, 0], rtol=1e-6)


def bits(isa):
    """What all kinds compute, as a digest."""
    ops, rng, found = native.NativeOps(isa=isa), np.random.default_rng(8), hashlib.sha256()
    for kind in KINDS:
        weight = cases.tensor(rng, kind, 20, 256)
        for rows in (1, 2, 3, 4, 5, 6, 13):
            found.update(linear(ops, cases.values(rng, rows, 256), weight).tobytes())
    return found.hexdigest()


def test_every_instruction_set_gives_the_same_bits():
    assert len({bits(isa) for isa in native.usable_isas()}) == 1
