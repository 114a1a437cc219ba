"""How much memory will a model take here? Predicted from its facts, before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenlight.model.config import ModelConfig
from greenlight.model.kv_groups import group_layers, kv_groups, n_values, page_values
from greenlight.ops.protocol import KVSpec

STEP_ROWS = 512
"""Rows of one step that activations are sized for: a prefill chunk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Predicted bytes of a running model, beside what Python and libraries take."""

    context: int
    """Positions of each sequence."""

    sequences: int
    """Sequences held at once."""

    weights_bytes: int
    """Packed weights."""

    kv_bytes_per_position: int
    """Keys and values of one position, all layers."""

    page_bytes: int
    """One page: PAGE_SIZE positions of one group of layers."""

    kv_bytes: int
    """Keys and values of all sequences, in whole pages; those that have left a window are not held."""

    activations_bytes: int
    """Scratch memory of one step, and its logits."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.activations_bytes


def plan_memory(
    config: ModelConfig,
    layers: Sequence[KVSpec],
    stored_bytes: int,
    n_parameters: int,
    ops_name: str,
    context: int,
    sequences: int = 1,
) -> MemoryPlan:
    """Predict memory.

    Args:
        config: the model's facts.
        layers: what its layers keep per position.
        stored_bytes: bytes of the weights in their file.
        n_parameters: number of values in it.
        ops_name: 'numpy' widens weights and the cache to float32; 'native' keeps weights as stored, the cache in
            16 bits.
        context: positions of each sequence.
        sequences: sequences held at once.
    """
    wide = ops_name == "numpy"
    embedding = config.vocab_size * config.dim
    weights = 4 * n_parameters if wide else stored_bytes
    if wide and not config.tied_head:
        weights -= 2 * embedding  # rows of the embedding stay as stored, at most 16 bits a value
    groups, value_bytes = kv_groups(group_layers(layers)), 4 if wide else 2
    page_bytes = page_values(groups) * value_bytes
    pages = sequences * sum(group.most_blocks(context, min(STEP_ROWS, context)) for group in groups)
    heads = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
    rows = min(STEP_ROWS, context * sequences)
    step_values = rows * (4 * config.dim + heads + _feed_forward(config)) + sequences * config.vocab_size
    return MemoryPlan(
        context=context,
        sequences=sequences,
        weights_bytes=weights,
        kv_bytes_per_position=sum(map(n_values, layers)) * value_bytes,
        page_bytes=page_bytes,
        kv_bytes=page_bytes * pages,
        activations_bytes=4 * step_values,
    )


def _feed_forward(config: ModelConfig) -> int:
    """Values that a row's feed-forward holds at once; of experts each chosen one's output, and one expert's work."""
    if not config.n_experts:
        return 3 * config.ffn_dim
    return config.n_experts_used * config.dim + 2 * config.dim + 3 * config.ffn_dim
