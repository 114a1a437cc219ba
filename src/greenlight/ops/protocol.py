"""Which operations is a model made of? The decoder calls these and nothing else; arrays are opaque to it.

Shapes use one alphabet: B sequences, T new positions of all sequences in one flat run, S positions seen, C model dim,
H query heads, K kv heads, D head dim, F feed-forward dim, V vocabulary, E experts, R rows whose logits are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import Tensor

Array: TypeAlias = Any
"""Activations, (T, C) or (T, anything); only the ops that made it may look inside."""

Weight: TypeAlias = Any
"""A packed weight: a linear, a norm or an embedding."""

Pages: TypeAlias = Any
"""Key and value storage for a number of pages, all layers."""

Step: TypeAlias = Any
"""One forward pass: its batch, its scratch memory."""

PAGE_SIZE = 32
"""Positions a page holds."""

Activation: TypeAlias = Literal["silu", "gelu", "gelu_tanh", "swiglu_oss"]
"""Of a gate, whose product with up is the feed-forward's hidden layer; `swiglu_oss` bends up as well (see below)."""

SWIGLU_OSS_ALPHA, SWIGLU_OSS_LIMIT = 1.702, 7.0
"""gpt-oss: g σ(alpha g) (u + 1), where g = min(gate, limit) and u = up kept within ±limit (arXiv:2508.10925)."""

QkNorm: TypeAlias = Literal["head", "projection"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeSpec:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in Hugging Face's half-split layout."""

    inv_freq: tuple[float, ...]
    """Angle per position of each rotated pair (i, i + rotated/2), after any scaling; length rotated_dims / 2."""

    scale: float = 1.0
    """Factor on cos and sin (YaRN's attention factor)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionSpec:
    """All that distinguishes one layer's attention from another's."""

    n_heads: int
    """Query heads H."""

    n_kv_heads: int
    """Key and value heads K; H is a multiple of K."""

    head_dim: int
    """D."""

    scale: float
    """Factor on q·k, usually D ** -0.5."""

    rope: RopeSpec | None
    """How positions enter; None where they do not."""

    window: int | None = None
    """Newest positions that a query sees, its own among them (Beltagy et al. 2020, arXiv:2004.05150); None: all."""

    softcap: float | None = None
    """c in c·tanh(score / c), which keeps scores within ±c (Gemma 2, arXiv:2408.00118); None: as they are."""

    qk_norm: QkNorm | None = None
    """Queries and keys are normalised before they are rotated (Henry et al. 2020, arXiv:2010.04245): each head by
    itself, or the whole projection at once."""

    norm_eps: float = 0.0
    """Of that norm."""

    temperature_beta: float = 0.0
    """b in queries' factor 1 + b·ln(1 + floor(position / temperature_length)), for texts longer than most of training's
    (Llama 4; Ministral 3); 0: none."""

    temperature_length: int = 0
    """Positions whose factor is 1."""

    shared: bool = False
    """Whether keys and values are those that another layer wrote in this step: only queries are given (Sun et al. 2024,
    arXiv:2405.05254)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AttentionWeights:
    """What a layer's attention has learned beside its projections."""

    q_norm: Weight | None = None
    """Packed norm of queries, (D,) or (H·D,)."""

    k_norm: Weight | None = None
    """Packed norm of keys, (D,) or (K·D,)."""

    v_norm: Weight | None = None
    """Packed norm of values, each head by itself, (D,)."""

    sinks: Weight | None = None
    """Packed like a norm: a score per query head that joins each softmax and is dropped, so that a head need not look
    at anything (gpt-oss, arXiv:2508.10925; after Xiao et al. 2023, arXiv:2309.17453), (H,)."""


NO_WEIGHTS = AttentionWeights()
"""Most layers'."""


ExpertWeights: TypeAlias = Literal["chosen", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MoeSpec:
    """How a position's experts are chosen and mixed (Shazeer et al. 2017, arXiv:1701.06538)."""

    top_k: int
    """Experts that a position uses: those of the largest router logits, of equals the first."""

    weights: ExpertWeights
    """Their weights are a softmax over the logits of those chosen, or of all (which then sum to less than 1)."""

    activation: Activation
    """Of each expert's gate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KVSpec:
    """What one layer keeps per position."""

    n_kv_heads: int
    """K."""

    head_dim: int
    """D."""

    window: int | None = None
    """Newest positions that a query sees; pages of older ones may be gone. None: all."""

    group: int = 0
    """Layers of one group share a table of pages, and their window; groups count from 0."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """One ragged step: the new tokens of B sequences, end to end, without padding."""

    tokens: NDArray[np.int32]
    """Token ids, (T,)."""

    starts: NDArray[np.int32]
    """Sequence b owns rows starts[b]:starts[b + 1], (B + 1,)."""

    past: NDArray[np.int32]
    """Positions of each sequence already in its pages; its first new row has this position, (B,)."""

    page_tables: NDArray[np.int32]
    """Page ids of each sequence in order, padded with -1, (B, P); they hold past and new positions alike. Where layers
    are in G groups, one such table for each, (G, B, P), with -1 for pages that have left the group's window."""

    outputs: NDArray[np.int32]
    """Rows whose logits are asked for, ascending, (R,)."""

    @property
    def positions(self) -> NDArray[np.int32]:
        """Position of each row in its sequence, (T,)."""
        offsets = np.repeat(self.past - self.starts[:-1], np.diff(self.starts))
        return (np.arange(len(self.tokens), dtype=np.int32) + offsets).astype(np.int32)


class Ops(Protocol):
    """A set of operations. Functional in meaning: no argument is changed, save the pages that attention writes.

    One set and its pages serve one thread at a time; several sets may compute at once.
    """

    name: str
    """'numpy' or 'native'."""

    identity: str
    """Name and version: part of a run's identity, since bits differ between them."""

    batch_invariant: bool
    """Whether the same row gives the same bits in every batch."""

    @property
    def isa(self) -> str | None:
        """Instruction set that it was made for; None where a library decides."""

    @property
    def threads(self) -> int | None:
        """Threads that it computes with; None where a library decides (numpy's BLAS)."""

    def pack_linear(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Weight:
        """Stack weights of (N_i, C) by rows into one linear of (sum N_i, C); types may differ."""

    def pack_gate_up(self, gate: Tensor, up: Tensor, biases: tuple[Tensor | None, Tensor | None]) -> Weight:
        """Gate and up projections, each (F, C), for `gate_up`."""

    def pack_experts(self, gate: Tensor, up: Tensor, down: Tensor, biases: Sequence[Tensor | None]) -> Weight:
        """Experts for `moe_add`: gate and up (E, F, C), down (E, C, F), biases (E, F), (E, F), (E, C) or None each."""

    def pack_norm(self, weight: Tensor, offset: float = 0.0) -> Weight:
        """A norm's weight, (C,), each plus offset: some families keep w where 1 + w is meant."""

    def pack_embedding(self, weight: Tensor) -> Weight:
        """Embedding rows, (V, C); may keep the file's own bytes."""

    def new_pages(self, n_pages: int, layers: Sequence[KVSpec]) -> Pages:
        """Storage for n_pages of PAGE_SIZE positions; a page serves the layers of any one group."""

    def copy_page(self, pages: Pages, source: int, target: int) -> None:
        """Copy one page, whichever group it serves."""

    def begin(self, batch: Batch, pages: Pages) -> Step:
        """Start a forward pass; arrays of an earlier step may not be used after this."""

    def recorded(self, compute: Callable[[Ops, Step], Array]) -> Callable[[Step], Array]:
        """The same computation for any step, perhaps without asking for each of its operations again.

        Args:
            compute: applies operations that take a step to a step, and returns an array; what it does depends on
                neither the step's contents nor values of arrays, and it reads none. Ops that do more than the
                operation itself each time (compute a delta, take a note) ask for it anew.
        """

    def embed(self, step: Step, embedding: Weight, scale: float = 1.0) -> Array:
        """Rows of the embedding for the batch's tokens, times scale, (T, C)."""

    def rms_norm(self, step: Step, x: Array, weight: Weight, eps: float) -> Array:
        """Normalise: x / rms(x) * weight over the last axis (Zhang and Sennrich 2019, arXiv:1910.07467), (T, C)."""

    def linear(self, step: Step, x: Array, weight: Weight) -> Array:
        """Multiply: x @ weight.T + bias, (T, N)."""

    def add(self, step: Step, x: Array, y: Array) -> Array:
        """Sum: x + y, (T, C)."""

    def gate_up(self, step: Step, x: Array, weight: Weight, activation: Activation) -> Array:
        """activation(gate(x)) * up(x), (T, F)."""

    def softcap(self, step: Step, x: Array, cap: float) -> Array:
        """cap·tanh(x / cap), (T, N)."""

    def gate(self, step: Step, x: Array, y: Array, activation: Activation) -> Array:
        """activation(x) * y, (T, N)."""

    def scale(self, step: Step, x: Array, factor: float) -> Array:
        """Every value times factor, (T, N)."""

    def columns(self, step: Step, x: Array, first: int, n: int) -> Array:
        """Columns first to first + n, (T, n)."""

    def attention(
        self, step: Step, qkv: Array, layer: int, spec: AttentionSpec, weights: AttentionWeights = NO_WEIGHTS
    ) -> Array:
        """Rotate, write new keys and values to the pages, attend causally to all positions seen.

        Args:
            step: the pass.
            qkv: stacked projections, (T, (H + 2K)·D), q before k before v; of shared keys and values q alone, (T, H·D).
            layer: which layer's pages; of shared ones those of the layer that wrote them.
            spec: heads, scale, rope, window, softcap, norms.
            weights: of those norms.

        Returns:
            Mixed values, (T, H·D).
        """

    def norm_linear(self, step: Step, x: Array, norm: Weight, eps: float, weight: Weight) -> Array:
        """linear(rms_norm(x)), (T, N)."""

    def norm_gate_up(self, step: Step, x: Array, norm: Weight, eps: float, weight: Weight, act: Activation) -> Array:
        """gate_up(rms_norm(x)), (T, F)."""

    def linear_add(self, step: Step, x: Array, weight: Weight, residual: Array) -> Array:
        """Sum: residual + linear(x), (T, C)."""

    def moe_add(self, step: Step, x: Array, router: Weight, experts: Weight, spec: MoeSpec, residual: Array) -> Array:
        """Mixture of experts, each position's chosen ones mixed by their weights, added to residual.

        Args:
            step: the pass.
            x: normed hidden states, (T, C).
            router: linear to a logit per expert, (E, C).
            experts: from `pack_experts`.
            spec: how many are chosen, and how they are weighed.
            residual: (T, C).

        Returns:
            residual + sum of w_e·down_e(gate_up_e(x)), (T, C).
        """

    def rows(self, step: Step, x: Array) -> Array:
        """The rows that the batch asks outputs for, (R, C)."""

    def to_numpy(self, x: Array) -> NDArray[np.float32]:
        """An array's values, (rows, columns); perhaps in its own memory, so that changing them may change it."""

    def from_numpy(self, step: Step, x: NDArray[np.float32]) -> Array:
        """An array of this step with a copy of these values, (rows, columns)."""

    def token_logprobs(
        self, step: Step, x: Array, head: Weight, targets: NDArray[np.int32], softcap: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Log-softmax of the head's logits at one target per row, without keeping all logits.

        Args:
            step: the pass.
            x: normed hidden states, (R, C).
            head: the output linear, (V, C).
            targets: one token id per row, (R,).
            softcap: of the logits; None: none.

        Returns:
            Log-probabilities in nats, (R,), and whether the target was the most likely token (first of equals), (R,).
        """
