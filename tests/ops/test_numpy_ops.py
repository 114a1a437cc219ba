from __future__ import annotations

import math
import mmap

import numpy as np
import pytest

from greenlight.errors import UnsupportedError, UsageError
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops import native, select_ops
from greenlight.ops.numpy_ops import NumpyOps, activate, attend, gated, rotate, route, temperature
from greenlight.ops.protocol import AttentionSpec, KVSpec, MoeSpec, RopeSpec
from tests.builders import encode, one_sequence

RNG = np.random.default_rng(0)
OPS = NumpyOps()


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def tensor(values, kind="F32"):
    return Tensor("t", TensorType[kind], values.shape, np.frombuffer(encode(values, kind), np.uint8))


def step(length=5, past=0):
    return OPS.begin(one_sequence(np.arange(length), past), OPS.new_pages(4, [KVSpec(n_kv_heads=2, head_dim=8)]))


def test_stacked_linears_are_the_linears_side_by_side():
    x, a, b, bias = floats(5, 32), floats(7, 32), floats(3, 32), floats(3)
    packed = OPS.pack_linear([tensor(a), tensor(b)], [None, tensor(bias)])
    np.testing.assert_allclose(
        OPS.linear(step(), x, packed), np.hstack([x @ a.T, x @ b.T + bias]), rtol=1e-5, atol=1e-5
    )


def test_weights_and_pages_lie_in_memory_of_their_own():
    packed = OPS.pack_linear([tensor(floats(6, 4))], [None])
    pages = OPS.new_pages(2, [KVSpec(n_kv_heads=1, head_dim=4)])
    assert not pages.memory.any()
    for array in (packed.weight, pages.memory):
        while isinstance(array, np.ndarray):
            array = array.base
        assert isinstance(array.obj, mmap.mmap)


def test_rms_norm_leaves_rows_of_mean_square_one():
    x = 100 * floats(5, 64)
    normed = OPS.rms_norm(step(), x, OPS.pack_norm(tensor(np.ones(64, np.float32))), 1e-6)
    np.testing.assert_allclose(np.mean(normed**2, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(normed / x, (normed / x)[:, :1] * np.ones((1, 64)), rtol=1e-4)


def test_the_embedding_keeps_its_bytes_and_widens_rows_that_are_asked_for():
    rows = floats(9, 64)
    packed = OPS.pack_embedding(tensor(rows, "F16"))
    expected = rows[:5].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(OPS.embed(step(), packed), expected)
    np.testing.assert_array_equal(OPS.embed(step(), packed, 2.0), 2 * expected)


def test_gate_and_up_are_multiplied_after_the_activation():
    x, gate, up = floats(5, 32), floats(6, 32), floats(6, 32)
    packed = OPS.pack_gate_up(tensor(gate), tensor(up), (None, None))
    expected = activate(x @ gate.T, "silu") * (x @ up.T)
    np.testing.assert_allclose(OPS.gate_up(step(), x, packed, "silu"), expected, rtol=1e-5, atol=1e-5)


def test_fused_forms_are_their_compositions():
    s, x, norm = step(), floats(5, 32), floats(32)
    square = OPS.pack_linear([tensor(floats(32, 32))], [None])
    wide = OPS.pack_gate_up(tensor(floats(8, 32)), tensor(floats(8, 32)), (None, None))
    normed = OPS.rms_norm(s, x, norm, 1e-5)
    np.testing.assert_array_equal(OPS.norm_linear(s, x, norm, 1e-5, square), OPS.linear(s, normed, square))
    np.testing.assert_array_equal(
        OPS.norm_gate_up(s, x, norm, 1e-5, wide, "gelu"), OPS.gate_up(s, normed, wide, "gelu")
    )
    np.testing.assert_array_equal(OPS.linear_add(s, x, square, normed), OPS.add(s, normed, OPS.linear(s, x, square)))


@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_tanh"])
def test_activations_are_near_zero_far_left_and_the_identity_far_right(activation):
    x = np.array([-200.0, -20.0, 0.0, 20.0, 200.0], np.float32)
    np.testing.assert_allclose(activate(x, activation), [0, 0, 0, 20, 200], atol=1e-6)


def test_activations_have_their_textbook_values_at_one():
    one = np.ones(1, np.float32)
    assert activate(one, "silu")[0] == pytest.approx(1 / (1 + math.exp(-1)))
    assert activate(one, "gelu")[0] == pytest.approx((1 + math.erf(math.sqrt(0.5))) / 2)
    assert activate(one, "gelu_tanh")[0] == pytest.approx(0.8411920)


def test_rotation_keeps_lengths_and_leaves_dims_beyond_the_rotated_ones():
    x = floats(3, 2, 10)
    angles = floats(3, 1, 4)
    turned = rotate(x, np.cos(angles), np.sin(angles))
    np.testing.assert_array_equal(turned[..., 8:], x[..., 8:])
    np.testing.assert_allclose(
        np.hypot(turned[..., :4], turned[..., 4:8]), np.hypot(x[..., :4], x[..., 4:8]), rtol=1e-5
    )


def test_products_of_rotated_vectors_depend_only_on_their_distance():
    q, k = floats(1, 1, 8), floats(1, 1, 8)
    freq = np.array([1.0, 0.3, 0.1, 0.01], np.float32)

    def at(x, position):
        return rotate(x, np.cos(position * freq)[None, None], np.sin(position * freq)[None, None])[0, 0]

    assert at(q, 9) @ at(k, 4) == pytest.approx(at(q, 25) @ at(k, 20), rel=1e-4)


def slow_attention(q, k, v, scale):
    T, H, _ = q.shape
    S, K, _ = k.shape
    out = np.zeros_like(q, np.float64)
    for t in range(T):
        for h in range(H):
            seen = S - T + t + 1
            scores = k[:seen, h // (H // K)].astype(np.float64) @ q[t, h] * scale
            weights = np.exp(scores - scores.max())
            out[t, h] = weights / weights.sum() @ v[:seen, h // (H // K)]
    return out.reshape(T, -1)


@pytest.mark.parametrize(
    ("T", "S", "H", "K"), [(1, 1, 1, 1), (1, 9, 4, 2), (5, 5, 6, 2), (3, 40, 7, 1), (300, 310, 2, 2)]
)
def test_attention_is_the_textbook_double_loop(T, S, H, K):
    q, k, v = floats(T, H, 8), floats(S, K, 8), floats(S, K, 8)
    np.testing.assert_allclose(attend(q, k, v, scale=0.35), slow_attention(q, k, v, 0.35), rtol=1e-5, atol=2e-6)


def test_attention_reads_what_earlier_steps_wrote():
    spec = AttentionSpec(
        n_heads=4, n_kv_heads=2, head_dim=8, scale=0.35, rope=RopeSpec(inv_freq=(1.0, 0.1, 0.05, 0.01))
    )
    qkv = floats(40, (4 + 2 * 2) * 8)
    pages = OPS.new_pages(2, [KVSpec(n_kv_heads=2, head_dim=8)])
    whole = OPS.attention(OPS.begin(one_sequence(np.zeros(40)), pages), qkv, 0, spec)
    fresh = OPS.new_pages(2, [KVSpec(n_kv_heads=2, head_dim=8)])
    parts = [
        OPS.attention(OPS.begin(one_sequence(np.zeros(b - a), past=a), fresh), qkv[a:b], 0, spec)
        for a, b in ((0, 3), (3, 33), (33, 40))
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)


def test_log_probabilities_survive_huge_logits():
    head = OPS.pack_linear([tensor(np.eye(4, dtype=np.float32))], [None])
    x = np.array([[1000.0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    logprobs, greedy = OPS.token_logprobs(step(), x, head, np.array([0, 1], np.int32))
    np.testing.assert_allclose(logprobs, [0, -math.log(4)], rtol=1e-6)
    assert greedy.tolist() == [True, False]  # of equals, the first is the most likely


def test_ops_are_chosen_by_name_and_by_environment(monkeypatch):
    assert select_ops("numpy").name == "numpy"
    monkeypatch.setenv("GREENLIGHT_OPS", "numpy")
    assert select_ops().reason is None
    monkeypatch.setenv("GREENLIGHT_OPS", "cuda")
    with pytest.raises(UsageError, match="cuda"):
        select_ops()


def test_without_the_native_module_numpy_runs_and_says_why(monkeypatch):
    monkeypatch.delenv("GREENLIGHT_OPS", raising=False)
    monkeypatch.setattr(native, "_why_not", "No module named 'greenlight.ops._native'")
    ops = select_ops()
    assert ops.name == "numpy"
    assert "No module named" in ops.reason
    with pytest.raises(UnsupportedError, match="native"):
        select_ops("native")


def test_the_identity_names_the_version():
    assert OPS.identity == "numpy/" + ".".join(np.__version__.split(".")[:2])


def test_a_sink_takes_its_share_of_a_softmax_and_is_dropped():
    q, k, v, sinks = floats(5, 4, 8), floats(9, 2, 8), floats(9, 2, 8), floats(4)
    mixed = attend(q, k, v, scale=0.5, sinks=sinks)
    for head in range(4):
        scores = 0.5 * q[-1, head] @ k[:, head // 2].T
        weights = np.exp(scores) / (np.exp(scores).sum() + np.exp(sinks[head]))
        np.testing.assert_allclose(mixed[-1, 8 * head : 8 * head + 8], weights @ v[:, head // 2], rtol=1e-5, atol=1e-6)


def test_a_sink_beyond_all_scores_leaves_next_to_nothing_and_no_overflow():
    mixed = attend(floats(3, 1, 8), floats(3, 1, 8), floats(3, 1, 8), scale=1.0, sinks=np.float32([200]))
    np.testing.assert_allclose(mixed, 0, atol=1e-30)


def test_queries_beyond_each_stretch_are_scaled_up():
    spec = AttentionSpec(
        n_heads=1, n_kv_heads=1, head_dim=8, scale=1.0, rope=None, temperature_beta=0.5, temperature_length=4
    )
    factors = temperature(np.array([0, 3, 4, 8]), spec)
    np.testing.assert_allclose(factors, [1, 1, 1 + 0.5 * np.log(2), 1 + 0.5 * np.log(3)], rtol=1e-6)


@pytest.mark.parametrize(("weights", "among"), [("chosen", [2, 0]), ("all", [0, 1, 2, 3, 4])])
def test_experts_are_weighed_among_those_chosen_or_among_all(weights, among):
    logits = np.float32([[1, 0, 2, -0.5, 0]])
    chosen, shares = route(logits, MoeSpec(top_k=2, weights=weights, activation="silu"))
    assert chosen.tolist() == [[2, 0]]
    np.testing.assert_allclose(shares, np.exp(logits[:, [2, 0]]) / np.exp(logits[0, among]).sum(), rtol=1e-6)


def test_of_equal_logits_the_first_expert_is_chosen():
    chosen, _ = route(np.float32([[3, 5, 5, 3, 5, 0.0, -0.0]]), MoeSpec(top_k=5, weights="all", activation="silu"))
    assert chosen.tolist() == [[1, 2, 4, 0, 3]]


def test_clamped_swiglu_bends_the_gate_from_above_and_up_from_both_sides():
    gate, up = np.float32([-20, 9, 1, 1]), np.float32([1, 2, 30, -30])
    bent = [(-20, 1), (7, 2), (1, 7), (1, -7)]
    expected = [g / (1 + math.exp(-1.702 * g)) * (u + 1) for g, u in bent]
    np.testing.assert_allclose(gated(gate, up, "swiglu_oss"), expected, rtol=1e-5)


def test_experts_are_their_own_feed_forwards_mixed():
    E, C, F = 3, 32, 6
    x, router, residual = floats(5, C), floats(E, C), floats(5, C)
    gate, up, down, biases = floats(E, F, C), floats(E, F, C), floats(E, C, F), [floats(E, F), None, floats(E, C)]
    packed = OPS.pack_experts(tensor(gate), tensor(up), tensor(down), [b if b is None else tensor(b) for b in biases])
    spec = MoeSpec(top_k=2, weights="chosen", activation="silu")
    result = OPS.moe_add(step(), x, OPS.pack_linear([tensor(router)], [None]), packed, spec, residual)
    for row in range(5):
        logits = router @ x[row]
        best = np.argsort(-logits)[:2]
        shares = np.exp(logits[best]) / np.exp(logits[best]).sum()
        expected = residual[row].copy()
        for e, share in zip(best, shares, strict=True):
            hidden = activate(gate[e] @ x[row] + biases[0][e], "silu") * (up[e] @ x[row])
            expected += share * (down[e] @ hidden + biases[2][e])
        np.testing.assert_allclose(result[row], expected, rtol=1e-4, atol=1e-4)
