"""A row's bits depend on the row alone: not on its batch, neighbours, cache, pages, threads, or instruction set."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.ops import native
from greenlight.ops.native import NativeOps
from greenlight.ops.protocol import AttentionWeights, KVSpec, MoeSpec
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

DIM, FFN, VOCABULARY, HEADS, KV_HEADS, HEAD_DIM, EXPERTS = 64, 96, 200, 6, 2, 24, 5


class TinyModel:
    """Two blocks of one type of weights, made of every operation."""

    def __init__(self, ops, kind, seed=0):
        rng = np.random.default_rng(seed)

        def linear(n, k):
            return ops.pack_linear([cases.tensor(rng, kind, n, k)], [None])

        def pair(n, k):
            return ops.pack_gate_up(cases.tensor(rng, kind, n, k), cases.tensor(rng, kind, n, k), (None, None))

        self.ops = ops
        self.embedding = ops.pack_embedding(cases.tensor(rng, kind, VOCABULARY, DIM))
        self.norm, self.head = ops.pack_norm(cases.tensor(rng, "F32", DIM)), linear(VOCABULARY, DIM)
        width = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        self.blocks = [(linear(width, DIM), linear(DIM, 160), pair(FFN, DIM), linear(DIM, FFN)) for _ in range(2)]
        stacked = ((EXPERTS, FFN, DIM), (EXPERTS, FFN, DIM), (EXPERTS, DIM, FFN))
        gate, up, down = (cases.tensor(rng, kind, *shape) for shape in stacked)
        self.experts = ops.pack_experts(gate, up, down, (None, None, cases.tensor(rng, "F32", EXPERTS, DIM)))
        self.router = ops.pack_linear([cases.tensor(rng, "F32", EXPERTS, DIM)], [None])
        self.moe = MoeSpec(top_k=2, weights="chosen", activation="swiglu_oss")
        self.spec = replace(cases.spec(HEADS, KV_HEADS, HEAD_DIM), temperature_beta=0.3, temperature_length=20)
        self.attention = AttentionWeights(sinks=ops.pack_norm(cases.tensor(rng, "F32", HEADS)))
        self.layers = [KVSpec(n_kv_heads=KV_HEADS, head_dim=HEAD_DIM)] * 2

    def forward(self, batch, pages, targets=None):
        ops, step = self.ops, self.ops.begin(batch, pages)
        x = ops.embed(step, self.embedding)
        for layer, (qkv, o, gate_up, down) in enumerate(self.blocks):
            mixed = ops.attention(
                step, ops.norm_linear(step, x, self.norm, 1e-5, qkv), layer, self.spec, self.attention
            )
            # 144 mixed values, 160 inputs: widths that are not whole tiles are part of the test.
            wide = np.pad(ops.to_numpy(mixed), ((0, 0), (0, 160 - HEADS * HEAD_DIM)))
            x = ops.linear_add(step, ops.from_numpy(step, wide), o, x)
            x = ops.linear_add(step, ops.norm_gate_up(step, x, self.norm, 1e-5, gate_up, "silu"), down, x)
            normed = ops.rms_norm(step, x, self.norm, 1e-5)
            x = ops.moe_add(step, normed, self.router, self.experts, self.moe, x)
        x = ops.rms_norm(step, ops.rows(step, x), self.norm, 1e-5)
        if targets is not None:
            return ops.token_logprobs(step, x, self.head, targets)[0]
        return ops.to_numpy(ops.linear(step, x, self.head))


@pytest.fixture(scope="module", params=cases.TYPES)
def model(request):
    return TinyModel(NativeOps(), request.param)


@pytest.fixture(autouse=True)
def restore_threads():
    before = native.threads()
    yield
    native.set_threads(before)


def sequences(seed, lengths):
    rng = np.random.default_rng(seed)
    return [rng.integers(VOCABULARY, size=n) for n in lengths]


def alone(model, tokens):
    """Logits of one sequence in one go."""
    return model.forward(cases.ragged([len(tokens)], tokens=tokens), model.ops.new_pages(4, model.layers))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 2**31), lengths=st.lists(st.integers(1, 80), min_size=1, max_size=4))
def test_ragged_splits_neighbours_pages_and_threads_change_no_bit(model, data, seed, lengths):
    tokens = sequences(seed, lengths)
    native.set_threads(1)
    expected = [alone(model, run) for run in tokens]
    native.set_threads(data.draw(st.sampled_from([1, 2, 3])))
    # Each step continues some of the sequences by some tokens, on pages in random places.
    rng, done = np.random.default_rng(seed), [0] * len(tokens)
    pages = model.ops.new_pages(3 * len(tokens) + 1, model.layers)
    tables = (rng.permutation(3 * len(tokens)) + 1).reshape(len(tokens), 3).astype(np.int32)
    while any(d < len(run) for d, run in zip(done, tokens, strict=True)):
        new = [int(rng.integers(0, min(37, len(run) - d) + 1)) for d, run in zip(done, tokens, strict=True)]
        new = [n or min(1, len(run) - d) for n, d, run in zip(new, done, tokens, strict=True)]
        flat = np.concatenate([run[d : d + n] for n, d, run in zip(new, done, tokens, strict=True)])
        logits = model.forward(cases.ragged(new, done, tables, flat), pages)
        starts = np.concatenate([[0], np.cumsum(new)])
        for b, run in enumerate(expected):
            np.testing.assert_array_equal(logits[starts[b] : starts[b + 1]], run[done[b] : done[b] + new[b]])
        done = [d + n for d, n in zip(done, new, strict=True)]


def test_one_row_after_many_has_its_bits_however_attention_is_shared(model):
    """Up to about 1,040 positions one task attends for such a row, from there on three; with one thread it is one."""
    (tokens,) = sequences(7, [1100])
    pages, table = model.ops.new_pages(35, model.layers), np.arange(35, dtype=np.int32)[None]
    native.set_threads(1)
    expected = model.forward(cases.ragged([1100], [0], table, tokens), pages)
    for threads, past in product((1, 2, 3), (100, 255, 256, 1035, 1041, 1042, 1099)):
        native.set_threads(threads)
        row = model.forward(cases.ragged([1], [past], table, tokens[past : past + 1]), pages)
        np.testing.assert_array_equal(row[0], expected[past])


def test_what_a_page_held_before_changes_no_bit(model):
    (tokens,) = sequences(5, [50])
    expected = alone(model, tokens)
    pages = model.ops.new_pages(2, model.layers)
    step = model.ops.begin(cases.ragged([64]), pages)
    rubbish = np.full((64, (HEADS + 2 * KV_HEADS) * HEAD_DIM), np.nan, np.float32)
    for layer in (0, 1):
        model.ops.attention(step, model.ops.from_numpy(step, rubbish), layer, model.spec)
    for start, stop in ((0, 3), (3, 40), (40, 50)):
        batch = cases.ragged([stop - start], [start], np.array([[0, 1]], np.int32), tokens[start:stop])
        np.testing.assert_array_equal(model.forward(batch, pages), expected[start:stop])


def test_log_probabilities_do_not_depend_on_the_rows_beside_them(model):
    (tokens,) = sequences(6, [60])
    targets = np.roll(tokens, -1).astype(np.int32)
    together = model.forward(cases.ragged([60], tokens=tokens), model.ops.new_pages(2, model.layers), targets)
    for rows in ([0], [59], [3, 4, 30]):
        batch = cases.ragged([60], tokens=tokens, outputs=rows)
        some = model.forward(batch, model.ops.new_pages(2, model.layers), targets[rows])
        np.testing.assert_array_equal(some, together[rows])


def bits_of(kind):
    """All that a tiny model computes for one batch, as bytes; each instruction set runs it in its own process."""
    model = TinyModel(NativeOps(), kind)
    batch = cases.ragged([40, 1, 9], tokens=np.arange(50) * 3)
    logits = [model.forward(batch, model.ops.new_pages(4, model.layers))]
    rng = np.random.default_rng(7)
    weight, other = cases.tensor(rng, kind, 50, 64), cases.tensor(rng, "Q8_0" if kind == "F16" else "BF16", 3, 64)
    stacked = model.ops.pack_linear([weight, other], [None, None])
    for rows in range(1, 40):  # every height of panel there is
        step = cases.one_step(model.ops, rows)
        logits.append(
            model.ops.to_numpy(model.ops.linear(step, model.ops.from_numpy(step, cases.values(rng, rows, 64)), stacked))
        )
    return b"".join(array.tobytes() for array in logits)


def hashes(isa):
    script = (
        "import hashlib; from tests.ops.test_native_invariance import bits_of, cases;"
        "print(*(hashlib.sha256(bits_of(kind)).hexdigest() for kind in cases.TYPES))"
    )
    environment = {**os.environ, "GREENLIGHT_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_every_instruction_set_gives_the_same_bits():
    isas = native.usable_isas()
    assert isas[-1] == "portable"
    results = {isa: hashes(isa) for isa in isas}
    assert all(result == results["portable"] for result in results.values()), results
