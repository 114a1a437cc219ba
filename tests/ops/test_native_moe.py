"""Experts, sinks and growing queries in the kernels are the reference's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from greenlight.errors import FormatError
from greenlight.ops import native
from greenlight.ops.native import NativeOps
from greenlight.ops.numpy_ops import NumpyOps, route
from greenlight.ops.protocol import AttentionWeights, KVSpec, MoeSpec
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

E, C, F = 5, 64, 96
REFERENCE = NumpyOps()


@pytest.fixture(scope="module")
def ops():
    return NativeOps(kv="f32")


class Layer:
    """A random router and experts, as tensors."""

    def __init__(self, kind, seed=0, *, biased=True):
        rng = np.random.default_rng(seed)
        self.x, self.residual = cases.values(rng, 23, C), cases.values(rng, 23, C)
        self.router = cases.tensor(rng, "F32", E, C)
        self.router_bias = cases.tensor(rng, "F32", E)
        self.gate, self.up = cases.tensor(rng, kind, E, F, C), cases.tensor(rng, kind, E, F, C)
        self.down = cases.tensor(rng, kind, E, C, F)
        shapes = ((E, F), (E, F), (E, C))
        self.biases = [cases.tensor(rng, "F32", *shape) if biased else None for shape in shapes]

    def run(self, ops, spec):
        experts = ops.pack_experts(self.gate, self.up, self.down, self.biases)
        router = ops.pack_linear([self.router], [self.router_bias])
        step = cases.one_step(ops, len(self.x))
        array = getattr(ops, "from_numpy", lambda step, x: x)
        result = ops.moe_add(step, array(step, self.x), router, experts, spec, array(step, self.residual))
        return ops.to_numpy(result)


@pytest.mark.parametrize("weights", ["chosen", "all"])
@pytest.mark.parametrize(("top_k", "activation"), [(1, "silu"), (3, "swiglu_oss"), (E, "gelu_tanh")])
def test_experts_are_the_reference_s(ops, weights, top_k, activation):
    layer, spec = Layer("F32", top_k), MoeSpec(top_k=top_k, weights=weights, activation=activation)
    expected = layer.run(REFERENCE, spec)
    size = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(layer.run(ops, spec) / size, expected / size, atol=2e-5)


@pytest.mark.parametrize("kind", ["BF16", "Q4_0", "Q8_0", "MXFP4"])
def test_experts_of_any_type_are_their_own_products_mixed(ops, kind):
    layer, spec = Layer(kind, biased=False), MoeSpec(top_k=2, weights="chosen", activation="silu")
    step = cases.one_step(ops, len(layer.x))
    x = ops.from_numpy(step, layer.x)
    outputs = []
    for e in range(E):
        hidden = ops.gate_up(step, x, ops.pack_gate_up(layer.gate.part(e), layer.up.part(e), (None, None)), "silu")
        outputs.append(ops.to_numpy(ops.linear(step, hidden, ops.pack_linear([layer.down.part(e)], [None]))))
    logits = ops.to_numpy(ops.linear(step, x, ops.pack_linear([layer.router], [layer.router_bias])))
    chosen, shares = route(logits, spec)
    picked = np.stack(outputs)[chosen, np.arange(len(layer.x))[:, None]]  # (T, k, C)
    expected = layer.residual + (shares[..., None] * picked).sum(axis=1)
    np.testing.assert_allclose(layer.run(ops, spec), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_of_equal_logits_the_first_experts_are_chosen(ops):
    layer, spec = Layer("F32"), MoeSpec(top_k=2, weights="chosen", activation="silu")
    layer.router = replace(layer.router, data=np.zeros_like(layer.router.data))
    layer.router_bias = replace(layer.router_bias, data=np.float32([1, 3, 0, 3, 3]).view(np.uint8))
    expected = layer.run(REFERENCE, spec)
    np.testing.assert_allclose(layer.run(ops, spec), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_row_that_is_not_a_number_raises_nothing_and_stays_alone(ops):
    layer, spec = Layer("F32"), MoeSpec(top_k=2, weights="all", activation="silu")
    whole = layer.run(ops, spec)
    layer.x[3] = np.nan
    result = layer.run(ops, spec)
    assert np.isnan(result[3]).all()
    np.testing.assert_array_equal(np.delete(result, 3, axis=0), np.delete(whole, 3, axis=0))


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("cap", [None, 3.0])
def test_sinks_and_growing_queries_are_the_reference_s(ops, window, cap):
    rng = np.random.default_rng(1)
    spec = replace(cases.spec(4, 2, 24), window=window, softcap=cap, temperature_beta=0.7, temperature_length=6)
    qkv, sinks = rng.standard_normal((40, 8 * 24)).astype(np.float32), cases.tensor(rng, "F32", 4)
    results = []
    for each in (ops, REFERENCE):
        step = each.begin(cases.ragged([33, 7]), each.new_pages(3, [KVSpec(n_kv_heads=2, head_dim=24)]))
        values = each.from_numpy(step, qkv) if each is ops else qkv
        weights = AttentionWeights(sinks=each.pack_norm(sinks))
        results.append(each.to_numpy(each.attention(step, values, 0, spec, weights)))
    np.testing.assert_allclose(*results, atol=2e-5)


def test_what_does_not_fit_together_raises(ops):
    layer, spec = Layer("F32"), MoeSpec(top_k=2, weights="chosen", activation="silu")
    with pytest.raises(FormatError, match="experts do not fit together"):
        ops.pack_experts(layer.gate, layer.up, layer.gate.part(0), layer.biases)
    with pytest.raises(ValueError, match="number of experts"):
        layer.run(ops, replace(spec, top_k=E + 1))
    layer.router = cases.tensor(np.random.default_rng(0), "F32", E + 1, C)
    layer.router_bias = None
    with pytest.raises(ValueError, match="another number of experts"):
        layer.run(ops, spec)
    step = ops.begin(cases.ragged([3]), ops.new_pages(1, [KVSpec(n_kv_heads=2, head_dim=24)]))
    sinks = AttentionWeights(sinks=ops.pack_norm(cases.tensor(np.random.default_rng(0), "F32", 3)))
    with pytest.raises(ValueError, match="one per query head"):
        ops.attention(step, ops.from_numpy(step, np.zeros((3, 192), np.float32)), 0, cases.spec(4, 2, 24), sinks)
