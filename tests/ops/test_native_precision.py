"""In the exact precision, products of quantised weights are those of float activations, with bits as firm as ever."""

from __future__ import annotations

import numpy as np
import pytest

from greenlight.errors import UsageError
from greenlight.formats.quants import dequantize
from greenlight.ops import computation, name_of, native, select_ops
from greenlight.ops.native import NativeOps
from tests.ops import native_cases as cases
from tests.ops.test_native_invariance import TinyModel, alone, sequences

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

KINDS = (*cases.QUANTISED, *cases.COMPACT)


@pytest.fixture(scope="module")
def ops():
    return NativeOps(precision="exact")


def linear(ops, x, weight):
    step = cases.one_step(ops, len(x))
    return ops.to_numpy(ops.linear(step, ops.from_numpy(step, x), ops.pack_linear([weight], [None])))


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_is_that_of_its_float_activations(ops, kind):
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((13, 256)).astype(np.float32), cases.tensor(rng, kind, 40, 256)
    exact = x.astype(np.float64) @ dequantize(weight).T.astype(np.float64)
    for rows in (1, 13):
        error = np.linalg.norm(linear(ops, x[:rows], weight) - exact[:rows]) / np.linalg.norm(exact[:rows])
        standard = np.linalg.norm(linear(NativeOps(), x[:rows], weight) - exact[:rows]) / np.linalg.norm(exact[:rows])
        assert error < 1e-4
        assert error < standard / 50


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_same_bits_in_every_batch_and_table(ops, kind):
    rng = np.random.default_rng(2)
    x, weight = cases.values(rng, 31, 256), cases.tensor(rng, kind, 35, 256)
    together = linear(ops, x, weight)
    for rows in (1, 2, 5, 12, 13):
        np.testing.assert_array_equal(linear(ops, x[:rows], weight), together[:rows])
    for isa in native.usable_isas():
        np.testing.assert_array_equal(linear(NativeOps(isa=isa, precision="exact"), x, weight), together)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "F16"])
def test_splits_threads_and_tables_change_no_bit_of_a_model(ops, kind):
    (tokens,), before = sequences(3, [50]), native.threads()
    try:
        expected = alone(TinyModel(ops, kind), tokens)
        for isa in native.usable_isas():
            model = TinyModel(NativeOps(isa=isa, precision="exact"), kind)
            for threads in (1, 3):
                native.set_threads(threads)
                pages, table = model.ops.new_pages(2, model.layers), np.array([[0, 1]], np.int32)
                for start, stop in ((0, 1), (1, 30), (30, 50)):
                    batch = cases.ragged([stop - start], [start], table, tokens[start:stop])
                    np.testing.assert_array_equal(model.forward(batch, pages), expected[start:stop])
    finally:
        native.set_threads(before)


def test_float_weights_are_the_same_in_both(ops):
    rng = np.random.default_rng(4)
    x, weight = cases.values(rng, 9, 64), cases.tensor(rng, "BF16", 20, 64)
    np.testing.assert_array_equal(linear(ops, x, weight), linear(NativeOps(), x, weight))


def test_the_identity_says_so_and_names_the_ops(ops):
    assert ops.identity == f"{NativeOps().identity}+exact"
    assert select_ops("native+exact").identity == ops.identity
    assert name_of(ops.identity) == "native+exact"
    assert name_of(NativeOps().identity) == "native"
    assert "two int8" in computation(ops, ["Q4_0"])["Q4_0"]
    assert select_ops("numpy+exact").identity == select_ops("numpy").identity
    with pytest.raises(UsageError):
        select_ops("native+half")
