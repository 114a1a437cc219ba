"""What is a Llama? Pre-norm blocks of grouped-query attention with rotary positions and a gated feed-forward.

Touvron et al. 2023 (arXiv:2302.13971, arXiv:2307.09288); Grattafiori et al. 2024 (arXiv:2407.21783). SmolLM2 and
many others share the design.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from greenlight.errors import UnsupportedError
from greenlight.formats.tensors import Tensor
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights
from greenlight.model.fields import Fields
from greenlight.model.rope import rope_spec
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.ops.protocol import Array, AttentionSpec, KVSpec, Ops, Step, Weight

NAME = "llama"


# From files to facts


def config_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/llama/configuration_llama.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    fields.refuse_unless("pretraining_tp", 1)
    dim, n_heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
    max_seq_len = fields.integer("max_position_embeddings", 2048)
    return ModelConfig(
        family=NAME,
        dim=dim,
        n_layers=fields.integer("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=fields.integer("num_key_value_heads", n_heads),
        head_dim=fields.integer("head_dim", dim // n_heads),
        ffn_dim=fields.integer("intermediate_size"),
        vocab_size=fields.integer("vocab_size"),
        max_seq_len=max_seq_len,
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        rope=rope_from_hf(fields, max_seq_len),
        tied_head=fields.flag("tie_word_embeddings", False),
        attention_bias=fields.flag("attention_bias", False),
        mlp_bias=fields.flag("mlp_bias", False),
    )


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """llama.* keys; what tensors alone tell (biases, a tied head, rope factors) from the tensors there are."""
    for name in ("expert_count", "expert_used_count", "attention.sliding_window"):
        fields.refuse_unless(name, 0)
    fields.refuse_unless("tensor_data_layout", "Meta AI original pth")  # llama.cpp's name for permuted rows
    dim, n_heads = fields.integer("embedding_length"), fields.integer("attention.head_count")
    head_dim = fields.integer("attention.key_length", dim // n_heads)
    fields.refuse_unless("attention.value_length", head_dim)
    max_seq_len = fields.integer("context_length")
    embedding = tensors.get("token_embd.weight")
    config = ModelConfig(
        family=NAME,
        dim=dim,
        n_layers=fields.integer("block_count"),
        n_heads=n_heads,
        n_kv_heads=fields.integer("attention.head_count_kv", n_heads),
        head_dim=head_dim,
        ffn_dim=fields.integer("feed_forward_length"),
        vocab_size=fields.integer("vocab_size", embedding.shape[0] if embedding else None),
        max_seq_len=max_seq_len,
        norm_eps=fields.number("attention.layer_norm_rms_epsilon"),
        rope=rope_from_gguf(fields, head_dim, max_seq_len, tensors.get("rope_freqs.weight")),
        tied_head="output.weight" not in tensors,
        attention_bias=any(name.endswith(_ATTENTION_BIASES) for name in tensors),
        mlp_bias=any(name.endswith(_MLP_BIASES) for name in tensors),
    )
    if unread := fields.unread():
        raise UnsupportedError(
            f"{unread[0]} is not known in this family",
            where=f"{fields.where}, {unread[0]}",
            do="it may change what the model computes; use a file without it",
        )
    return config


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the model by its Hugging Face name, and its shape."""
    dim, ffn_dim = config.dim, config.ffn_dim
    q_dim, kv_dim = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    attention = {"q": (q_dim, dim), "k": (kv_dim, dim), "v": (kv_dim, dim), "o": (dim, q_dim)}
    mlp = {"gate": (ffn_dim, dim), "up": (ffn_dim, dim), "down": (dim, ffn_dim)}
    result: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, dim)}
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}."
        result[f"{prefix}input_layernorm.weight"] = (dim,)
        result[f"{prefix}post_attention_layernorm.weight"] = (dim,)
        for part, linears, biased in (
            ("self_attn", attention, config.attention_bias),
            ("mlp", mlp, config.mlp_bias),
        ):
            for name, shape in linears.items():
                result[f"{prefix}{part}.{name}_proj.weight"] = shape
                if biased:
                    result[f"{prefix}{part}.{name}_proj.bias"] = shape[:1]
    result["model.norm.weight"] = (dim,)
    if not config.tied_head:
        result["lm_head.weight"] = (config.vocab_size, dim)
    return result


# From a GGUF file's names and layout to Hugging Face's

_GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_ATTENTION_BIASES = ("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias")
_MLP_BIASES = ("ffn_gate.bias", "ffn_up.bias", "ffn_down.bias")


def gguf_name(name: str) -> str:
    """The name in GGUF files of a tensor by its Hugging Face name."""
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        layer, stem = stem.removeprefix("model.layers.").split(".", 1)
        return f"blk.{layer}.{_GGUF_NAMES[stem]}.{kind}"
    return f"{_GGUF_NAMES[stem]}.{kind}"


def from_gguf(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """A tensor in Hugging Face's layout: q and k rows put back in their order, whole, so exactly.

    llama.cpp rotates neighbours (2i, 2i + 1) where Hugging Face rotates (i, i + D/2), and its converter reorders the
    rows of each head to suit (ggml-org/llama.cpp convert_hf_to_gguf.py, LlamaModel.permute).
    """
    if ".q_proj." in name:
        n_heads = config.n_heads
    elif ".k_proj." in name:
        n_heads = config.n_kv_heads
    else:
        return tensor
    rows = np.arange(n_heads * config.head_dim).reshape(n_heads, config.head_dim // 2, 2)
    order = rows.swapaxes(1, 2).reshape(-1)  # (H, 2, D/2): first halves of all pairs, then second halves
    if len(tensor.shape) == 1:
        return tensor.take_values(order)
    return tensor.take_rows(order)


# The block


@dataclass(frozen=True, slots=True)
class LlamaBlock:
    """One packed block: x + attention(norm(x)), then x + mlp(norm(x))."""

    layer: int
    config: ModelConfig
    attention: AttentionSpec
    attention_norm: Weight
    qkv_proj: Weight
    o_proj: Weight
    mlp_norm: Weight
    gate_up: Weight
    down_proj: Weight

    def __call__(self, ops: Ops, step: Step, x: Array) -> Array:
        """(T, C) to (T, C)."""
        eps = self.config.norm_eps
        qkv = ops.norm_linear(step, x, self.attention_norm, eps, self.qkv_proj)
        mixed = ops.attention(step, qkv, self.layer, self.attention)
        x = ops.linear_add(step, mixed, self.o_proj, x)
        hidden = ops.norm_gate_up(step, x, self.mlp_norm, eps, self.gate_up, self.config.activation)
        return ops.linear_add(step, hidden, self.down_proj, x)


def pack_block(ops: Ops, config: ModelConfig, layer: int, weights: Weights) -> LlamaBlock:
    """Pack one block.

    Args:
        ops: what will compute it.
        config: the model's facts.
        layer: which block.
        weights: the model's tensors by Hugging Face name, in its layout.
    """
    prefix = f"model.layers.{layer}."

    def linear(*names: str) -> Weight:
        parts = [weights[f"{prefix}{name}.weight"] for name in names]
        return ops.pack_linear(parts, [weights.get(f"{prefix}{name}.bias") for name in names])

    gate, up = (f"{prefix}mlp.{name}_proj" for name in ("gate", "up"))
    biases = weights.get(f"{gate}.bias"), weights.get(f"{up}.bias")
    return LlamaBlock(
        layer=layer,
        config=config,
        attention=attention_spec(config),
        attention_norm=ops.pack_norm(weights[f"{prefix}input_layernorm.weight"]),
        qkv_proj=linear("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        o_proj=linear("self_attn.o_proj"),
        mlp_norm=ops.pack_norm(weights[f"{prefix}post_attention_layernorm.weight"]),
        gate_up=ops.pack_gate_up(weights[f"{gate}.weight"], weights[f"{up}.weight"], biases),
        down_proj=linear("mlp.down_proj"),
    )


@cache
def attention_spec(config: ModelConfig) -> AttentionSpec:
    """The attention that every layer has: one object, so that ops prepare it once."""
    return AttentionSpec(
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        head_dim=config.head_dim,
        scale=config.head_dim**-0.5,
        rope=rope_spec(config.rope, config.head_dim),
    )


def kv_layers(config: ModelConfig) -> tuple[KVSpec, ...]:
    """What each layer keeps per position."""
    return (KVSpec(n_kv_heads=config.n_kv_heads, head_dim=config.head_dim),) * config.n_layers


LLAMA = Family(
    name=NAME,
    hf_model_types=("llama",),
    gguf_architectures=("llama",),
    config_from_hf=config_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_name,
    from_gguf=from_gguf,
    pack_block=pack_block,
    kv_layers=kv_layers,
    gguf_extras=("rope_freqs.weight",),
    hf_extras=("rotary_emb.inv_freq",),  # old checkpoints keep it; transformers skips it as well
)
