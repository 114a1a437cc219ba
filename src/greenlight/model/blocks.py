"""What are blocks made of? Attention and a gated feed-forward, and the three places where families put their norms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model import layer_inputs
from greenlight.model.config import ModelConfig, Placement
from greenlight.model.family import Block, Weights
from greenlight.model.rope import rope_spec
from greenlight.ops.protocol import (
    Array,
    AttentionSpec,
    AttentionWeights,
    KVSpec,
    MoeSpec,
    Ops,
    Step,
    Weight,
)

# Which tensors there are

NORMS: dict[Placement, dict[str, str]] = {
    "pre": {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"},
    "post": {"post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"},
    "sandwich": {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}
"""A layer's norms: Hugging Face's name, and GGUF's. One name means another place in another family."""

_GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.sinks": "attn_sinks",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.router": "ffn_gate_inp",
    "mlp.experts.gate_proj": "ffn_gate_exps",
    "mlp.experts.up_proj": "ffn_up_exps",
    "mlp.experts.down_proj": "ffn_down_exps",
}

_SINKS = "self_attn.sinks"
_ENDLESS = (_SINKS, "layer_scalar")
"""No parts of a linear or a norm: their names have no end."""


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the model by its Hugging Face name, and its shape."""
    result: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, config.dim)}
    for layer in range(config.n_layers):
        result |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer_shapes(config, layer).items()}
    result |= layer_inputs.shapes(config)
    result["model.norm.weight"] = (config.dim,)
    if not config.tied_head:
        result["lm_head.weight"] = (config.vocab_size, config.dim)
    return result


def _layer_shapes(config: ModelConfig, layer: int) -> dict[str, tuple[int, ...]]:
    dim, head_dim, own = config.dim, config.head_dim_of(layer), layer < config.n_own_layers
    q_dim, kv_dim = config.n_heads * head_dim, config.n_kv_heads_of(layer) * head_dim
    keys = (("self_attn.k_proj", (kv_dim, dim), config.qkv_bias),) if own else ()
    values = (("self_attn.v_proj", (kv_dim, dim), config.qkv_bias),) if own and config.has_values(layer) else ()
    linears = (
        *(("self_attn.q_proj", (q_dim, dim), config.qkv_bias), *keys, *values),
        ("self_attn.o_proj", (dim, q_dim), config.o_bias),
        *(_expert_shapes(config) if config.n_experts else _mlp_shapes(config, layer)),
    )
    result: dict[str, tuple[int, ...]] = {f"{name}.weight": (dim,) for name in NORMS[config.norm_placement]}
    for name, shape, biased in linears:
        result[f"{name}.weight"] = shape
        if biased:
            result[f"{name}.bias"] = shape[:-1]
    if config.sinks:
        result[_SINKS] = (config.n_heads,)
    if config.qk_norm is not None:
        by_head = config.qk_norm == "head"
        result["self_attn.q_norm.weight"] = (head_dim if by_head else q_dim,)
        if own:
            result["self_attn.k_norm.weight"] = (head_dim if by_head else kv_dim,)
    return result | layer_inputs.layer_shapes(config)


Linears: TypeAlias = tuple[tuple[str, tuple[int, ...], bool], ...]
"""Name, shape, and whether there is a bias."""


def _mlp_shapes(config: ModelConfig, layer: int) -> Linears:
    wide, narrow = (config.ffn_dim_of(layer), config.dim), (config.dim, config.ffn_dim_of(layer))
    biased = config.mlp_bias
    return ("mlp.gate_proj", wide, biased), ("mlp.up_proj", wide, biased), ("mlp.down_proj", narrow, biased)


def _expert_shapes(config: ModelConfig) -> Linears:
    E, C, F = config.n_experts, config.dim, config.ffn_dim
    return (
        ("mlp.router", (E, C), config.router_bias),
        ("mlp.experts.gate_proj", (E, F, C), config.mlp_bias),
        ("mlp.experts.up_proj", (E, F, C), config.mlp_bias),
        ("mlp.experts.down_proj", (E, C, F), config.mlp_bias),
    )


def gguf_names(placement: Placement, **other: str) -> Callable[[str], str]:
    """From a tensor's Hugging Face name to its name in GGUF files, where `other` says what differs in the family."""
    known = _GGUF_NAMES | NORMS[placement] | other
    return partial(_gguf_name, known)


def _gguf_name(known: dict[str, str], name: str) -> str:
    stem, kind = (name, "weight") if name.endswith(_ENDLESS) else name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        layer, stem = stem.removeprefix("model.layers.").split(".", 1)
        return f"blk.{layer}.{known[stem]}.{kind}"
    return f"{known[stem]}.{kind}"


# The two parts


@dataclass(frozen=True, slots=True)
class Attention:
    """One layer's packed attention, from its projections to mixed values."""

    layer: int
    spec: AttentionSpec
    weights: AttentionWeights
    qkv_proj: Weight
    o_proj: Weight

    def mix(self, ops: Ops, step: Step, qkv: Array) -> Array:
        """From stacked projections to mixed values, (T, H·D)."""
        return ops.attention(step, qkv, self.layer, self.spec, self.weights)


@dataclass(frozen=True, slots=True)
class Mlp:
    """One layer's packed feed-forward (Shazeer 2020, arXiv:2002.05202)."""

    gate_up: Weight
    down_proj: Weight

    def norm_add(self, ops: Ops, step: Step, x: Array, norm: Weight, config: ModelConfig) -> Array:
        """The sum x + mlp(norm(x)), (T, C)."""
        hidden = ops.norm_gate_up(step, x, norm, config.norm_eps, self.gate_up, config.activation)
        return ops.linear_add(step, hidden, self.down_proj, x)


@dataclass(frozen=True, slots=True)
class Moe:
    """One layer's packed experts, and the router that chooses among them."""

    router: Weight
    experts: Weight
    spec: MoeSpec

    def norm_add(self, ops: Ops, step: Step, x: Array, norm: Weight, config: ModelConfig) -> Array:
        """The sum x + experts(norm(x)), (T, C)."""
        normed = ops.rms_norm(step, x, norm, config.norm_eps)
        return ops.moe_add(step, normed, self.router, self.experts, self.spec, x)


class Packer:
    """Packs the parts of one layer.

    Args:
        ops: what will compute it.
        config: the model's facts.
        layer: which block.
        weights: the model's tensors by Hugging Face name, in its layout.
    """

    def __init__(self, ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> None:
        self._ops, self._config, self._layer, self._weights = ops, config, layer, weights
        self._prefix = f"model.layers.{layer}."

    def linear(self, *names: str) -> Weight:
        """Linears stacked by rows, with the biases that there are."""
        parts = [self._weights[f"{self._prefix}{name}.weight"] for name in names]
        return self._ops.pack_linear(parts, [self._weights.get(f"{self._prefix}{name}.bias") for name in names])

    def norm(self, name: str) -> Weight:
        """A norm, with what the family adds to its weights."""
        return self._ops.pack_norm(self._weights[f"{self._prefix}{name}.weight"], self._config.norm_offset)

    def attention(self) -> Attention:
        """The layer's attention."""
        config, layer = self._config, self._layer
        own, normed = layer < config.n_own_layers, config.qk_norm is not None
        sinks = self._ops.pack_norm(self._weights[f"{self._prefix}{_SINKS}"]) if config.sinks else None
        weights = AttentionWeights(
            q_norm=self.norm("self_attn.q_norm") if normed else None,
            k_norm=self.norm("self_attn.k_norm") if normed and own else None,
            v_norm=self._ops.pack_norm(ones(config.head_dim_of(layer))) if config.value_norm and own else None,
            sinks=sinks,
        )
        values = "self_attn.v_proj" if config.has_values(layer) else "self_attn.k_proj"
        return Attention(
            layer=config.kv_layer(layer),
            spec=attention_spec(config, config.window(layer), shared=not own),
            weights=weights,
            qkv_proj=self.linear("self_attn.q_proj", *(("self_attn.k_proj", values) if own else ())),
            o_proj=self.linear("self_attn.o_proj"),
        )

    def mlp(self) -> Mlp:
        """The layer's feed-forward."""
        gate, up = (f"{self._prefix}mlp.{name}_proj" for name in ("gate", "up"))
        biases = self._weights.get(f"{gate}.bias"), self._weights.get(f"{up}.bias")
        gate_up = self._ops.pack_gate_up(self._weights[f"{gate}.weight"], self._weights[f"{up}.weight"], biases)
        return Mlp(gate_up, self.linear("mlp.down_proj"))

    def moe(self) -> Moe:
        """The layer's experts."""
        names = [f"{self._prefix}mlp.experts.{name}_proj" for name in ("gate", "up", "down")]
        gate, up, down = (self._weights[f"{name}.weight"] for name in names)
        biases = [self._weights.get(f"{name}.bias") for name in names]
        config = self._config
        return Moe(
            router=self.linear("mlp.router"),
            experts=self._ops.pack_experts(gate, up, down, biases),
            spec=MoeSpec(top_k=config.n_experts_used, weights=config.expert_weights, activation=config.activation),
        )


def ones(n: int) -> Tensor:
    """The weight of a norm that has none."""
    return Tensor("ones", TensorType.F32, (n,), np.ones(n, "<f4").view(np.uint8))


@cache
def attention_spec(config: ModelConfig, window: int | None, *, shared: bool = False) -> AttentionSpec:
    """The attention of all layers with this window: one object, so that ops prepare it once."""
    rope = config.rope if window is None or config.local_rope is None else config.local_rope
    layer = config.windows.index(window) if config.windows else 0  # any of them
    head_dim = config.head_dim_of(layer)
    return AttentionSpec(
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads_of(layer),
        head_dim=head_dim,
        scale=head_dim**-0.5 if config.attention_scale is None else config.attention_scale,
        rope=rope_spec(rope, head_dim),
        window=window,
        softcap=config.attention_softcap,
        qk_norm=config.qk_norm,
        norm_eps=config.norm_eps,
        temperature_beta=config.temperature_beta,
        temperature_length=config.temperature_length,
        shared=shared,
    )


def kv_layers(config: ModelConfig) -> tuple[KVSpec, ...]:
    """What each layer keeps per position; the last ones may keep nothing, and read what others keep."""
    specs = []
    for layer in range(config.n_own_layers):
        window = config.window(layer)
        if window is not None and window >= config.max_seq_len:
            window = None  # nothing ever leaves it
        heads = {"n_kv_heads": config.n_kv_heads_of(layer), "head_dim": config.head_dim_of(layer)}
        specs.append(KVSpec(**heads, window=window))
    return tuple(specs)


# The three places of norms


def _wanted(ops: Ops, step: Step, mixed: Array, x: Array, last: bool) -> tuple[Array, Array]:
    """Of the last block nobody reads a row that was not asked for: its keys and values are kept, the rest is left."""
    return (ops.rows(step, mixed), ops.rows(step, x)) if last else (mixed, x)


@dataclass(frozen=True, slots=True)
class PreNormBlock:
    """x + attention(norm(x)), then x + mlp(norm(x)): Llama's."""

    config: ModelConfig
    attention_norm: Weight
    attention: Attention
    mlp_norm: Weight
    mlp: Mlp | Moe

    def __call__(self, ops: Ops, step: Step, x: Array, *, last: bool = False) -> Array:
        """(T, C) to (T, C), or to (R, C)."""
        qkv = ops.norm_linear(step, x, self.attention_norm, self.config.norm_eps, self.attention.qkv_proj)
        mixed, x = _wanted(ops, step, self.attention.mix(ops, step, qkv), x, last)
        x = ops.linear_add(step, mixed, self.attention.o_proj, x)
        return self.mlp.norm_add(ops, step, x, self.mlp_norm, self.config)


@dataclass(frozen=True, slots=True)
class PostNormBlock:
    """x + norm(attention(x)), then x + norm(mlp(x)): what enters a branch is as it is, what leaves it is normed."""

    config: ModelConfig
    attention: Attention
    attention_norm: Weight
    mlp: Mlp
    mlp_norm: Weight

    def __call__(self, ops: Ops, step: Step, x: Array, *, last: bool = False) -> Array:
        """(T, C) to (T, C), or to (R, C)."""
        eps = self.config.norm_eps
        mixed = self.attention.mix(ops, step, ops.linear(step, x, self.attention.qkv_proj))
        mixed, x = _wanted(ops, step, mixed, x, last)
        mixed = ops.linear(step, mixed, self.attention.o_proj)
        x = ops.add(step, x, ops.rms_norm(step, mixed, self.attention_norm, eps))
        hidden = ops.gate_up(step, x, self.mlp.gate_up, self.config.activation)
        out = ops.linear(step, hidden, self.mlp.down_proj)
        return ops.add(step, x, ops.rms_norm(step, out, self.mlp_norm, eps))


@dataclass(frozen=True, slots=True)
class SandwichBlock:
    """x + norm(attention(norm(x))), then x + norm(mlp(norm(x)))."""

    config: ModelConfig
    attention_norm: Weight
    attention: Attention
    mixed_norm: Weight
    mlp_norm: Weight
    mlp: Mlp
    hidden_norm: Weight

    def __call__(self, ops: Ops, step: Step, x: Array, *, last: bool = False) -> Array:
        """(T, C) to (T, C), or to (R, C)."""
        eps = self.config.norm_eps
        qkv = ops.norm_linear(step, x, self.attention_norm, eps, self.attention.qkv_proj)
        mixed, x = _wanted(ops, step, self.attention.mix(ops, step, qkv), x, last)
        mixed = ops.linear(step, mixed, self.attention.o_proj)
        x = ops.add(step, x, ops.rms_norm(step, mixed, self.mixed_norm, eps))
        hidden = ops.norm_gate_up(step, x, self.mlp_norm, eps, self.mlp.gate_up, self.config.activation)
        out = ops.linear(step, hidden, self.mlp.down_proj)
        return ops.add(step, x, ops.rms_norm(step, out, self.hidden_norm, eps))


def pre_norm_block(ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> Block:
    """Pack a block of Llama's arrangement."""
    pack = Packer(ops, config, layer, weights)
    return PreNormBlock(
        config=config,
        attention_norm=pack.norm("input_layernorm"),
        attention=pack.attention(),
        mlp_norm=pack.norm("post_attention_layernorm"),
        mlp=pack.moe() if config.n_experts else pack.mlp(),
    )


def post_norm_block(ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> Block:
    """Pack a block that norms what leaves a branch."""
    pack = Packer(ops, config, layer, weights)
    return PostNormBlock(
        config=config,
        attention=pack.attention(),
        attention_norm=pack.norm("post_attention_layernorm"),
        mlp=pack.mlp(),
        mlp_norm=pack.norm("post_feedforward_layernorm"),
    )


def sandwich_block(ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> Block:
    """Pack a block that norms what enters a branch and what leaves it."""
    pack = Packer(ops, config, layer, weights)
    return SandwichBlock(
        config=config,
        attention_norm=pack.norm("input_layernorm"),
        attention=pack.attention(),
        mixed_norm=pack.norm("post_attention_layernorm"),
        mlp_norm=pack.norm("pre_feedforward_layernorm"),
        mlp=pack.mlp(),
        hidden_norm=pack.norm("post_feedforward_layernorm"),
    )
