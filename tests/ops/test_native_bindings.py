"""Whatever the bindings are given, they answer or raise: no shape, type, stride or number reaches memory not theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.ops import native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

REFUSALS = (ValueError, IndexError, TypeError, MemoryError)
GOOD_HEADS = {"n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "scale": 1.0, "inv_freq": [1.0], "rope_scale": 1.0}
NUMBERS = (0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 512, 513, -1, -(2**31), 2**31 - 1, 2**31, 2**63, 0.5, None)
FRACTIONS = (1.0, 0.0, -1.0, 1e-5, 1e38, float("inf"), float("nan"), None, "1")
WORDS = ("silu", "gelu", "gelu_tanh", "swiglu_oss", "relu", "", "F32", "Q8_0", "Q4_K", "MXFP4", "é", 3)
DTYPES = ("<f4", "<f8", "<f2", "<i4", "<i8", "<u1", "<u4", "?", "<c8", ">f4", ">i4")


@st.composite
def arrays(draw, dtypes=DTYPES):
    """Any array: of any type, of no axis to four, with holes, backwards, turned, or at an odd address."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.lists(st.sampled_from((0, 1, 2, 3, 8, 32)), max_size=4))
    value = draw(st.sampled_from((0, 1, 2, 7, 100, -1, 2**31 - 1)))
    size = int(np.prod(shape, dtype=np.int64))
    raw = bytearray(size * dtype.itemsize + 1)
    odd = draw(st.booleans())
    array = np.frombuffer(raw, dtype, size, offset=int(odd)).reshape(shape)
    with np.errstate(all="ignore"):
        array[...] = np.array(value).astype(dtype)
    return draw(st.sampled_from((array, array[::2], array[::-1], array.T) if shape else (array,)))


def matrix(rows, k, kind="F32", bias=None):
    blocks = {"F32": 4 * k, "Q8_0": k // 32 * 34}
    return (kind, np.zeros(rows * blocks[kind], np.uint8), rows, bias)


class Handles:
    """One step's handles, of sizes that fit each other and of others."""

    def __init__(self, module):
        self.context = context = module.Context("")
        self.pages = [
            module.new_pages(2, [(1, 8, 0, 0)], True),
            module.new_pages(1, [(1, 8, 0, 4), (2, 16, 1, 0)], False),
        ]
        tables = np.zeros((1, 1, 1), np.int32)
        self.begun = (np.array([1, 2], np.int32), np.array([0, 2], np.int32), np.zeros(1, np.int32), tables)
        past = context.begin(self.pages[0], *self.begun, np.array([1], np.int32))
        old = context.from_numpy(past, np.ones((2, 8), np.float32))
        step = context.begin(self.pages[0], *self.begun, np.array([1], np.int32))
        shapes = ((2, 8), (2, 32), (1, 8), (2, 0), (0, 8), (2, 64))
        self.pools = {
            "step": [step, past],
            "array": [*(context.from_numpy(step, np.ones(shape, np.float32)) for shape in shapes), old],
            "norm": [*(module.pack_norm(np.ones(n, np.float32)) for n in (8, 2, 0, 64)), None],
            "linear": [
                module.pack_linear([matrix(8, 8)], 8),
                module.pack_gate_up(matrix(8, 8), matrix(8, 8), 8),
                module.pack_linear([matrix(2, 8)], 8),
                module.pack_linear([matrix(5, 32, "Q8_0"), matrix(3, 32)], 32),
            ],
            "experts": [module.pack_experts([(matrix(8, 8),) * 3] * n, 8, 8) for n in (2, 1)],
            "embedding": [module.pack_embedding("F32", np.zeros(32 * n, np.uint8), n, 8) for n in (3, 1)],
            "heads": [
                module.Heads(**GOOD_HEADS | changes)
                for changes in ({}, {"norm": 1}, {"shared": True}, {"window": 1}, {"n_heads": 4, "n_kv_heads": 2})
            ],
            "pages": self.pages,
        }
        program = module.Program()
        program.embed(None, self.pools["embedding"][0], 1.0)
        self.pools["program"] = [program, module.Program()]


INT, FLOAT, WORD = st.sampled_from(NUMBERS), st.sampled_from(FRACTIONS), st.sampled_from(WORDS)
MATRICES = st.tuples(WORD, arrays(("<u1", "<f4")), INT, st.none() | arrays(("<f4", "<f8")))
WILD = {
    "int": INT,
    "float": FLOAT,
    "word": WORD,
    "flag": st.sampled_from((True, False, 2, None)),
    "ids": arrays(("<i4", "<i8")),
    "floats": arrays(),
    "bytes": arrays(("<u1", "<i4")),
    "matrix": MATRICES,
    "matrices": st.lists(MATRICES, max_size=2),
    "triples": st.lists(st.tuples(MATRICES, MATRICES, MATRICES), max_size=2),
    "layers": st.lists(st.tuples(INT, INT, INT, INT), max_size=2),
    "frequencies": st.lists(FLOAT, max_size=9),
}
GOOD = {
    "top_k": 1,
    "k": 8,
    "hidden": 8,
    "first": 0,
    "n": 8,
    "layer": 0,
    "n_pages": 2,
    "vocabulary": 2,
    "dim": 8,
    "source": 0,
    "target": 1,
    "eps": 1e-5,
    "cap": 3.0,
    "scale": 1.0,
    "factor": 2.0,
    "softcap": 0.0,
    "activation": "silu",
    "type": "F32",
    "weigh_all": False,
    "half": True,
    "matrices": [matrix(8, 8)],
    "gate": matrix(8, 8),
    "up": matrix(8, 8),
    "layers": [(1, 8, 0, 0)],
    "data": np.zeros(64, np.uint8),
    "weight": np.ones(8, np.float32),
    "targets": np.array([0, 7], np.int32),
    "tokens": np.array([1, 2], np.int32),
    "starts": np.array([0, 2], np.int32),
    "past": np.zeros(1, np.int32),
    "page_tables": np.zeros((1, 1, 1), np.int32),
    "outputs": np.array([1], np.int32),
    "blocks": np.zeros(64, np.uint8),
    "scales": np.zeros(4, np.uint8),
    "row_blocks": 1,
    "step": 2,
    "result": 0,
}
"""What fits, by argument."""

X = {"step": "step", "x": "array"}
CALLS = {
    "pack_linear": {"matrices": "matrices", "k": "int"},
    "pack_gate_up": {"gate": "matrix", "up": "matrix", "k": "int"},
    "pack_experts": {"matrices": "triples", "k": "int", "hidden": "int"},
    "pack_norm": {"weight": "floats"},
    "pack_embedding": {"type": "word", "data": "bytes", "vocabulary": "int", "dim": "int"},
    "join_mxfp4": {"blocks": "bytes", "scales": "bytes"} | dict.fromkeys(("row_blocks", "first", "step"), "int"),
    "new_pages": {"n_pages": "int", "layers": "layers", "half": "flag"},
    "begin": {"pages": "pages"} | dict.fromkeys(("tokens", "starts", "past", "page_tables", "outputs"), "ids"),
    "run": {"step": "step", "program": "program", "result": "int"},
    "embed": {"step": "step", "embedding": "embedding", "scale": "float"},
    "rms_norm": {**X, "norm": "norm", "eps": "float"},
    "linear": {**X, "weight": "linear"},
    "linear_add": {**X, "weight": "linear", "residual": "array"},
    "norm_linear": {**X, "norm": "norm", "eps": "float", "weight": "linear"},
    "gate_up": {**X, "weight": "linear", "activation": "word"},
    "norm_gate_up": {**X, "norm": "norm", "eps": "float", "weight": "linear", "activation": "word"},
    "add": {**X, "y": "array"},
    "softcap": {**X, "cap": "float"},
    "gate": {**X, "y": "array", "activation": "word"},
    "scale": {**X, "factor": "float"},
    "columns": {**X, "first": "int", "n": "int"},
    "attention": {"step": "step", "qkv": "array", "layer": "int", "heads": "heads"}
    | dict.fromkeys(("q_norm", "k_norm", "v_norm", "sinks"), "norm"),
    "moe_add": {**X, "router": "linear", "experts": "experts", "top_k": "int", "weigh_all": "flag"}
    | {"activation": "word", "residual": "array"},
    "rows": X,
    "to_numpy": {"x": "array"},
    "from_numpy": {"step": "step", "x": "floats"},
    "token_logprobs": {**X, "head": "linear", "targets": "ids", "softcap": "float"},
    "argmax": {"x": "array"},
    "top_k": {"x": "array", "k": "int"},
    "dequantise": {"type": "word", "data": "bytes", "n": "int"},
    "Heads": dict.fromkeys(("n_heads", "n_kv_heads", "head_dim", "window", "norm", "temperature_length"), "int")
    | dict.fromkeys(("scale", "rope_scale", "softcap", "norm_eps", "temperature_beta"), "float")
    | {"inv_freq": "frequencies", "shared": "flag"},
    "copy": {"source": "int", "target": "int"},
}
"""Every binding, and of what kind its arguments are."""


UNRECORDED = {"from_numpy", "token_logprobs", "run"}
RECORDED = [name for name, kinds in CALLS.items() if kinds.get("step") == "step" and name not in UNRECORDED]
"""What takes a step and gives an array: it can be recorded, too."""


def draw_argument(data, handles, name, kind):
    """Mostly what fits, or another of its kind; now and then anything at all."""
    pool = handles.pools.get(kind)
    how = data.draw(st.integers(0, 5), label=name)
    if pool is not None:
        if how:
            return pool[0] if how > 2 else data.draw(st.sampled_from(pool))
        return data.draw(st.sampled_from([*(p[0] for p in handles.pools.values()), None, 3, "x"]))
    if how > 2 and name in GOOD:
        return GOOD[name]
    return data.draw(WILD[kind])


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_binding_answers_or_raises(name, data):
    from greenlight.ops import _native

    handles = Handles(_native)
    owners = (handles.context, handles.pages[0], _native)
    call = next(getattr(owner, name) for owner in owners if hasattr(owner, name))
    arguments = {argument: draw_argument(data, handles, argument, kind) for argument, kind in CALLS[name].items()}
    if name == "Heads":
        arguments |= {n: v for n, v in GOOD_HEADS.items() if data.draw(st.booleans(), label=n)}
    try:
        found = call(**arguments)
    except REFUSALS:
        return
    if isinstance(found, _native.Array):
        values = handles.context.to_numpy(found)
        assert values.shape == (found.rows, found.columns)


@pytest.mark.parametrize("name", RECORDED)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_recorded_runs_or_raises(name, data):
    from greenlight.ops import _native

    handles = Handles(_native)
    step = data.draw(st.sampled_from(handles.pools["step"]))
    program = handles.pools["program"][0]
    handles.pools |= {"array": [0, 0, 1, -1], "step": [None, step]}
    arguments = {argument: draw_argument(data, handles, argument, kind) for argument, kind in CALLS[name].items()}
    try:
        found = handles.context.run(step, program, getattr(program, name)(**arguments))
    except REFUSALS:
        return
    assert handles.context.to_numpy(found).shape == (found.rows, found.columns)


def test_every_binding_is_tried():
    from greenlight.ops import _native

    bound = {name for name in dir(_native.Context) if not name.startswith("_")} - {"isa", "idle_bytes"}
    made = {name for name in dir(_native) if name.startswith(("pack_", "new_", "join_"))}
    assert bound | made | {"Heads", "copy"} == CALLS.keys()
    assert {name for name in dir(_native.Program) if not name.startswith("_")} == set(RECORDED)
