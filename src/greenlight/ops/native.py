"""How does a model run fast on a CPU? C++ kernels behind the protocol, chosen by instruction set as ops are made.

Quantised weights of every type are repacked when loaded, their codes and scales as they are, and multiplied as
integers: activations get one int8 scale per 32 values; in the exact precision, a second int8 for what the first left.
Float weights are multiplied in float32. Keys and values are kept in float16. Every row's bits depend on that row alone:
not on its batch, its neighbours, what was cached, the number of threads, or the instruction set.

`GREENLIGHT_THREADS` sets the number of threads (default: the CPUs this process may use), `GREENLIGHT_ISA` the
instruction set (default: the best this CPU has). `GREENLIGHT_CPU_WITHOUT` names features, separated by commas, that
are to count as missing; it can take away and not give.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import ConfigError, FormatError, UnsupportedError
from greenlight.formats.quants import refuse_codes
from greenlight.formats.tensors import Tensor
from greenlight.ops.protocol import NO_WEIGHTS, Activation, AttentionSpec, AttentionWeights, Batch, KVSpec, MoeSpec

if TYPE_CHECKING:
    from greenlight.ops._native import Array, Context, Embedding, Experts, Heads, Linear, Norm, Pages, Program, Step
    from greenlight.ops.protocol import Ops

    Matrix = tuple[str, NDArray[np.uint8], int, NDArray[np.float32] | None]

try:
    from greenlight.ops import _native
except ImportError as error:
    _why_not: str | None = str(error)
else:
    _why_not = None

_NORMS = {None: 0, "head": 1, "projection": 2}
"""How queries and keys are normed, as the kernels call it."""

VERSION = 1
"""Raised whenever the same inputs may give other bits than before."""


def available() -> bool:
    """Whether the kernels were built and can be loaded."""
    return _why_not is None


def why_not() -> str | None:
    """What the import of the kernels said, or None where they are there."""
    return _why_not


def cpu_features() -> list[str]:
    """What this CPU and system offer, of what kernels exist for."""
    _require()
    with _settings_errors():
        return _native.cpu_features()


def usable_isas() -> list[str]:
    """Instruction sets that can run here, best first."""
    _require()
    with _settings_errors():
        return _native.usable_isas()


def threads() -> int:
    """Threads that share every operation."""
    _require()
    return _native.threads()


def set_threads(n: int) -> None:
    """Use n threads from now on, in the whole process; results do not change."""
    _require()
    if not 1 <= n <= 1024:
        raise ConfigError("impossible number of threads", found=f"{n}", do="use a number from 1 to 1024")
    _native.set_threads(n)


def join_mxfp4(
    blocks: NDArray[np.uint8], scales: NDArray[np.uint8], row_blocks: int, first: int, step: int
) -> NDArray[np.uint8]:
    """A folder's blocks and scales of MXFP4 as a GGUF file's rows, bit for bit `formats.quants.mxfp4_from_blocks`.

    Args:
        blocks: bytes of all rows, 16 a block.
        scales: one byte a block.
        row_blocks: blocks of a row.
        first: the first row that is taken.
        step: how many rows further the next one is.
    """
    _require()
    return _native.join_mxfp4(_contiguous(blocks), _contiguous(scales), row_blocks, first, step)


def _contiguous(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(data).reshape(-1)


class NativeMissingError(UnsupportedError, ImportError):
    """The kernels were not built or cannot be loaded; an ImportError too, for whoever can go on without them."""


class NativeOps:
    """The operations of `greenlight.ops.protocol.Ops` in C++.

    Args:
        isa: instruction set, one of `usable_isas()`; None takes `GREENLIGHT_ISA` or else the best.
        kv: element type of keys and values in pages.
        precision: "exact" keeps what rounding activations to int8 takes from them in a second int8, for all weights
            whose activations are integers; the other weights' are float32 in both.

    Raises:
        NativeMissingError: the kernels were not built.
        ConfigError: an instruction set this CPU or build does not have; an impossible `GREENLIGHT_THREADS` or
            `GREENLIGHT_CPU_WITHOUT`.
    """

    name = "native"
    batch_invariant = True

    def __init__(
        self,
        *,
        isa: str | None = None,
        kv: Literal["f16", "f32"] = "f16",
        precision: Literal["standard", "exact"] = "standard",
    ) -> None:
        _require()
        _apply_thread_setting()
        wanted = isa if isa is not None else os.environ.get("GREENLIGHT_ISA", "")
        with _settings_errors():
            self._context: Context = _native.Context(wanted, precision == "exact")
        self._half_pages = kv == "f16"
        # Keyed by identity: hashing a spec with all its frequencies would cost more than a layer's smallest operation.
        self._heads: dict[int, tuple[AttentionSpec, Heads]] = {}
        self.identity = f"native/{VERSION}{'+exact' if precision == 'exact' else ''}"

    @property
    def isa(self) -> str:
        """Instruction set of the kernels; no part of the identity, since all give the same bits."""
        return self._context.isa

    @property
    def threads(self) -> int:
        """Threads of the kernels, which all of this process's ops share."""
        return threads()

    def pack_linear(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Linear:
        """Stack weights of (N_i, C), of any mixture of types, into one linear of (sum N_i, C)."""
        if len(weights) != len(biases) or not weights:
            raise FormatError(
                "a linear needs weights and one bias or None for each", found=f"{len(weights)}, {len(biases)}"
            )
        inputs = weights[0].shape[-1]
        matrices = [self._matrix(weight, bias, inputs) for weight, bias in zip(weights, biases, strict=True)]
        return _native.pack_linear(matrices, inputs)

    def pack_gate_up(self, gate: Tensor, up: Tensor, biases: tuple[Tensor | None, Tensor | None]) -> Linear:
        """Gate and up projections, each (F, C), for `gate_up`."""
        inputs = gate.shape[-1]
        if gate.shape != up.shape:
            raise FormatError(
                "gate and up differ in shape", where=up.name, found=f"{up.shape}, {gate.name} has {gate.shape}"
            )
        return _native.pack_gate_up(self._matrix(gate, biases[0], inputs), self._matrix(up, biases[1], inputs), inputs)

    def pack_experts(self, gate: Tensor, up: Tensor, down: Tensor, biases: Sequence[Tensor | None]) -> Experts:
        """Gate and up (E, F, C), down (E, C, F), biases (E, F), (E, F), (E, C) or None each."""
        if not len(gate.shape) == len(down.shape) == 3 or gate.shape != up.shape or gate.shape[0] != down.shape[0]:
            raise FormatError(
                "experts do not fit together",
                where=gate.name,
                found=f"gate {gate.shape}, up {up.shape}, down {down.shape}",
            )
        matrices = []
        for e in range(gate.shape[0]):
            parts = ((gate, biases[0], 2), (up, biases[1], 2), (down, biases[2], 1))
            triple = [self._matrix(w.part(e), b and b.part(e), gate.shape[axis]) for w, b, axis in parts]
            matrices.append((triple[0], triple[1], triple[2]))
        return _native.pack_experts(matrices, gate.shape[2], gate.shape[1])

    def pack_norm(self, weight: Tensor, offset: float = 0.0) -> Norm:
        """A norm's weight plus offset, (C,)."""
        return _native.pack_norm(self._floats(weight) + np.float32(offset))

    def pack_embedding(self, weight: Tensor) -> Embedding:
        """Embedding rows, (V, C), kept as the file's own bytes."""
        vocabulary, dim = _matrix_shape(weight)
        return _native.pack_embedding(weight.type.name, _bytes(weight), vocabulary, dim)

    def new_pages(self, n_pages: int, layers: Sequence[KVSpec]) -> Pages:
        """Storage for n_pages of 32 positions of any one group; memory is used as pages are first written."""
        shapes = [(layer.n_kv_heads, layer.head_dim, layer.group, layer.window or 0) for layer in layers]
        return _native.new_pages(n_pages, shapes, self._half_pages)

    def copy_page(self, pages: Pages, source: int, target: int) -> None:
        """Copy one page, whichever group it serves."""
        pages.copy(source, target)

    def begin(self, batch: Batch, pages: Pages) -> Step:
        """Start a forward pass; arrays of an earlier step may not be used after this.

        Raises:
            ValueError: starts, past and page_tables contradict each other.
            IndexError: a page or an output row that does not exist.
        """
        tables = batch.page_tables if batch.page_tables.ndim == 3 else batch.page_tables[None]
        tables = np.ascontiguousarray(tables, np.int32)
        return self._context.begin(
            pages, _int32(batch.tokens), _int32(batch.starts), _int32(batch.past), tables, _int32(batch.outputs)
        )

    def recorded(self, compute: Callable[[Ops, Step], Array]) -> Callable[[Step], Array]:
        """The same computation for any step, in one call: its operations are recorded here and now."""
        program = _native.Program()
        result = compute(_Recording(self, program), cast("Step", None))
        return partial(self._run, program, cast("int", result))

    def _run(self, program: Program, result: int, step: Step) -> Array:
        return self._context.run(step, program, result)

    def embed(self, step: Step, embedding: Embedding, scale: float = 1.0) -> Array:
        """Rows of the embedding for the batch's tokens, times scale, (T, C)."""
        return self._context.embed(step, embedding, scale)

    def rms_norm(self, step: Step, x: Array, weight: Norm, eps: float) -> Array:
        """Rows x / rms(x) * weight over the last axis (Zhang and Sennrich 2019, arXiv:1910.07467), (T, C)."""
        return self._context.rms_norm(step, x, weight, eps)

    def linear(self, step: Step, x: Array, weight: Linear) -> Array:
        """Rows x @ weight.T + bias, (T, N)."""
        return self._context.linear(step, x, weight)

    def add(self, step: Step, x: Array, y: Array) -> Array:
        """The sum x + y, (T, C)."""
        return self._context.add(step, x, y)

    def gate_up(self, step: Step, x: Array, weight: Linear, activation: Activation) -> Array:
        """activation(gate(x)) * up(x), (T, F)."""
        return self._context.gate_up(step, x, weight, activation)

    def softcap(self, step: Step, x: Array, cap: float) -> Array:
        """cap·tanh(x / cap), (T, N)."""
        return self._context.softcap(step, x, cap)

    def gate(self, step: Step, x: Array, y: Array, activation: Activation) -> Array:
        """activation(x) * y, (T, N)."""
        return self._context.gate(step, x, y, activation)

    def scale(self, step: Step, x: Array, factor: float) -> Array:
        """Every value times factor, (T, N)."""
        return self._context.scale(step, x, factor)

    def columns(self, step: Step, x: Array, first: int, n: int) -> Array:
        """Columns first to first + n, (T, n)."""
        return self._context.columns(step, x, first, n)

    def attention(
        self, step: Step, qkv: Array, layer: int, spec: AttentionSpec, weights: AttentionWeights = NO_WEIGHTS
    ) -> Array:
        """Rotate, write new keys and values to the pages, attend causally to the positions seen; (T, H·D)."""
        known = self._heads.get(id(spec))
        heads = known[1] if known else self._new_heads(spec)
        norms = weights.q_norm, weights.k_norm, weights.v_norm
        return self._context.attention(step, qkv, layer, heads, *norms, weights.sinks)

    def norm_linear(self, step: Step, x: Array, norm: Norm, eps: float, weight: Linear) -> Array:
        """linear(rms_norm(x)), (T, N), bit for bit."""
        return self._context.norm_linear(step, x, norm, eps, weight)

    def norm_gate_up(self, step: Step, x: Array, norm: Norm, eps: float, weight: Linear, act: Activation) -> Array:
        """gate_up(rms_norm(x)), (T, F), bit for bit."""
        return self._context.norm_gate_up(step, x, norm, eps, weight, act)

    def linear_add(self, step: Step, x: Array, weight: Linear, residual: Array) -> Array:
        """The sum residual + linear(x), (T, C), bit for bit."""
        return self._context.linear_add(step, x, weight, residual)

    def moe_add(self, step: Step, x: Array, router: Linear, experts: Experts, spec: MoeSpec, residual: Array) -> Array:
        """Each position's chosen experts, mixed by their weights in the order of choice, added to residual, (T, C)."""
        weigh_all = spec.weights == "all"
        return self._context.moe_add(step, x, router, experts, spec.top_k, weigh_all, spec.activation, residual)

    def rows(self, step: Step, x: Array) -> Array:
        """The rows that the batch asks outputs for, (R, C)."""
        return self._context.rows(step, x)

    def to_numpy(self, x: Array) -> NDArray[np.float32]:
        """An array's values, (rows, columns), in its own memory: it goes to another step once NumPy lets go."""
        return self._context.to_numpy(x)

    def from_numpy(self, step: Step, x: NDArray[np.float32]) -> Array:
        """An array of this step with a copy of these values, (rows, columns)."""
        return self._context.from_numpy(step, np.ascontiguousarray(x, np.float32))

    def token_logprobs(
        self, step: Step, x: Array, head: Linear, targets: NDArray[np.int32], softcap: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Log-softmax of the head's logits at one target per row, and whether the target was the most likely token."""
        values, greedy = self._context.token_logprobs(step, x, head, _int32(targets), softcap or 0.0)
        return values, greedy.view(np.bool_)

    def argmax(self, x: Array) -> NDArray[np.int32]:
        """Column of each row's largest value, the first of equals, (R,)."""
        return self._context.argmax(x)

    def top_k(self, x: Array, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Columns and values of each row's k largest, largest first, of equals the first; (R, k) each."""
        return self._context.top_k(x, k)

    def _new_heads(self, spec: AttentionSpec) -> Heads:
        rope = spec.rope
        frequencies, factor = (list(rope.inv_freq), rope.scale) if rope else ([], 1.0)
        heads = _native.Heads(
            *(spec.n_heads, spec.n_kv_heads, spec.head_dim, spec.scale, frequencies, factor),
            *(spec.window or 0, spec.softcap or 0.0, _NORMS[spec.qk_norm], spec.norm_eps),
            *(spec.temperature_beta, spec.temperature_length, spec.shared),
        )
        self._heads[id(spec)] = (spec, heads)  # the spec itself too: its id stays taken
        return heads

    def _floats(self, tensor: Tensor) -> NDArray[np.float32]:
        return self._context.dequantise(tensor.type.name, _bytes(tensor), tensor.n_values)

    def _matrix(self, weight: Tensor, bias: Tensor | None, inputs: int) -> Matrix:
        rows, columns = _matrix_shape(weight)
        if columns != inputs:
            raise FormatError(
                "stacked weights differ in width", where=weight.name, found=f"{columns}, expected {inputs}"
            )
        if bias is not None and bias.n_values != rows:
            raise FormatError(
                "a bias has another length than its weight", where=bias.name, found=f"{bias.n_values} of {rows}"
            )
        return weight.type.name, _bytes(weight), rows, None if bias is None else self._floats(bias)


class _Recording(NativeOps):
    """Ops whose operations from a step to an array are recorded: steps are None, and arrays are numbers.

    There is nothing else to be called: no step is begun, and no array has values.
    """

    def __init__(self, ops: NativeOps, program: Program) -> None:
        self.identity = ops.identity
        self._heads = ops._heads
        self._context = cast("Context", program)  # what it records has the same names and arguments


@contextlib.contextmanager
def _settings_errors() -> Iterator[None]:
    """What the kernels do not take from the environment is a wrong setting."""
    try:
        yield
    except ValueError as error:
        where = "GREENLIGHT_CPU_WITHOUT" if "GREENLIGHT_CPU_WITHOUT" in str(error) else "GREENLIGHT_ISA"
        raise ConfigError("unknown instruction set", where=where, found=str(error)) from error


def _require() -> None:
    if _why_not is not None:
        raise NativeMissingError(
            "the native kernels are not there",
            where="greenlight.ops._native",
            found=_why_not,
            do="install a C++20 compiler and reinstall greenlight-llm, or use the numpy operations",
        )


_applied_threads: str | None = None


def _apply_thread_setting() -> None:
    """Read GREENLIGHT_THREADS, once per value: a later `set_threads` stays in force."""
    global _applied_threads
    text = os.environ.get("GREENLIGHT_THREADS")
    if text is None or text == _applied_threads:
        return
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ConfigError(
            "impossible number of threads",
            where="GREENLIGHT_THREADS",
            found=repr(text),
            do="use a number from 1 to 1024",
        )
    _native.set_threads(int(text))
    _applied_threads = text


def _matrix_shape(weight: Tensor) -> tuple[int, int]:
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise FormatError("a weight is not a matrix", where=weight.name, found=f"shape {weight.shape}")
    if weight.shape[1] % weight.type.block_values:
        raise UnsupportedError(
            f"rows of type {weight.type.name} must be whole blocks of {weight.type.block_values} values",
            where=weight.name,
            found=f"{weight.shape[1]} values per row",
        )
    return weight.shape[0], weight.shape[1]


def _bytes(tensor: Tensor) -> NDArray[np.uint8]:
    refuse_codes(tensor)
    data = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(-1)
    if tensor.n_values % tensor.type.block_values or data.size != tensor.n_bytes:
        raise FormatError(
            "a tensor has another number of bytes than its shape says",
            where=tensor.name,
            found=f"{data.size} bytes, expected {tensor.n_bytes} for {tensor.shape} of {tensor.type.name}",
        )
    return data


def _int32(values: NDArray[np.int32]) -> NDArray[np.int32]:
    if values.dtype == np.int32:
        return np.ascontiguousarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"expected whole numbers, got {values.dtype}")
    if values.size and (values.min() < -(2**31) or values.max() >= 2**31):
        raise ValueError("a number does not fit 32 bits")
    return values.astype(np.int32)
