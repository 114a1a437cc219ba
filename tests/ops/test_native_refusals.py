"""Every entry of the module refuses what its kernels could not take, in words that name the argument."""

from __future__ import annotations

import numpy as np
import pytest

from greenlight.ops import native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

HEADS = {"n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "scale": 1.0, "inv_freq": [1.0], "rope_scale": 1.0}


def floats(*shape):
    return np.ones(shape, np.float32)


def int32(*values):
    return np.array(values, np.int32)


def matrix(rows, k, bias=None):
    return ("F32", floats(rows * k).view(np.uint8), rows, bias)


class Entries:
    """Handles of one step of two tokens, and what is asked of them."""

    def __init__(self):
        from greenlight.ops import _native

        self.module, self.context = _native, _native.Context("")
        self.pages = _native.new_pages(2, [(1, 8, 0, 0)], True)
        self.step = self.begin()
        self.x, self.qkv = self.array(2, 8), self.array(2, 32)
        self.square, self.pair = _native.pack_linear([matrix(8, 8)], 8), _native.pack_gate_up(*[matrix(8, 8)] * 2, 8)
        self.experts = _native.pack_experts([(matrix(8, 8),) * 3] * 2, 8, 8)
        self.router = _native.pack_linear([matrix(2, 8)], 8)
        self.norm = _native.pack_norm(floats(8))
        self.heads = _native.Heads(**HEADS)
        self.program = _native.Program()
        self.program.embed(None, _native.pack_embedding("F32", floats(24).view(np.uint8), 3, 8), 1.0)

    def array(self, *shape):
        return self.context.from_numpy(self.step, floats(*shape))

    def begin(self, **changed):
        good = {"tokens": int32(1, 2), "starts": int32(0, 2), "past": int32(0), "outputs": int32(1)}
        given = {"page_tables": np.zeros((1, 1, 1), np.int32), **good, **changed}
        return self.context.begin(self.pages, **given)

    def mixture(self, top_k=1, **changed):
        given = {"router": self.router, "experts": self.experts, "x": self.x, "residual": self.x, **changed}
        return self.context.moe_add(self.step, top_k=top_k, weigh_all=False, activation="silu", **given)

    def attend(self, layer=0, qkv=None, heads=None, **weights):
        return self.context.attention(self.step, qkv or self.qkv, layer, heads or self.heads, **weights)

    def new_heads(self, **changed):
        return self.module.Heads(**{**HEADS, **changed})


@pytest.fixture(scope="module")
def entries():
    return Entries()


ENTRIES = {
    "pack_linear type": (lambda e: e.module.pack_linear([("Q9_9", floats(1).view(np.uint8), 1, None)], 1), "type Q9_9"),
    "pack_linear rows": (lambda e: e.module.pack_linear([("F32", floats(8).view(np.uint8), 0, None)], 8), "row"),
    "pack_linear bytes": (lambda e: e.module.pack_linear([("F32", floats(8).view(np.uint8), 2, None)], 8), "bytes"),
    "pack_linear k": (lambda e: e.module.pack_linear([matrix(1, 8)], -8), "input"),
    "pack_linear large": (lambda e: e.module.pack_linear([("F32", floats(8).view(np.uint8), 2**31 - 1, None)], 8), "l"),
    "pack_linear blocks": (lambda e: e.module.pack_linear([("Q8_0", np.zeros(34, np.uint8), 1, None)], 33), "blocks"),
    "pack_linear bias": (lambda e: e.module.pack_linear([matrix(2, 8, floats(3))], 8), "bias"),
    "pack_linear none": (lambda e: e.module.pack_linear([], 8), "weight"),
    "pack_gate_up": (lambda e: e.module.pack_gate_up(matrix(2, 8), matrix(3, 8), 8), "gate and up"),
    "pack_experts none": (lambda e: e.module.pack_experts([], 8, 8), "expert"),
    "pack_experts hidden": (lambda e: e.module.pack_experts([(matrix(8, 8),) * 3], 8, 16), "hidden"),
    "pack_embedding": (lambda e: e.module.pack_embedding("F32", floats(7).view(np.uint8), 1, 8), "bytes"),
    "new_pages n_pages": (lambda e: e.module.new_pages(0, [(1, 8, 0, 0)], True), "n_pages"),
    "new_pages heads": (lambda e: e.module.new_pages(1, [(2**31 - 1, 512, 0, 0)], True), "n_kv_heads"),
    "new_pages head_dim": (lambda e: e.module.new_pages(1, [(1, 513, 0, 0)], True), "head_dim"),
    "new_pages group": (lambda e: e.module.new_pages(1, [(1, 8, 1, 0)], True), "group"),
    "new_pages window": (lambda e: e.module.new_pages(1, [(1, 8, 0, -1)], True), "window"),
    "new_pages memory": (lambda e: e.module.new_pages(2**31 - 1, [(2**16, 512, 0, 0)], True), "n_pages and layers"),
    "copy": (lambda e: e.pages.copy(0, 2), "source and target"),
    "copy from": (lambda e: e.pages.copy(-1, 0), "source and target"),
    "Heads n_heads": (lambda e: e.new_heads(n_heads=2**31 - 1), "n_heads"),
    "Heads shared": (lambda e: e.new_heads(n_heads=512), "n_heads"),
    "Heads n_kv_heads": (lambda e: e.new_heads(n_kv_heads=0), "n_kv_heads"),
    "Heads head_dim": (lambda e: e.new_heads(head_dim=0), "head_dim"),
    "Heads inv_freq": (lambda e: e.new_heads(inv_freq=[1.0] * 5), "inv_freq"),
    "Heads window": (lambda e: e.new_heads(window=-1), "window"),
    "Heads softcap": (lambda e: e.new_heads(softcap=float("nan")), "softcap"),
    "Heads norm": (lambda e: e.new_heads(norm=3), "norm"),
    "Heads temperature": (lambda e: e.new_heads(temperature_beta=0.1), "temperature_length"),
    "begin tokens": (lambda e: e.begin(tokens=int32()), "token"),
    "begin starts": (lambda e: e.begin(starts=int32(0, 1)), "starts"),
    "begin falling": (lambda e: e.begin(starts=int32(0, 3, 2), past=int32(0, 0)), "page_tables"),
    "begin past": (lambda e: e.begin(past=int32(-1)), "past"),
    "begin long": (lambda e: e.begin(past=int32(31)), "pages"),
    "begin groups": (lambda e: e.begin(page_tables=np.zeros((2, 1, 1), np.int32)), "page_tables"),
    "begin page": (lambda e: e.begin(page_tables=np.full((1, 1, 1), 2, np.int32)), "page 2 of 2"),
    "begin outputs": (lambda e: e.begin(outputs=int32(2)), "outputs"),
    "run": (lambda e: e.context.run(e.step, e.program, 1), "no result 1"),
    "run other": (lambda e: e.module.Context("").run(e.step, e.program, 0), "other operations"),
    "Program": (lambda e: e.module.Program().rows(None, 0), "reads result 0"),
    "embed": (
        lambda e: e.context.embed(e.step, e.module.pack_embedding("F32", floats(8).view(np.uint8), 1, 8), 1.0),
        "token 1",
    ),
    "rms_norm": (lambda e: e.context.rms_norm(e.step, e.qkv, e.norm, 1e-5), "norm"),
    "linear x": (lambda e: e.context.linear(e.step, e.qkv, e.square), "weight"),
    "linear pair": (lambda e: e.context.linear(e.step, e.x, e.pair), "pack_linear"),
    "linear_add": (lambda e: e.context.linear_add(e.step, e.x, e.square, e.qkv), "residual"),
    "norm_linear": (lambda e: e.context.norm_linear(e.step, e.qkv, e.norm, 1e-5, e.square), "weight"),
    "gate_up": (lambda e: e.context.gate_up(e.step, e.x, e.square, "silu"), "pack_gate_up"),
    "gate_up activation": (lambda e: e.context.gate_up(e.step, e.x, e.pair, "relu"), "activation called relu"),
    "norm_gate_up": (lambda e: e.context.norm_gate_up(e.step, e.x, e.norm, 1e-5, e.square, "silu"), "pack_gate_up"),
    "add": (lambda e: e.context.add(e.step, e.x, e.qkv), "shapes"),
    "softcap": (lambda e: e.context.softcap(e.step, e.x, 0.0), "softcap"),
    "gate": (lambda e: e.context.gate(e.step, e.x, e.qkv, "silu"), "shape"),
    "gate activation": (lambda e: e.context.gate(e.step, e.x, e.x, "relu"), "activation called relu"),
    "scale": (lambda e: e.module.Context("").scale(e.step, e.x, 2.0), "other operations"),
    "columns": (lambda e: e.context.columns(e.step, e.x, 0, e.x.columns + 1), "columns"),
    "columns below": (lambda e: e.context.columns(e.step, e.x, -1, 1), "columns"),
    "columns none": (lambda e: e.context.columns(e.step, e.x, 0, 0), "columns"),
    "attention values": (lambda e: e.attend(v_norm=e.module.pack_norm(floats(3))), "v_norm"),
    "attention shared": (lambda e: e.attend(heads=e.new_heads(shared=True)), "shared"),
    "attention qkv": (lambda e: e.attend(qkv=e.x), "qkv"),
    "attention layer": (lambda e: e.attend(layer=1), "layer 1"),
    "attention below": (lambda e: e.attend(layer=-1), "layer -1"),
    "attention heads": (lambda e: e.attend(heads=e.new_heads(n_heads=2, n_kv_heads=2)), "heads"),
    "attention norms": (lambda e: e.attend(heads=e.new_heads(norm=1)), "q_norm"),
    "attention sinks": (lambda e: e.attend(sinks=e.norm), "sinks"),
    "moe_add top_k": (lambda e: e.mixture(top_k=3), "top_k"),
    "moe_add none": (lambda e: e.mixture(top_k=0), "top_k"),
    "moe_add router": (lambda e: e.mixture(router=e.square), "router"),
    "moe_add residual": (lambda e: e.mixture(residual=e.array(1, 8)), "experts"),
    "moe_add x": (lambda e: e.mixture(x=e.qkv), "experts"),
    "rows": (lambda e: e.context.rows(e.step, e.array(1, 8)), "row"),
    "token_logprobs x": (lambda e: e.context.token_logprobs(e.step, e.qkv, e.square, int32(0, 0)), "head"),
    "token_logprobs pair": (lambda e: e.context.token_logprobs(e.step, e.x, e.pair, int32(0, 0)), "head"),
    "token_logprobs targets": (lambda e: e.context.token_logprobs(e.step, e.x, e.square, int32(0)), "targets"),
    "token_logprobs target": (lambda e: e.context.token_logprobs(e.step, e.x, e.square, int32(0, 8)), "target 8"),
    "argmax": (lambda e: e.context.argmax(e.array(2, 0)), "choose"),
    "top_k": (lambda e: e.context.top_k(e.x, 9), "k must"),
    "dequantise": (lambda e: e.context.dequantise("F32", floats(2).view(np.uint8), 3), "bytes"),
    "dequantise n": (lambda e: e.context.dequantise("F32", floats(2).view(np.uint8), -1), "input"),
    "set_threads": (lambda e: e.module.set_threads(0), "threads"),
    "Context": (lambda e: e.module.Context("avx1024"), "avx1024"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_no_kernel_could_take_is_refused_by_name(entries, name):
    call, said = ENTRIES[name]
    with pytest.raises((ValueError, IndexError), match=said):
        call(entries)


def test_every_entry_takes_what_fits(entries):
    for given in (
        entries.mixture(),
        entries.attend(),
        entries.context.run(entries.step, entries.program, 0),
        entries.context.linear(entries.step, entries.x, entries.square),
        entries.context.norm_gate_up(entries.step, entries.x, entries.norm, 1e-5, entries.pair, "silu"),
    ):
        assert entries.context.to_numpy(given).shape[0] == 2


def test_every_operation_of_the_module_has_a_refusal():
    from greenlight.ops import _native

    refusing = {name.split()[0] for name in ENTRIES} | {"isa", "idle_bytes", "to_numpy", "from_numpy"}
    operations = {name for name in dir(_native.Context) if not name.startswith("_")}
    assert operations <= refusing
