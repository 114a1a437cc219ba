"""What is a Qwen 3 MoE? A Qwen 3 whose feed-forward is 128 small ones, of which each position uses eight.

Yang et al. 2025 (arXiv:2505.09388): 30B-A3B and 235B-A22B. The router's softmax goes over all experts; where
`norm_topk_prob` makes the chosen sum to 1 again, that is a softmax over the chosen.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from greenlight.errors import UnsupportedError
from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.experts import gather_experts, names_of_experts, part_names
from greenlight.model.families.refused import ENDPOINT
from greenlight.model.family import Family, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf
from greenlight.model.hf_config import hf_keys
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import (
    all_read,
    biases_from_gguf,
    experts_from_gguf,
    experts_from_hf,
    sizes_from_gguf,
    sizes_from_hf,
    windows_from_hf,
)


def config_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/qwen3_moe/configuration_qwen3_moe.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=32768, n_kv_heads=4)
    _refuse_plain_layers(fields, sizes["n_layers"])
    sizes["ffn_dim"] = fields.integer("moe_intermediate_size", 768)
    n_layers, biased = sizes["n_layers"], fields.flag("attention_bias", False)
    fields.get("max_window_layers")  # of Qwen 3; here a window is for all layers
    local = fields.flag("use_sliding_window", False)
    return ModelConfig(
        family="qwen3_moe",
        **sizes,
        **experts_from_hf(fields, count=("num_experts", "num_local_experts"), used=8),
        expert_weights="chosen" if fields.flag("norm_topk_prob", False) else "all",
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        qkv_bias=biased,
        o_bias=biased,
        qk_norm="head",
        windows=windows_from_hf(fields, n_layers, size=4096, usual=[local] * n_layers),
    )


def _refuse_plain_layers(fields: Fields, n_layers: int) -> None:
    """Layers with one feed-forward instead of experts: each but the `decoder_sparse_step`-th, and those listed."""
    step, listed = fields.integer("decoder_sparse_step", 1), fields.get("mlp_only_layers")
    listed = [] if listed is None else listed
    if not isinstance(listed, list) or not all(type(layer) is int for layer in listed):
        raise fields.wrong("mlp_only_layers", listed, "a list of layers")
    plain = [layer for layer in range(n_layers) if layer in listed or (layer + 1) % step]
    if plain:
        name = "decoder_sparse_step" if (plain[0] + 1) % step else "mlp_only_layers"
        raise UnsupportedError(
            "layers without experts among those with experts are not run",
            where=f"{fields.where}, {name}",
            found=f"{len(plain)} of {n_layers} layers have none, layer {plain[0]} the first",
            do=ENDPOINT.format(other="a Qwen 3 with experts in every layer, as 30B-A3B and 235B-A22B"),
        )


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """qwen3moe.* keys; llama.cpp makes the chosen experts' weights sum to 1 (src/models/qwen3moe.cpp)."""
    fields.refuse_unless("attention.sliding_window", 0)
    sizes = sizes_from_gguf(fields, tensors, experts=True)
    sizes["ffn_dim"] = fields.integer("expert_feed_forward_length")
    config = ModelConfig(
        family="qwen3_moe",
        **sizes,
        **experts_from_gguf(fields),
        rope=rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None),
        **biases_from_gguf(tensors),
        qk_norm="head",
    )
    all_read(fields)
    return config


def gguf_metadata(config: ModelConfig) -> dict[str, Any]:
    """qwen3moe.* keys."""
    if config.windows:
        raise refuse_in_gguf("qwen3moe", "that layers see a window", f"windows {config.windows}"[:120])
    return {"general.architecture": "qwen3moe", **gguf_keys(config, "qwen3moe")}


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Qwen 3 with experts."""
    windows = {"sliding_window": config.window(0)} if config.windows else {}
    return hf_keys(config, "qwen3_moe", "Qwen3MoeForCausalLM") | {
        "hidden_act": "silu",
        "attention_bias": config.qkv_bias,
        "moe_intermediate_size": config.ffn_dim,
        "num_experts": config.n_experts,
        "num_experts_per_tok": config.n_experts_used,
        "norm_topk_prob": config.expert_weights == "chosen",
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "use_sliding_window": bool(config.windows),
        **windows,
    }


QWEN3_MOE = Family(
    name="qwen3_moe",
    hf_model_types=("qwen3_moe",),
    gguf_architectures=("qwen3moe",),
    config_from_hf=config_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=as_it_is,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    from_hf=partial(
        gather_experts,
        names_of_experts("mlp", "(?:gate|up|down)_proj"),
        {"gate_proj": "gate_proj", "up_proj": "up_proj", "down_proj": "down_proj"},
        "mlp.gate.weight",
    ),
    hf_config=to_hf,
    hf_parts=partial(
        part_names,
        "model.layers.{layer}.mlp.experts.{expert}.{projection}.weight",
        {"gate_proj": "gate_proj", "up_proj": "up_proj", "down_proj": "down_proj"},
        "mlp.gate.weight",
    ),
)
