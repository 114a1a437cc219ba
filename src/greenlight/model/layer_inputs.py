"""What enters a layer beside the stream? A vector of its own for each token, and a number on all that leaves it.

A second embedding holds a short vector for each token and each layer; what the first embedding says of the token is
projected beside it. Each block's output, through a gate, lets that vector in (Gemma 3n and 4: Google 2025).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from greenlight.formats.quants import dequantize
from greenlight.model.config import ModelConfig
from greenlight.model.family import Weights
from greenlight.ops.protocol import Activation, Array, Ops, Step, Weight

LAYER_EMBEDDING = "model.embed_tokens_per_layer.weight"

GGUF_NAMES = {
    "model.embed_tokens_per_layer": "per_layer_token_embd",
    "model.per_layer_model_projection": "per_layer_model_proj",
    "model.per_layer_projection_norm": "per_layer_proj_norm",
    "per_layer_input_gate": "inp_gate",
    "per_layer_projection": "proj",
    "post_per_layer_input_norm": "post_norm",
    "layer_scalar": "layer_output_scale",
}
"""Hugging Face's names, of the model and of a layer, and GGUF's."""

HALF = 2.0**-0.5
"""On the sum of two vectors of one size, which leaves it of that size."""

LayerInput: TypeAlias = Callable[[int], Array]
"""The vectors of a layer, (T, P)."""


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The tensors of the model as a whole, and their shapes."""
    P, every = config.per_layer_dim, config.per_layer_dim * config.n_layers
    if not P:
        return {}
    return {
        LAYER_EMBEDDING: (config.per_layer_vocab_size, every),
        "model.per_layer_model_projection.weight": (every, config.dim),
        "model.per_layer_projection_norm.weight": (P,),
    }


def layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The tensors of one layer."""
    result: dict[str, tuple[int, ...]] = {"layer_scalar": (1,)} if config.layer_scales else {}
    if P := config.per_layer_dim:
        result |= {
            "per_layer_input_gate.weight": (P, config.dim),
            "per_layer_projection.weight": (config.dim, P),
            "post_per_layer_input_norm.weight": (config.dim,),
        }
    return result


@dataclass(frozen=True, slots=True)
class LayerInputs:
    """The vectors of all layers, packed."""

    embedding: Weight
    projection: Weight
    norm: Weight
    config: ModelConfig

    def of_step(self, ops: Ops, step: Step, x: Array) -> LayerInput:
        """The vectors of a step, from what its tokens' embeddings are, (T, C)."""
        P, eps = self.config.per_layer_dim, self.config.norm_eps
        # What the layers share is computed once, for all of them side by side.
        told = ops.embed(step, self.embedding, P**0.5)
        projected = ops.scale(step, ops.linear(step, x, self.projection), self.config.dim**-0.5)

        def of_layer(layer: int) -> Array:
            normed = ops.rms_norm(step, ops.columns(step, projected, layer * P, P), self.norm, eps)
            return ops.scale(step, ops.add(step, normed, ops.columns(step, told, layer * P, P)), HALF)

        return of_layer


def pack_layer_inputs(ops: Ops, config: ModelConfig, weights: Weights) -> LayerInputs:
    """Pack what the layers' vectors are made of."""
    return LayerInputs(
        embedding=ops.pack_embedding(weights[LAYER_EMBEDDING]),
        projection=ops.pack_linear([weights["model.per_layer_model_projection.weight"]], [None]),
        norm=ops.pack_norm(weights["model.per_layer_projection_norm.weight"]),
        config=config,
    )


@dataclass(frozen=True, slots=True)
class LayerEnd:
    """What happens to a block's output: its vector is let in, and all of it is scaled."""

    gate: Weight | None
    projection: Weight | None
    norm: Weight | None
    eps: float
    activation: Activation
    scale: float

    def __call__(self, ops: Ops, step: Step, x: Array, vectors: Array | None) -> Array:
        """(T, C) to (T, C)."""
        if vectors is not None:
            hidden = ops.gate(step, ops.linear(step, x, self.gate), vectors, self.activation)
            entering = ops.rms_norm(step, ops.linear(step, hidden, self.projection), self.norm, self.eps)
            x = ops.add(step, x, entering)
        return x if self.scale == 1 else ops.scale(step, x, self.scale)


def pack_layer_end(ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> LayerEnd | None:
    """Pack the end of a layer; None where nothing happens there."""
    prefix = f"model.layers.{layer}."
    scale = float(dequantize(weights[f"{prefix}layer_scalar"]).reshape(-1)[0]) if config.layer_scales else 1.0
    if not config.per_layer_dim and not config.layer_scales:
        return None
    names = ("per_layer_input_gate", "per_layer_projection") if config.per_layer_dim else ()
    linears = [ops.pack_linear([weights[f"{prefix}{name}.weight"]], [None]) for name in names]
    norm = ops.pack_norm(weights[f"{prefix}post_per_layer_input_norm.weight"]) if linears else None
    gate, projection = linears or (None, None)
    return LayerEnd(gate, projection, norm, config.norm_eps, config.activation, scale)
