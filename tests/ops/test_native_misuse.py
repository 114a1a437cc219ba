"""Wrong arguments raise; they never reach a kernel."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from greenlight.errors import ConfigError, FormatError, UnsupportedError
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops import native
from greenlight.ops.native import NativeOps
from greenlight.ops.protocol import Batch, KVSpec
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

RNG = np.random.default_rng(0)
LAYERS = [KVSpec(n_kv_heads=2, head_dim=16)]


@pytest.fixture(scope="module")
def ops():
    return NativeOps()


def int32(*values):
    return np.array(values, np.int32)


def batch(tokens=(1, 2, 3), starts=(0, 3), past=(0,), tables=((0,),), outputs=(2,)):
    return Batch(
        tokens=int32(*tokens),
        starts=int32(*starts),
        past=int32(*past),
        page_tables=np.array(tables, np.int32),
        outputs=int32(*outputs),
    )


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"starts": (0, 2)}, ValueError),
        ({"starts": (1, 3)}, ValueError),
        ({"starts": (0, 3, 3)}, ValueError),
        ({"past": (-1,)}, ValueError),
        ({"past": (40,)}, ValueError),
        ({"past": (2**31 - 1,)}, ValueError),
        ({"tables": ((4,),)}, IndexError),
        ({"tables": ((-1,),)}, IndexError),
        ({"tables": ((0,), (1,))}, ValueError),
        ({"outputs": (3,)}, IndexError),
        ({"outputs": (-1,)}, IndexError),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(ops, wrong, error):
    bad = object.__new__(Batch)  # past its own checks: what reaches C++ is checked there
    good = batch()
    for name in ("tokens", "starts", "past", "page_tables", "outputs"):
        object.__setattr__(bad, name, getattr(good, name))
    for name, values in wrong.items():
        object.__setattr__(bad, "page_tables" if name == "tables" else name, np.array(values, np.int32))
    with pytest.raises(error):
        ops.begin(bad, ops.new_pages(4, LAYERS))


def test_a_step_without_tokens_is_refused(ops):
    with pytest.raises(ValueError, match="at least one token"):
        ops.begin(batch(tokens=(), starts=(0, 0), outputs=()), ops.new_pages(4, LAYERS))


@pytest.mark.parametrize("token", [-1, 50])
def test_tokens_outside_the_vocabulary_are_refused(ops, token):
    table = ops.pack_embedding(cases.tensor(RNG, "Q8_0", 50, 32))
    step = ops.begin(batch(tokens=(1, token, 3)), ops.new_pages(4, LAYERS))
    with pytest.raises(IndexError, match=f"token {token} "):
        ops.embed(step, table)


def test_shapes_that_do_not_fit_are_refused(ops):
    step = ops.begin(batch(), ops.new_pages(4, LAYERS))
    x, y = (ops.from_numpy(step, np.ones(shape, np.float32)) for shape in ((3, 32), (2, 32)))
    weight = ops.pack_linear([cases.tensor(RNG, "Q4_0", 8, 64)], [None])
    square = ops.pack_linear([cases.tensor(RNG, "Q4_0", 32, 32)], [None])
    pair = ops.pack_gate_up(cases.tensor(RNG, "F32", 8, 32), cases.tensor(RNG, "F32", 8, 32), (None, None))
    norm = ops.pack_norm(cases.tensor(RNG, "F32", 64))
    spec = cases.spec(4, 2, 16)
    for call in (
        lambda: ops.linear(step, x, weight),
        lambda: ops.linear(step, x, pair),
        lambda: ops.gate_up(step, x, square, "silu"),
        lambda: ops.gate_up(step, x, pair, "relu"),
        lambda: ops.rms_norm(step, x, norm, 1e-5),
        lambda: ops.norm_linear(step, x, norm, 1e-5, square),
        lambda: ops.linear_add(step, x, square, y),
        lambda: ops.add(step, x, y),
        lambda: ops.rows(step, y),
        lambda: ops.attention(step, x, 0, spec),
        lambda: ops.attention(step, ops.from_numpy(step, np.ones((3, 128), np.float32)), 0, cases.spec(4, 1, 16)),
        lambda: ops.token_logprobs(step, x, square, int32(1)),
        lambda: ops.top_k(x, 33),
        lambda: ops.top_k(x, 0),
    ):
        with pytest.raises(ValueError, match=r"[a-z]{4}"):
            call()
    with pytest.raises(IndexError):
        ops.attention(step, ops.from_numpy(step, np.ones((3, 128), np.float32)), 1, spec)
    with pytest.raises(IndexError):
        ops.token_logprobs(step, x, square, int32(1, 2, 32))
    with pytest.raises(IndexError):
        ops.copy_page(ops.new_pages(2, LAYERS), 0, 2)


@pytest.mark.parametrize(("heads", "rotated"), [((3, 2, 16), 16), ((2, 2, 16), 18), ((2, 2, 513), 0)])
def test_impossible_heads_are_refused(ops, heads, rotated):
    step = ops.begin(batch(), ops.new_pages(4, LAYERS))
    with pytest.raises(ValueError, match=r"heads|head_dim|rope"):
        ops.attention(step, ops.from_numpy(step, np.ones((3, 96), np.float32)), 0, cases.spec(*heads, rotated))


def test_arrays_and_steps_of_the_past_or_of_others_are_refused(ops):
    pages, other = ops.new_pages(4, LAYERS), NativeOps()
    old = ops.begin(batch(), pages)
    x = ops.from_numpy(old, np.ones((3, 32), np.float32))
    ops.to_numpy(x)
    new = ops.begin(batch(), pages)
    for call in (
        lambda: ops.to_numpy(x),
        lambda: ops.argmax(x),
        lambda: ops.add(new, x, x),
        lambda: ops.rows(old, x),
        lambda: other.rows(new, x),
        lambda: other.to_numpy(ops.from_numpy(new, np.ones((1, 1), np.float32))),
    ):
        with pytest.raises(ValueError, match=r"step|other operations"):
            call()


def test_handles_of_the_wrong_kind_are_type_errors(ops):
    step = ops.begin(batch(), ops.new_pages(4, LAYERS))
    for wrong in (None, 3, np.ones((3, 32), np.float32), step):
        with pytest.raises(TypeError):
            ops.linear(step, wrong, wrong)
    with pytest.raises(TypeError):
        ops.token_logprobs(step, ops.from_numpy(step, np.ones((1, 8), np.float32)), None, np.array([0.5]))


def test_tensors_that_lie_about_themselves_are_refused_by_name(ops):
    good = cases.tensor(RNG, "Q4_1", 4, 64)
    short = Tensor("blk.0.short", good.type, (4, 64), good.data[:-1])
    odd = Tensor("blk.0.odd", TensorType.Q4_1, (4, 40), np.zeros(100, np.uint8))
    for tensor, error in ((short, FormatError), (odd, UnsupportedError)):
        with pytest.raises(error, match=tensor.name):
            ops.pack_linear([tensor], [None])
        with pytest.raises(error, match=tensor.name):
            ops.pack_embedding(tensor)
    with pytest.raises(FormatError, match="bias"):
        ops.pack_linear([good], [cases.tensor(RNG, "F32", 5, name="bias")])
    with pytest.raises(FormatError, match="width"):
        ops.pack_linear([good, cases.tensor(RNG, "Q4_1", 4, 32)], [None, None])
    with pytest.raises(FormatError, match="shape"):
        ops.pack_gate_up(good, cases.tensor(RNG, "Q4_1", 5, 64), (None, None))
    with pytest.raises(FormatError):
        ops.pack_linear([], [])


def test_impossible_settings_say_what_is_possible(ops, monkeypatch):
    with pytest.raises(ConfigError, match="portable"):
        NativeOps(isa="pentium")
    monkeypatch.setenv("GREENLIGHT_ISA", "quantum")
    with pytest.raises(ConfigError, match="quantum"):
        NativeOps()
    monkeypatch.delenv("GREENLIGHT_ISA")
    monkeypatch.setenv("GREENLIGHT_THREADS", "many")
    with pytest.raises(ConfigError, match="GREENLIGHT_THREADS"):
        NativeOps()
    with pytest.raises(ConfigError):
        native.set_threads(0)


def test_the_instruction_set_is_known_and_no_part_of_the_identity(ops):
    portable = NativeOps(isa="portable")
    assert (ops.isa, portable.isa) == (native.usable_isas()[0], "portable")
    assert ops.identity == portable.identity == f"native/{native.VERSION}"


def product(ops, seed):
    rng = np.random.default_rng(seed)
    step = cases.one_step(ops, 40)
    x = ops.from_numpy(step, cases.values(rng, 40, 256))
    return ops.to_numpy(ops.linear(step, x, ops.pack_linear([cases.tensor(rng, "Q4_0", 2048, 256)], [None])))


def test_threads_of_the_caller_may_work_at_once():
    expected, results = [product(NativeOps(), seed) for seed in range(4)], {}
    callers = [threading.Thread(target=lambda s=s: results.update({s: product(NativeOps(), s)})) for s in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    for seed in range(4):
        np.testing.assert_array_equal(results[seed], expected[seed])


def _forked(queue):
    queue.put(product(NativeOps(), 7).tobytes())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(ops):
    expected, context = product(ops, 7).tobytes(), multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_forked, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0


def test_without_the_module_the_reason_is_told():
    script = (
        "import sys; sys.modules['greenlight.ops._native'] = None\n"
        "from greenlight.ops import native, select_ops\n"
        "assert not native.available() and native.why_not()\n"
        "assert select_ops().name == 'numpy'\n"
        "try: native.NativeOps()\n"
        "except ImportError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "reinstall" in done.stdout
