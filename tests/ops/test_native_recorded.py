"""What is recorded once does on any step what its operations do one by one."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

from greenlight.model.load import load_decoder
from greenlight.ops import native
from greenlight.ops.native import NativeOps
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import one_sequence
from tests.model.families import CASES, config_of, random_folder
from tests.ops import native_cases as cases

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

TOKENS = np.random.default_rng(3).integers(97, size=40)


@pytest.fixture
def ops():
    return NativeOps()


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_model_has_the_bits_of_its_operations(tmp_path, case):
    decoder = load_decoder(random_folder(tmp_path / "m", config_of(case)), NativeOps())
    ops, stack, pages = decoder.ops, decoder._stack, decoder.new_pages(2)
    for past, length in ((0, 33), (33, 1), (34, 6)):
        batch = one_sequence(TOKENS[past : past + length], past=past)
        asked = decoder.forward(batch, pages)
        np.testing.assert_array_equal(asked, ops.to_numpy(stack.logits(ops, ops.begin(batch, pages))))


def test_a_recording_keeps_the_weights_that_it_needs(ops):
    rng = np.random.default_rng(0)
    tensors = [cases.tensor(rng, "Q4_0", 64, 64) for _ in range(4)]
    embedding = cases.tensor(rng, "F32", 3, 64)

    def compute(ops, step):
        x = ops.embed(step, ops.pack_embedding(embedding), 1.0)
        return ops.linear(step, x, ops.pack_linear([tensors[0]], [None]))

    run = ops.recorded(compute)
    first = ops.to_numpy(run(cases.one_step(ops, 3))).copy()
    gc.collect()
    others = [ops.pack_linear([tensor], [None]) for tensor in tensors[1:]]  # where the first would have been
    np.testing.assert_array_equal(ops.to_numpy(run(cases.one_step(ops, 3))), first)
    assert len(others) == 3


def test_reference_ops_compute_what_is_recorded_anew_each_time():
    ops = NumpyOps()
    calls = []
    run = ops.recorded(lambda ops, step: calls.append(step) or step)
    assert [run(1), run(2)] == calls == [1, 2]


def test_a_recording_refuses_a_step_that_is_over_or_of_others(ops):
    embedding = ops.pack_embedding(cases.tensor(np.random.default_rng(0), "F32", 3, 64))
    run = ops.recorded(lambda ops, step: ops.embed(step, embedding, 1.0))
    old, _ = cases.one_step(ops, 2), cases.one_step(ops, 2)
    with pytest.raises(ValueError, match="this step is over"):
        run(old)
    with pytest.raises(ValueError, match="begun by other operations"):
        run(cases.one_step(NativeOps(), 2))


def test_a_recording_that_has_run_takes_no_more(ops):
    from greenlight.ops import _native

    embedding = ops.pack_embedding(cases.tensor(np.random.default_rng(0), "F32", 3, 64))
    program = _native.Program()
    result = program.embed(None, embedding, 1.0)
    ops._context.run(cases.one_step(ops, 2), program, result)
    with pytest.raises(ValueError, match="records no more"):
        program.rows(None, result)


def test_two_models_run_at_once_on_two_threads(tmp_path):
    """Each on its own ops: a pass does not hold the interpreter, so that both are inside one."""
    folder = random_folder(tmp_path / "m", config_of("llama"))
    decoders = [load_decoder(folder, NativeOps()) for _ in range(2)]
    expected = decoders[0].forward(one_sequence(TOKENS), decoders[0].new_pages(2)).copy()

    def passes(decoder):
        pages = decoder.new_pages(2)
        return [np.array_equal(decoder.forward(one_sequence(TOKENS), pages), expected) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        assert all(chain.from_iterable(pool.map(passes, decoders)))


LARGE = """
    import sys, numpy as np
    from concurrent.futures import ThreadPoolExecutor
    from greenlight.ops.native import NativeOps
    from tests.ops import native_cases as cases

    def passes(n):
        ops, rng = NativeOps(), np.random.default_rng(0)
        embedding = ops.pack_embedding(cases.tensor(rng, "F32", 3, 512))
        weight = ops.pack_linear([cases.tensor(rng, "F32", 512, 512)], [None])

        def compute(ops, step):
            x = ops.embed(step, embedding, 1.0)
            for _ in range(4):
                x = ops.linear(step, x, weight)
            return x

        run = ops.recorded(compute)
        return {ops.to_numpy(run(cases.one_step(ops, 70))).shape for _ in range(n)}
"""
"""Passes of operations so large that each by itself lets the interpreter go."""

SECOND_INTERPRETER = """
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    interpreters.create()
    print(passes(1))
"""
"""Such a process answers "yes" whoever asks whether it holds the interpreter, which a pass does not."""

TWO_THREADS = """
    with ThreadPoolExecutor(2) as pool:
        print(set.union(*pool.map(passes, (60, 60))))
"""
"""One's pass ends while the other's goes on."""


@pytest.mark.parametrize("doing", [SECOND_INTERPRETER, TWO_THREADS])
def test_a_pass_lets_the_interpreter_go_once(doing):
    """Letting it go twice ends the process."""
    code = textwrap.dedent(LARGE) + textwrap.dedent(doing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "{(70, 512)}"), done.stderr


def test_an_interrupt_ends_a_recording_between_operations(ops):
    """The handler's own error comes out before the last operation, which would fail, and the ops go on."""
    width, main = 4096, threading.main_thread().ident
    embedding = ops.pack_embedding(cases.tensor(np.random.default_rng(0), "F32", 3, width))

    def compute(ops, step):
        x = ops.embed(step, embedding, 1.0)
        for _ in range(20_000):  # seconds, unless something ends them
            x = ops.softcap(step, x, 1.0)
        return ops.columns(step, x, width, 1)

    def interrupt(_number, _frame):
        raise InterruptedError

    def interrupt_a_pass():
        while sys._current_frames()[main].f_code.co_name != "_run":
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)

    long, short = ops.recorded(compute), ops.recorded(lambda ops, step: ops.embed(step, embedding, 1.0))
    step, other = cases.one_step(ops, 64), threading.Thread(target=interrupt_a_pass)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        other.start()
        with pytest.raises(InterruptedError):
            long(step)
        other.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ops.to_numpy(short(cases.one_step(ops, 64))).shape == (64, width)
