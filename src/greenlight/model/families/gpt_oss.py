"""What is gpt-oss? Llama's arrangement with sinks, alternating windows, biases everywhere, and experts kept in MXFP4.

OpenAI 2025 (arXiv:2508.10925): gpt-oss-20b and 120b, and gpt-oss-safeguard, which share the design. Attention is
dense and banded in turn, 128 positions wide, each head with a learned sink; the feed-forward chooses 4 experts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.families.gpt_oss_experts import from_hf, in_blocks, to_hf
from greenlight.model.family import Family, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, window_pattern
from greenlight.model.hf_config import hf_keys, rope_parameters, window_keys
from greenlight.model.rope import YarnScaling, yarn_attention_factor
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import (
    all_read,
    biases_from_gguf,
    experts_from_gguf,
    experts_from_hf,
    sizes_from_gguf,
    sizes_from_hf,
    windows_from_gguf,
    windows_from_hf,
)
from greenlight.ops.protocol import SWIGLU_OSS_ALPHA, SWIGLU_OSS_LIMIT

THETA = 150_000.0
EVERY = 2
"""Each second layer sees everything; the first does not."""


def config_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/gpt_oss/configuration_gpt_oss.py)."""
    fields.refuse_unless("hidden_act", "silu")
    fields.refuse_unless("swiglu_alpha", SWIGLU_OSS_ALPHA)
    fields.refuse_unless("swiglu_limit", SWIGLU_OSS_LIMIT, int(SWIGLU_OSS_LIMIT))
    _check_quantisation(fields)
    sizes = sizes_from_hf(fields, max_seq_len=131_072, n_kv_heads=8, head_dim=64, norm_eps=1e-5)
    experts = experts_from_hf(fields, count=("num_local_experts", "num_experts"), used=4)
    fields.refuse_unless("experts_per_token", experts["n_experts_used"])  # said twice in some files
    fields.get("initial_context_length")  # what rope_scaling says too, by the name it has in OpenAI's own code
    n_layers, biased = sizes["n_layers"], fields.flag("attention_bias", True)
    stretched = fields.get("rope_scaling") is not None or fields.get("rope_parameters") is not None
    rope = rope_from_hf(fields, sizes["max_seq_len"], theta=THETA)
    return ModelConfig(
        family="gpt_oss",
        **sizes,
        **experts,
        rope=rope if stretched else replace(rope, scaling=_yarn(32.0, 4096)),
        activation="swiglu_oss",
        qkv_bias=biased,
        o_bias=biased,
        mlp_bias=True,
        router_bias=True,
        sinks=True,
        windows=windows_from_hf(
            fields, n_layers, size=128, usual=[(layer + 1) % EVERY != 0 for layer in range(n_layers)]
        ),
    )


def _check_quantisation(fields: Fields) -> None:
    """What a folder of MXFP4 experts says of itself; any other way of quantising is refused."""
    quantisation = fields.group("quantization_config")
    if quantisation is not None:
        quantisation.refuse_unless("quant_method", "mxfp4")


def _yarn(factor: float, original: int) -> YarnScaling:
    return YarnScaling(
        factor=factor,
        original_max_seq_len=original,
        attention_factor=yarn_attention_factor(factor),
        truncate=False,
    )


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """gpt-oss.* keys."""
    sizes = sizes_from_gguf(fields, tensors, experts=True)
    sizes["ffn_dim"] = fields.integer("expert_feed_forward_length", sizes["ffn_dim"])
    rope = rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None)
    if isinstance(rope.scaling, YarnScaling):  # no key says so, and llama.cpp rounds: the model was trained without
        rope = replace(rope, scaling=replace(rope.scaling, truncate=False))
    config = ModelConfig(
        family="gpt_oss",
        **sizes,
        **experts_from_gguf(fields),
        rope=rope,
        activation="swiglu_oss",
        **biases_from_gguf(tensors),
        router_bias=True,
        sinks=True,
        windows=windows_from_gguf(fields, sizes["n_layers"], every=EVERY, size=128),
    )
    all_read(fields)
    return config


def gguf_metadata(config: ModelConfig) -> dict[str, Any]:
    """gpt-oss.* keys."""
    pattern = window_pattern(config, "gpt-oss", EVERY)
    return {"general.architecture": "gpt-oss", **gguf_keys(config, "gpt-oss"), **pattern}


def hf_config(config: ModelConfig) -> dict[str, Any]:
    """config.json of a gpt-oss. Where it says nothing of positions they are stretched: so it always does."""
    return (
        hf_keys(config, "gpt_oss", "GptOssForCausalLM", rope_parameters)
        | window_keys(config)
        | {
            "hidden_act": "silu",
            "attention_bias": config.qkv_bias,
            "num_local_experts": config.n_experts,
            "num_experts_per_tok": config.n_experts_used,
            "swiglu_limit": SWIGLU_OSS_LIMIT,
        }
    )


GPT_OSS = Family(
    name="gpt_oss",
    hf_model_types=("gpt_oss",),
    gguf_architectures=("gpt-oss",),
    config_from_hf=config_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre", post_attention_layernorm="post_attention_norm"),
    from_gguf=as_it_is,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    from_hf=from_hf,
    hf_config=hf_config,
    hf_joined=to_hf,
    hf_in_blocks=in_blocks,
)
