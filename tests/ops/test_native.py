"""Native ops compute what they should: against numpy, for every type and shape that hypothesis thinks of."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.formats.quants import dequantize, mxfp4_from_blocks
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps, activate
from greenlight.ops.protocol import AttentionWeights, KVSpec
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

settings.register_profile("native", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("native")

SEEDS = st.integers(0, 2**31)
ROWS = st.sampled_from([1, 2, 5, 6, 7, 11, 12, 13, 19, 30, 40])
TYPES = st.sampled_from(cases.TYPES)


@pytest.fixture(scope="module")
def ops():
    return native.NativeOps()


def inputs_of(kind, draw):
    return 32 * draw(st.integers(1, 20)) if kind in cases.QUANTISED else draw(st.integers(1, 200))


def assert_close(actual, expected, size, terms):
    """Within what rounding each of `terms` float32 operations can do to sums of this size."""
    assert actual.dtype == np.float32
    np.testing.assert_array_less(np.abs(actual - expected), (terms + 4) * 2.0**-24 * size + 1e-30)


@given(data=st.data(), seed=SEEDS, rows=ROWS, kind=TYPES, n=st.integers(1, 70), biased=st.booleans())
def test_a_linear_is_its_int8_scheme_or_its_float_product(ops, data, seed, rows, kind, n, biased):
    rng, k = np.random.default_rng(seed), inputs_of(kind, data.draw)
    x, weight = cases.values(rng, rows, k), cases.tensor(rng, kind, n, k)
    bias = cases.tensor(rng, "F32", n) if biased else None
    step = cases.one_step(ops, rows)
    y = ops.to_numpy(ops.linear(step, ops.from_numpy(step, x), ops.pack_linear([weight], [bias])))
    expected, size = cases.linear(x, weight, bias)
    assert_close(y, expected, size, k)


@pytest.mark.parametrize("kind", cases.QUANTISED)
def test_a_quantised_linear_is_near_the_product_with_its_weights(ops, kind):
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((20, 512)).astype(np.float32), cases.tensor(rng, kind, 96, 512)
    step = cases.one_step(ops, 20)
    y = ops.to_numpy(ops.linear(step, ops.from_numpy(step, x), ops.pack_linear([weight], [None])))
    exact = x @ dequantize(weight).T
    assert np.linalg.norm(y - exact) < 0.01 * np.linalg.norm(exact)


@given(data=st.data(), seed=SEEDS, rows=ROWS, kinds=st.lists(TYPES, min_size=2, max_size=4))
def test_stacked_weights_of_any_types_are_the_linears_side_by_side(ops, data, seed, rows, kinds):
    rng, k = np.random.default_rng(seed), 32 * data.draw(st.integers(1, 6))
    weights = [cases.tensor(rng, kind, data.draw(st.integers(1, 40)), k) for kind in kinds]
    biases = [cases.tensor(rng, "F16", w.shape[0]) if data.draw(st.booleans()) else None for w in weights]
    step = cases.one_step(ops, rows)
    x = ops.from_numpy(step, cases.values(rng, rows, k))
    stacked = ops.to_numpy(ops.linear(step, x, ops.pack_linear(weights, biases)))
    single = [
        ops.to_numpy(ops.linear(step, x, ops.pack_linear([w], [b]))) for w, b in zip(weights, biases, strict=True)
    ]
    np.testing.assert_array_equal(stacked, np.hstack(single))


@given(
    data=st.data(),
    seed=SEEDS,
    rows=ROWS,
    kinds=st.tuples(TYPES, TYPES),
    activation=st.sampled_from(["silu", "gelu", "gelu_tanh"]),
    biased=st.booleans(),
)
def test_gate_and_up_are_multiplied_after_the_activation(ops, data, seed, rows, kinds, activation, biased):
    rng, k, n = np.random.default_rng(seed), 32 * data.draw(st.integers(1, 6)), data.draw(st.integers(1, 50))
    gate, up = (cases.tensor(rng, kind, n, k) for kind in kinds)
    biases = (cases.tensor(rng, "F32", n), cases.tensor(rng, "F32", n)) if biased else (None, None)
    step = cases.one_step(ops, rows)
    x = ops.from_numpy(step, cases.values(rng, rows, k))
    y = ops.to_numpy(ops.gate_up(step, x, ops.pack_gate_up(gate, up, biases), activation))
    g, u = (
        ops.to_numpy(ops.linear(step, x, ops.pack_linear([w], [b]))) for w, b in zip((gate, up), biases, strict=True)
    )
    expected = activate(g.astype(np.float64), activation) * u
    np.testing.assert_allclose(y, expected, rtol=3e-6, atol=1e-6 * np.abs(g * u).max())


@given(seed=SEEDS, rows=ROWS, k=st.integers(1, 300))
def test_rms_norm_add_and_rows(ops, seed, rows, k):
    rng = np.random.default_rng(seed)
    x, y, weight = cases.values(rng, rows, k), cases.values(rng, rows, k), cases.tensor(rng, "F32", k)
    asked = np.sort(rng.choice(rows, size=rng.integers(1, rows + 1), replace=False))
    step = ops.begin(cases.ragged([rows], outputs=asked), ops.new_pages(2, [KVSpec(n_kv_heads=1, head_dim=8)]))
    a, b = ops.from_numpy(step, x), ops.from_numpy(step, y)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-5) * dequantize(weight)
    np.testing.assert_allclose(ops.to_numpy(ops.rms_norm(step, a, ops.pack_norm(weight), 1e-5)), expected, rtol=2e-6)
    np.testing.assert_array_equal(ops.to_numpy(ops.add(step, a, b)), x + y)
    np.testing.assert_array_equal(ops.to_numpy(ops.rows(step, a)), x[asked])


def test_values_stay_for_as_long_as_numpy_has_them():
    ops = native.NativeOps()
    first = logits_of(ops, seed=0)
    kept = first.copy()
    others = [logits_of(ops, seed) for seed in (1, 2)]  # of the same size, from the same store of buffers
    np.testing.assert_array_equal(first, kept)
    place = first.ctypes.data
    del first
    gc.collect()
    assert logits_of(ops, 3).ctypes.data == place
    assert len({values.ctypes.data for values in others}) == 2


def logits_of(ops, seed):
    step = ops.begin(cases.ragged([4]), ops.new_pages(1, [KVSpec(n_kv_heads=1, head_dim=8)]))
    return ops.to_numpy(ops.from_numpy(step, cases.values(np.random.default_rng(seed), 4, 64)))


def test_values_come_to_numpy_uncopied(ops):
    step = cases.one_step(ops, 4)
    x = ops.from_numpy(step, cases.values(np.random.default_rng(0), 4, 64))
    assert np.shares_memory(ops.to_numpy(x), ops.to_numpy(x))


@given(data=st.data(), seed=SEEDS, kind=TYPES, rows=ROWS, scale=st.sampled_from([1.0, 24.0]))
def test_the_embedding_widens_the_rows_that_are_asked_for(ops, data, seed, kind, rows, scale):
    rng, dim = np.random.default_rng(seed), inputs_of(kind, data.draw)
    table, tokens = cases.tensor(rng, kind, 50, dim), rng.integers(50, size=rows)
    step = ops.begin(cases.ragged([rows], tokens=tokens), ops.new_pages(2, [KVSpec(n_kv_heads=1, head_dim=8)]))
    y = ops.to_numpy(ops.embed(step, ops.pack_embedding(table), scale))
    np.testing.assert_array_equal(y, dequantize(table)[tokens] * np.float32(scale))


@pytest.mark.parametrize("kind", cases.TYPES)
def test_fused_forms_are_their_compositions_bit_for_bit(ops, kind):
    rng = np.random.default_rng(2)
    for rows in (1, 4, 17):
        step = cases.one_step(ops, rows)
        x, residual = (ops.from_numpy(step, cases.values(rng, rows, width)) for width in (96, 50))
        norm, weight = ops.pack_norm(cases.tensor(rng, "F32", 96)), cases.tensor(rng, kind, 50, 96)
        plain = ops.pack_linear([weight], [None])
        pair = ops.pack_gate_up(weight, cases.tensor(rng, kind, 50, 96), (None, None))
        normed = ops.rms_norm(step, x, norm, 1e-5)
        for fused, composed in (
            (ops.norm_linear(step, x, norm, 1e-5, plain), ops.linear(step, normed, plain)),
            (ops.norm_gate_up(step, x, norm, 1e-5, pair, "silu"), ops.gate_up(step, normed, pair, "silu")),
            (ops.linear_add(step, x, plain, residual), ops.add(step, residual, ops.linear(step, x, plain))),
        ):
            np.testing.assert_array_equal(ops.to_numpy(fused), ops.to_numpy(composed))


HEADS = st.sampled_from([(1, 1), (3, 1), (4, 2), (9, 3), (7, 1), (14, 2), (4, 4)])


@given(
    data=st.data(),
    seed=SEEDS,
    heads=HEADS,
    head_dim=st.sampled_from([8, 16, 24, 40, 64, 80, 128, 256]),
    kv=st.sampled_from(["f16", "f32"]),
    factor=st.sampled_from([1.0, 1.3]),
)
def test_attention_over_ragged_batches_and_pages_is_the_reference(data, seed, heads, head_dim, kv, factor):
    rng, (n_heads, n_kv_heads) = np.random.default_rng(seed), heads
    rotated = data.draw(st.sampled_from([0, head_dim, head_dim // 4 * 2]))
    qk_norm = data.draw(st.sampled_from([None, "head", "projection"]))
    spec = replace(
        cases.spec(n_heads, n_kv_heads, head_dim, rotated, factor),
        window=data.draw(st.sampled_from([None, 1, 7, 32, 45])),
        softcap=data.draw(st.sampled_from([None, 1.5])),
        qk_norm=qk_norm,
        norm_eps=1e-5,
    )
    norms = [cases.tensor(rng, "F32", head_dim * (n if qk_norm == "projection" else 1)) for n in (n_heads, n_kv_heads)]
    native_ops, numpy_ops = native.NativeOps(kv=kv), NumpyOps()
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    past = [data.draw(st.integers(0, 70)) for _ in lengths]
    n_pages = sum(-(-(n + p) // 32) for n, p in zip(lengths, past, strict=True))
    order = rng.permutation(n_pages + 2).astype(np.int32)
    tables = cases.ragged(lengths, past).page_tables
    tables = np.where(tables >= 0, order[tables], -1)
    layers = [KVSpec(n_kv_heads=n_kv_heads, head_dim=head_dim)] * 2
    stores = [ops.new_pages(n_pages + 2, layers) for ops in (native_ops, numpy_ops)]
    if grouped := data.draw(st.booleans()):  # the layer's pages lie by themselves, and leave with its window
        layers[1] = replace(layers[1], window=spec.window, group=1)
        stores[0] = native_ops.new_pages(n_pages + 2, layers)
        in_numpy = numpy_ops.new_pages(n_pages + 2, layers)
    packed = [
        AttentionWeights(q_norm=ops.pack_norm(norms[0]), k_norm=ops.pack_norm(norms[1], 0.5))
        for ops in (native_ops, numpy_ops)
    ]
    width = (n_heads + 2 * n_kv_heads) * head_dim
    for new, seen in ((past, [0] * len(past)), (lengths, past)):
        qkv = rng.standard_normal((sum(new), width)).astype(np.float32)
        if not len(qkv):
            continue
        batch = cases.ragged(new, seen, tables)
        held = cases.in_groups(batch, spec.window) if grouped else batch
        step = native_ops.begin(held, stores[0])
        actual = native_ops.to_numpy(native_ops.attention(step, native_ops.from_numpy(step, qkv), 1, spec, packed[0]))
        expected = numpy_ops.attention(numpy_ops.begin(batch, stores[1]), qkv, 1, spec, packed[1])
        np.testing.assert_allclose(actual, expected, atol=5e-6 if kv == "f32" else 5e-3)
        if grouped:
            same = numpy_ops.attention(numpy_ops.begin(held, in_numpy), qkv, 1, spec, packed[1])
            np.testing.assert_allclose(same, expected, atol=1e-6)


def test_values_too_large_for_half_precision_stay_finite(ops):
    spec = cases.spec(2, 1, 16, 0)
    step = cases.one_step(ops, 3, 16)
    qkv = np.full((3, 64), 1e6, np.float32)
    y = ops.to_numpy(ops.attention(step, ops.from_numpy(step, qkv), 0, spec))
    np.testing.assert_array_equal(y, np.full((3, 32), 65504, np.float32))


@pytest.mark.parametrize("kind", cases.TYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_stays_visible_in_its_row_and_there_alone(ops, kind, bad):
    rng, step, spec = np.random.default_rng(5), cases.one_step(ops, 3), cases.spec(2, 1, 8)
    x = rng.standard_normal((3, 96)).astype(np.float32)
    x[1, 40] = bad
    weight, pair = cases.tensor(rng, kind, 32, 96), cases.tensor(rng, kind, 32, 96)
    y = ops.linear(step, ops.from_numpy(step, x), ops.pack_linear([weight], [None]))
    gated = ops.gate_up(step, ops.from_numpy(step, x), ops.pack_gate_up(weight, pair, (None, None)), "silu")
    for result in (y, gated):
        assert np.isfinite(ops.to_numpy(result)).all(axis=1).tolist() == [True, False, True]
    if np.isnan(bad):
        mixed = ops.to_numpy(ops.attention(step, y, 0, spec))
        assert np.isnan(mixed[1:]).all()


@given(seed=SEEDS, rows=ROWS, kind=TYPES, n=st.sampled_from([1, 17, 300, 5000]))
def test_token_logprobs_are_the_log_softmax_at_the_targets(ops, seed, rows, kind, n):
    rng = np.random.default_rng(seed)
    head, targets = (
        ops.pack_linear([cases.tensor(rng, kind, n, 64)], [None]),
        rng.integers(n, size=rows).astype(np.int32),
    )
    step = cases.one_step(ops, rows)
    x = ops.from_numpy(step, cases.values(rng, rows, 64))
    logits = ops.to_numpy(ops.linear(step, x, head)).astype(np.float64)
    targets[: rows // 2] = logits.argmax(axis=1)[: rows // 2]
    peak = logits.max(axis=1, keepdims=True)
    expected = logits - peak - np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))
    logprobs, greedy = ops.token_logprobs(step, x, head, targets)
    assert logprobs.dtype == np.float32
    assert greedy.dtype == np.bool_
    np.testing.assert_allclose(logprobs, expected[np.arange(rows), targets], rtol=1e-6, atol=3e-6)
    np.testing.assert_array_equal(greedy, logits.argmax(axis=1) == targets)


def test_the_first_of_equal_logits_is_the_greedy_one(ops):
    weight = Tensor("head", TensorType.F32, (9000, 8), np.ones((9000, 8), np.float32).view(np.uint8).reshape(-1))
    head, step = ops.pack_linear([weight], [None]), cases.one_step(ops, 3)
    x = ops.from_numpy(step, np.ones((3, 8), np.float32))
    assert ops.token_logprobs(step, x, head, np.array([0, 1, 8000], np.int32))[1].tolist() == [True, False, False]
    assert ops.argmax(ops.linear(step, x, head)).tolist() == [0, 0, 0]


@given(seed=SEEDS, rows=st.integers(1, 4), n=st.integers(1, 200), data=st.data())
def test_top_k_gives_the_largest_in_order_of_equals_the_first(ops, seed, rows, n, data):
    logits = np.random.default_rng(seed).integers(-5, 5, (rows, n)).astype(np.float32)
    k, step = data.draw(st.integers(1, n)), cases.one_step(ops, rows)
    ids, values = ops.top_k(ops.from_numpy(step, logits), k)
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(logits, expected, axis=1))


def test_a_copied_page_holds_every_layer(ops):
    rng, spec = np.random.default_rng(3), cases.spec(2, 1, 16)
    pages = ops.new_pages(3, [KVSpec(n_kv_heads=1, head_dim=16)] * 2)
    qkv = rng.standard_normal((20, 64)).astype(np.float32)
    more = rng.standard_normal((1, 64)).astype(np.float32)
    results = []
    for page in (0, 2):
        if page == 2:
            ops.copy_page(pages, 0, 2)
        else:
            step = ops.begin(cases.ragged([20]), pages)
            for layer in (0, 1):
                ops.attention(step, ops.from_numpy(step, qkv + layer), layer, spec)
        step = ops.begin(cases.ragged([1], [20], np.array([[page]], np.int32)), pages)
        results.append([ops.to_numpy(ops.attention(step, ops.from_numpy(step, more), layer, spec)) for layer in (0, 1)])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(("first", "step"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("rows", [2, 6, 640])
def test_blocks_and_scales_are_joined_as_the_reference_does_it(rows, first, step):
    rng, n_blocks = np.random.default_rng(5), 5
    whole = rng.integers(0, 256, 16 * rows * n_blocks + 1, np.uint8)[1:]  # at an odd address, as in a file
    scales = rng.integers(0, 255, rows * n_blocks).astype(np.uint8)
    joined = native.join_mxfp4(whole, scales, n_blocks, first, step)
    chosen = whole.reshape(rows, n_blocks, 16)[first::step], scales.reshape(rows, n_blocks)[first::step]
    blocks, exponents = (Tensor("b", TensorType.U8, part.shape, part.reshape(-1)) for part in chosen)
    np.testing.assert_array_equal(joined, mxfp4_from_blocks(blocks, exponents, "w").data)


def test_buffers_of_steps_that_grow_row_by_row_do_not_all_stay():
    ops, rng = native.NativeOps(), np.random.default_rng(4)
    weight, n_rows = ops.pack_linear([cases.tensor(rng, "F32", 3000, 8)], [None]), 24
    for rows in range(1, n_rows + 1):
        step = cases.one_step(ops, rows)
        ops.linear(step, ops.from_numpy(step, np.ones((rows, 8), np.float32)), weight)
    assert ops._context.idle_bytes < 2 * 4 * n_rows * 3000


def test_buffers_are_used_again_from_step_to_step(ops):
    rng = np.random.default_rng(4)
    weight, sizes = ops.pack_linear([cases.tensor(rng, "F32", 500, 300)], [None]), []
    for _ in range(5):
        step = cases.one_step(ops, 40)
        x = ops.from_numpy(step, np.ones((40, 300), np.float32))
        ops.linear(step, x, weight)
        del x
        sizes.append(ops._context.idle_bytes)
    assert len(set(sizes)) == 1
