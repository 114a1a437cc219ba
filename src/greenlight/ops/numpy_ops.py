"""What does each operation compute? The reference: plain float32 numpy, to be read, and to judge other ops by.

Weights are widened to float32 when packed and products run through numpy's BLAS, so this is also what runs where the
native module could not be built: correct, and several times slower and larger.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor
from greenlight.ops.protocol import (
    NO_WEIGHTS,
    PAGE_SIZE,
    SWIGLU_OSS_ALPHA,
    SWIGLU_OSS_LIMIT,
    Activation,
    AttentionSpec,
    AttentionWeights,
    Batch,
    KVSpec,
    MoeSpec,
    RopeSpec,
)

if TYPE_CHECKING:
    from greenlight.ops.protocol import Ops

Floats = NDArray[np.float32]

_QUERY_CHUNK = 256
"""Queries scored at a time, so that scores of a long prompt need (H, chunk, S) and not (H, T, S)."""

_ROW_CHUNK = 128
"""Rows whose logits are held at a time when only one log-probability of each is wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A packed linear."""

    weight: Floats
    """(N, C)."""

    bias: Floats | None
    """(N,), or None."""


@dataclass(frozen=True, slots=True, eq=False)
class Experts:
    """Packed experts of one layer."""

    gate_up: tuple[Linear, ...]
    """Of each, gate above up, (2F, C)."""

    down: tuple[Linear, ...]
    """Of each, (C, F)."""


@dataclass(frozen=True, slots=True, eq=False)
class PageStore:
    """Keys (already rotated) and values of all layers, by page."""

    layers: tuple[KVSpec, ...]
    """What each layer keeps."""

    memory: Floats
    """All of it, (pages, values of a page); layers of different groups lie at the same places, on different pages."""

    keys: tuple[Floats, ...]
    """Per layer, (pages, PAGE_SIZE, K, D)."""

    values: tuple[Floats, ...]
    """Per layer, (pages, PAGE_SIZE, K, D)."""


@dataclass(frozen=True, slots=True, eq=False)
class NumpyStep:
    """One forward pass."""

    batch: Batch
    """Its tokens and where they belong."""

    pages: PageStore
    """Where keys and values are kept."""

    tables: NDArray[np.int32]
    """Pages of each sequence, by group, (G, B, P)."""

    row_pages: NDArray[np.int32]
    """Page of each row, by group, (G, T)."""

    rotations: dict[RopeSpec, tuple[Floats, Floats]] = field(default_factory=dict)
    """cos and sin of each row, (T, 1, pairs), computed once per step."""


class NumpyOps:
    """The `Ops` protocol in numpy."""

    name = "numpy"
    batch_invariant = False
    """BLAS may sum in another order for another number of rows."""
    threads: int | None = None
    """As many as BLAS likes."""
    isa: str | None = None
    """Whatever numpy and BLAS find."""

    def __init__(self, reason: str | None = None) -> None:
        self.identity = f"numpy/{'.'.join(np.__version__.split('.')[:2])}"
        self.reason = reason
        """Why these ops run where native ones were wanted; None where they were asked for."""

    # Packing

    def pack_linear(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Linear:
        """Weights (N_i, C) stacked by rows, as float32; a missing bias beside a present one counts as zeros."""
        weight = zeros_apart((sum(tensor.shape[0] for tensor in weights), weights[0].shape[-1]), large_pages=True)
        np.concatenate([dequantize(tensor) for tensor in weights], out=weight)  # a copy, so aligned, even of one
        if all(bias is None for bias in biases):
            return Linear(weight, None)
        parts = [
            np.zeros(tensor.shape[0], np.float32) if bias is None else dequantize(bias)
            for tensor, bias in zip(weights, biases, strict=True)
        ]
        return Linear(weight, np.concatenate(parts))

    def pack_gate_up(self, gate: Tensor, up: Tensor, biases: tuple[Tensor | None, Tensor | None]) -> Linear:
        """Gate above up, (2F, C)."""
        return self.pack_linear([gate, up], biases)

    def pack_experts(self, gate: Tensor, up: Tensor, down: Tensor, biases: Sequence[Tensor | None]) -> Experts:
        """Gate and up (E, F, C), down (E, C, F), biases (E, F), (E, F), (E, C) or None each."""
        experts = range(gate.shape[0])
        gate_biases, up_biases, down_biases = ([b and b.part(e) for e in experts] for b in biases)
        gates_ups = zip(experts, gate_biases, up_biases, strict=True)
        return Experts(
            gate_up=tuple(self.pack_linear([gate.part(e), up.part(e)], [g, u]) for e, g, u in gates_ups),
            down=tuple(self.pack_linear([down.part(e)], [bias]) for e, bias in zip(experts, down_biases, strict=True)),
        )

    def pack_norm(self, weight: Tensor, offset: float = 0.0) -> Floats:
        """A norm's weight plus offset, (C,)."""
        return dequantize(weight) + np.float32(offset)

    def pack_embedding(self, weight: Tensor) -> Tensor:
        """The rows as they are: only those looked up are widened."""
        return weight

    # Pages

    def new_pages(self, n_pages: int, layers: Sequence[KVSpec]) -> PageStore:
        """Zeroed float32 storage."""
        used = [0] * (1 + max((layer.group for layer in layers), default=0))
        places = []
        for layer in layers:
            n_values = PAGE_SIZE * layer.n_kv_heads * layer.head_dim
            places.append((used[layer.group], n_values))
            used[layer.group] += 2 * n_values
        memory = zeros_apart((n_pages, max(used)))

        def views(second: int) -> tuple[Floats, ...]:
            return tuple(
                memory[:, start + second * n : start + (second + 1) * n].reshape(
                    n_pages, PAGE_SIZE, layer.n_kv_heads, layer.head_dim
                )
                for layer, (start, n) in zip(layers, places, strict=True)
            )

        return PageStore(layers=tuple(layers), memory=memory, keys=views(0), values=views(1))

    def copy_page(self, pages: PageStore, source: int, target: int) -> None:
        """Copy one page, whichever group it serves."""
        pages.memory[target] = pages.memory[source]

    # The pass

    def begin(self, batch: Batch, pages: PageStore) -> NumpyStep:
        """Find each row's pages."""
        sequence = np.repeat(np.arange(len(batch.past)), np.diff(batch.starts))
        tables = batch.page_tables if batch.page_tables.ndim == 3 else batch.page_tables[None]
        row_pages = tables[:, sequence, batch.positions // PAGE_SIZE]
        assert row_pages.min(initial=0) >= 0, "a page table does not reach its sequence's new positions"
        return NumpyStep(batch, pages, tables, row_pages)

    def recorded(self, compute: Callable[[Ops, NumpyStep], Floats]) -> Callable[[NumpyStep], Floats]:
        """The same computation for any step."""
        return partial(compute, self)

    def embed(self, step: NumpyStep, embedding: Tensor, scale: float = 1.0) -> Floats:
        """Rows of the embedding for the batch's tokens, times scale, (T, C)."""
        rows = dequantize(embedding.take_rows(step.batch.tokens))
        return rows if scale == 1.0 else rows * np.float32(scale)

    def rms_norm(self, step: NumpyStep, x: Floats, weight: Floats, eps: float) -> Floats:
        """Rows x / sqrt(mean(x²) + eps) * weight, (T, C)."""
        return rms_norm(x, weight, eps)

    def linear(self, step: NumpyStep, x: Floats, weight: Linear) -> Floats:
        """Rows x @ weight.T + bias, (T, N)."""
        y = x @ weight.weight.T
        return y if weight.bias is None else y + weight.bias

    def add(self, step: NumpyStep, x: Floats, y: Floats) -> Floats:
        """The sum x + y."""
        return x + y

    def gate_up(self, step: NumpyStep, x: Floats, weight: Linear, activation: Activation) -> Floats:
        """activation(gate(x)) * up(x), (T, F)."""
        gate, up = np.split(self.linear(step, x, weight), 2, axis=-1)
        return gated(gate, up, activation)

    def softcap(self, step: NumpyStep, x: Floats, cap: float) -> Floats:
        """cap·tanh(x / cap)."""
        return softcap(x, cap)

    def gate(self, step: NumpyStep, x: Floats, y: Floats, activation: Activation) -> Floats:
        """activation(x) * y, (T, N)."""
        return gated(x, y, activation)

    def scale(self, step: NumpyStep, x: Floats, factor: float) -> Floats:
        """Every value times factor, (T, N)."""
        return x * np.float32(factor)

    def columns(self, step: NumpyStep, x: Floats, first: int, n: int) -> Floats:
        """Columns first to first + n, (T, n)."""
        return x[:, first : first + n]

    def attention(
        self, step: NumpyStep, qkv: Floats, layer: int, spec: AttentionSpec, weights: AttentionWeights = NO_WEIGHTS
    ) -> Floats:
        """Rotate, write new keys and values to the pages, attend causally to the positions seen, (T, H·D)."""
        H, K, D = spec.n_heads, spec.n_kv_heads, spec.head_dim
        heads = qkv.reshape(len(qkv), -1, D)  # (T, H | K | K, D)
        q = self._turned(step, normed_heads(heads[:, :H], weights.q_norm, spec), spec)
        if spec.temperature_beta:
            q = q * temperature(step.batch.positions, spec)[:, None, None]
        batch, keys, values = step.batch, step.pages.keys[layer], step.pages.values[layer]
        group = step.pages.layers[layer].group
        if not spec.shared:
            k, v = heads[:, H : H + K], heads[:, H + K :]
            row_pages, slots = step.row_pages[group], batch.positions % PAGE_SIZE
            keys[row_pages, slots] = self._turned(step, normed_heads(k, weights.k_norm, spec), spec)
            values[row_pages, slots] = v if weights.v_norm is None else rms_norm(v, weights.v_norm, spec.norm_eps)
        mixed = np.empty((len(qkv), H * D), np.float32)
        for b, past in enumerate(batch.past):
            start, end = batch.starts[b], batch.starts[b + 1]
            seen = past + end - start
            # Pages that the first new position no longer sees may be gone.
            first = 0 if spec.window is None else max(0, past + 1 - spec.window) // PAGE_SIZE
            held = step.tables[group, b, first : -(-seen // PAGE_SIZE)]
            mixed[start:end] = attend(
                q[start:end],
                keys[held].reshape(-1, K, D)[: seen - first * PAGE_SIZE],
                values[held].reshape(-1, K, D)[: seen - first * PAGE_SIZE],
                scale=spec.scale,
                window=spec.window,
                cap=spec.softcap,
                sinks=weights.sinks,
            )
        return mixed

    def _turned(self, step: NumpyStep, x: Floats, spec: AttentionSpec) -> Floats:
        return x if spec.rope is None else self._rotate(step, x, spec.rope)

    def _rotate(self, step: NumpyStep, x: Floats, rope: RopeSpec) -> Floats:
        if rope not in step.rotations:
            angles = step.batch.positions.astype(np.float32)[:, None] * np.array(rope.inv_freq, np.float32)
            scale = np.float32(rope.scale)
            step.rotations[rope] = (np.cos(angles)[:, None] * scale, np.sin(angles)[:, None] * scale)
        return rotate(x, *step.rotations[rope])

    # Fused forms: here, the compositions that they stand for

    def norm_linear(self, step: NumpyStep, x: Floats, norm: Floats, eps: float, weight: Linear) -> Floats:
        """linear(rms_norm(x)), (T, N)."""
        return self.linear(step, self.rms_norm(step, x, norm, eps), weight)

    def norm_gate_up(
        self, step: NumpyStep, x: Floats, norm: Floats, eps: float, weight: Linear, act: Activation
    ) -> Floats:
        """gate_up(rms_norm(x)), (T, F)."""
        return self.gate_up(step, self.rms_norm(step, x, norm, eps), weight, act)

    def linear_add(self, step: NumpyStep, x: Floats, weight: Linear, residual: Floats) -> Floats:
        """The sum residual + linear(x), (T, C)."""
        return residual + self.linear(step, x, weight)

    # Experts

    def moe_add(
        self, step: NumpyStep, x: Floats, router: Linear, experts: Experts, spec: MoeSpec, residual: Floats
    ) -> Floats:
        """Each position's chosen experts, mixed by their weights, added to residual, (T, C)."""
        chosen, weights = route(self.linear(step, x, router), spec)  # (T, k) each
        outputs = np.empty((*chosen.shape, residual.shape[1]), np.float32)  # (T, k, C)
        for expert in np.unique(chosen):
            rows, places = np.nonzero(chosen == expert)
            hidden = self.gate_up(step, x[rows], experts.gate_up[expert], spec.activation)
            outputs[rows, places] = self.linear(step, hidden, experts.down[expert])
        mixed: Floats = np.einsum("tk,tkc->tc", weights, outputs)
        return residual + mixed

    # Results

    def rows(self, step: NumpyStep, x: Floats) -> Floats:
        """The rows that the batch asks outputs for, (R, C)."""
        return x[step.batch.outputs]

    def to_numpy(self, x: Floats) -> Floats:
        """A copy of an array's values."""
        return x.copy()

    def from_numpy(self, step: NumpyStep, x: Floats) -> Floats:
        """An array with a copy of these values."""
        return x.astype(np.float32)

    def token_logprobs(
        self, step: NumpyStep, x: Floats, head: Linear, targets: NDArray[np.int32], softcap: float | None = None
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Log-softmax of the head's logits at one target per row, and whether it was the most likely, (R,) each."""
        logprobs, greedy = np.empty(len(x), np.float32), np.empty(len(x), np.bool_)
        for start in range(0, len(x), _ROW_CHUNK):
            chunk = slice(start, start + _ROW_CHUNK)
            logits = self.linear(step, x[chunk], head)
            if softcap is not None:
                logits = self.softcap(step, logits, softcap)
            wanted = np.take_along_axis(logits, targets[chunk, None], axis=1)[:, 0]
            peak = logits.max(axis=1, keepdims=True)
            total = np.exp(logits - peak).sum(axis=1, dtype=np.float64)
            logprobs[chunk] = wanted - peak[:, 0] - np.log(total)
            greedy[chunk] = logits.argmax(axis=1) == targets[chunk]
        return logprobs, greedy


def zeros_apart(shape: tuple[int, int], *, large_pages: bool = False) -> Floats:
    """Zeros in memory of their own, straight from the system, which takes it back as a whole.

    In the heap, what stays would lie among what was freed while it was made, and every later step would spread over
    those holes: tens of megabytes that no array accounts for. Pages may be large where all will be written anyway.
    """
    memory = mmap.mmap(-1, max(4 * math.prod(shape), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if large_pages and hasattr(mmap, "MADV_HUGEPAGE"):  # not on every system
        with contextlib.suppress(OSError):  # nor in every kernel
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.float32, math.prod(shape)).reshape(shape)


def attend(
    q: Floats,
    k: Floats,
    v: Floats,
    *,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
    sinks: Floats | None = None,
) -> Floats:
    """Causal grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245).

    Args:
        q: queries of the newest T positions, (T, H, D).
        k: keys of every position seen so far, (S, K, D); H is a multiple of K.
        v: values, (S, K, D).
        scale: factor on q·k, usually D ** -0.5.
        window: newest positions that a query sees; None: all.
        cap: softcap of scores; None: none.
        sinks: a score per query head that joins each softmax and is dropped, (H,); None: none.

    Returns:
        Mixed values, (T, H·D).
    """
    (T, H, D), (S, K, _) = q.shape, k.shape
    q = q.reshape(T, K, H // K, D).transpose(1, 2, 0, 3)  # (K, H/K, T, D): a query head finds its kv head
    k, v = k.transpose(1, 2, 0)[:, None], v.transpose(1, 0, 2)[:, None]  # (K, 1, D, S), (K, 1, S, D)
    mixed = np.empty((T, K, H // K, D), np.float32)
    for start in range(0, T, _QUERY_CHUNK):
        rows = slice(start, min(start + _QUERY_CHUNK, T))
        scores = (q[:, :, rows] @ k) * np.float32(scale)  # (K, H/K, rows, S)
        if cap is not None:
            scores = softcap(scores, cap)
        # The last query sees the last key: with a cache the mask hangs from the end, not from the start.
        seen = np.tri(rows.stop - start, S, S - T + start, dtype=np.bool_)
        if window is not None:
            seen &= ~np.tri(rows.stop - start, S, S - T + start - window, dtype=np.bool_)
        scores[..., ~seen] = -np.inf
        by_head = None if sinks is None else sinks.reshape(K, H // K, 1, 1)
        mixed[rows] = (softmax(scores, by_head) @ v).transpose(2, 0, 1, 3)
    return mixed.reshape(T, H * D)


def rms_norm(x: Floats, weight: Floats, eps: float) -> Floats:
    """Rows x / sqrt(mean(x²) + eps) * weight over the last axis."""
    mean_square: Floats = np.mean(np.square(x), axis=-1, keepdims=True)
    normed: Floats = weight * (x / np.sqrt(mean_square + np.float32(eps)))
    return normed


def normed_heads(x: Floats, weight: Floats | None, spec: AttentionSpec) -> Floats:
    """Queries or keys, (T, heads, D), as their norm leaves them: head by head, or all heads of a row as one."""
    if spec.qk_norm is None:
        return x
    assert weight is not None, "a spec with qk_norm comes with the norms' weights"
    if spec.qk_norm == "head":
        return rms_norm(x, weight, spec.norm_eps)
    return rms_norm(x.reshape(len(x), -1), weight, spec.norm_eps).reshape(x.shape)


def softcap(x: Floats, cap: float) -> Floats:
    """cap·tanh(x / cap)."""
    capped: Floats = np.float32(cap) * np.tanh(x / np.float32(cap))
    return capped


def softmax(scores: Floats, sinks: Floats | None = None) -> Floats:
    """Softmax over the last axis, which one more score may join; no row is all -inf, since every query sees itself."""
    peak = scores.max(axis=-1, keepdims=True)
    if sinks is not None:
        peak = np.maximum(peak, sinks)
    weights: Floats = np.exp(scores - peak)
    total: Floats = weights.sum(axis=-1, keepdims=True)
    return weights / (total if sinks is None else total + np.exp(sinks - peak))


def temperature(positions: NDArray[np.int32], spec: AttentionSpec) -> Floats:
    """Factors on queries that keep attention sharp over long texts, (T,)."""
    stretches = np.floor(positions.astype(np.float32) / np.float32(spec.temperature_length))
    factors: Floats = np.float32(1) + np.float32(spec.temperature_beta) * np.log(np.float32(1) + stretches)
    return factors


def route(logits: Floats, spec: MoeSpec) -> tuple[NDArray[np.intp], Floats]:
    """Experts of each row, largest logit first, of equals the first, and their weights, (T, k) each."""
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, : spec.top_k]
    if spec.weights == "chosen":
        return chosen, softmax(np.take_along_axis(logits, chosen, axis=1))
    return chosen, np.take_along_axis(softmax(logits), chosen, axis=1)


def rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Turn each pair (i, i + pairs) of the first 2·pairs dims by its angle; dims beyond stay.

    Args:
        x: queries or keys, (T, heads, D).
        cos: of each row's angles, (T, 1, pairs).
        sin: likewise.
    """
    pairs = cos.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin, rest], axis=-1)


def gated(gate: Floats, up: Floats, activation: Activation) -> Floats:
    """A gated hidden layer: activation(gate) * up, or gpt-oss's form of it."""
    if activation != "swiglu_oss":
        return activate(gate, activation) * up
    limit = np.float32(SWIGLU_OSS_LIMIT)
    gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
    with np.errstate(over="ignore"):  # as below
        swish: Floats = gate / (1 + np.exp(np.float32(-SWIGLU_OSS_ALPHA) * gate))
    return swish * (up + 1)


def activate(x: Floats, activation: Activation) -> Floats:
    """silu: x σ(x); gelu: x Φ(x); gelu_tanh: its tanh form (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    if activation == "silu":
        with np.errstate(over="ignore"):  # exp of a large -x is inf, and x / inf the right 0
            silu: Floats = x / (1 + np.exp(-x))
            return silu
    if activation == "gelu_tanh":
        # (1 + tanh u) / 2 is the sigmoid of 2u, which loses nothing where tanh is near -1.
        twice = np.float32(2 * math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
        with np.errstate(over="ignore"):  # as above
            gelu: Floats = x / (1 + np.exp(-twice))
        return gelu
    from scipy.special import erf  # exact gelu alone needs scipy, whose import costs a cold start

    exact: Floats = np.float32(0.5) * x * (1 + erf(x / np.float32(math.sqrt(2))))
    return exact
