"""How much memory will a model take here? Predicted from its facts, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from greenlight.model.config import ModelConfig
from greenlight.ops.protocol import PAGE_SIZE

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

    kv_bytes: int
    """Keys and values of all sequences, in whole pages."""

    activations_bytes: int
    """Scratch memory of one step, and its logits."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.activations_bytes


def plan_memory(
    config: ModelConfig,
    stored_bytes: int,
    n_parameters: int,
    ops_name: str,
    context: int,
    sequences: int = 1,
) -> MemoryPlan:
    """Predict memory.

    Args:
        config: the model's facts.
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
    per_position = 2 * config.n_layers * config.n_kv_heads * config.head_dim * (4 if wide else 2)
    pages = -(-context // PAGE_SIZE) * sequences
    heads = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
    rows = min(STEP_ROWS, context * sequences)
    step_values = rows * (4 * config.dim + heads + 3 * config.ffn_dim) + sequences * config.vocab_size
    return MemoryPlan(
        context=context,
        sequences=sequences,
        weights_bytes=weights,
        kv_bytes_per_position=per_position,
        kv_bytes=per_position * PAGE_SIZE * pages,
        activations_bytes=4 * step_values,
    )
