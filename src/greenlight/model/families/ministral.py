"""What is a Ministral? A Mistral with windows in some layers (8B of 2024), or stretched with cooler queries (3).

Ministral 8B (October 2024) alternates windows as `layer_types` says. Ministral 3 (December 2025: 3B, 8B and 14B) has
YaRN's positions, and queries that grow with the logarithm of how often the text passes its original length.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.families.llama import MISTRAL, from_gguf, mistral_of, to_gguf
from greenlight.model.family import Family, Weights
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf
from greenlight.model.hf_config import decimal, hf_keys, rope_parameters, window_keys
from greenlight.model.rope import YarnScaling
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import all_read, biases_from_gguf, sizes_from_gguf, sizes_from_hf, windows_from_hf

THETA, FACTOR, ORIGINAL, BETA = 1_000_000.0, 16.0, 16_384, 0.1
"""Of Ministral 3, where a config says nothing of positions at all."""


def ministral_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/ministral/configuration_ministral.py)."""
    return replace(mistral_of(fields), family="ministral")


def ministral3_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/ministral3/configuration_ministral3.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=262_144, n_kv_heads=8, head_dim=128, norm_eps=1e-5)
    n_layers, local = sizes["n_layers"], fields.get("sliding_window") is not None
    fields.refuse_unless("layer_types", ["sliding_attention" if local else "full_attention"] * n_layers)
    params = fields.group("rope_parameters") or fields.group("rope_scaling")
    if params is None:
        scaling = YarnScaling(factor=FACTOR, original_max_seq_len=ORIGINAL, attention_factor=1.0)
        rope, beta = replace(rope_from_hf(fields, sizes["max_seq_len"], theta=THETA), scaling=scaling), BETA
        length = ORIGINAL
    else:
        rope = rope_from_hf(
            fields, sizes["max_seq_len"], theta=THETA, read=("llama_4_scaling_beta", "max_position_embeddings")
        )
        beta = params.number("llama_4_scaling_beta", 0.0)
        length = params.integer("original_max_position_embeddings", sizes["max_seq_len"])
    return ModelConfig(
        family="ministral3",
        **sizes,
        rope=rope,
        temperature_beta=beta,
        temperature_length=length if beta else 0,
        windows=windows_from_hf(fields, n_layers, size=4096, usual=[local] * n_layers),
    )


def ministral3_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """mistral3.* keys; queries grow at each original length (ggml-org/llama.cpp, src/models/mistral3.cpp)."""
    fields.refuse_unless("attention.sliding_window", 0)
    sizes = sizes_from_gguf(fields, tensors)
    rope = rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None, log_multiplier=True)
    beta = fields.number("attention.temperature_scale", 0.0)
    original = fields.integer("rope.scaling.original_context_length", sizes["max_seq_len"])
    config = ModelConfig(
        family="ministral3",
        **sizes,
        rope=rope,
        temperature_beta=beta,
        temperature_length=original if beta else 0,
        **biases_from_gguf(tensors),
    )
    all_read(fields)
    return config


def ministral3_metadata(config: ModelConfig) -> dict[str, Any]:
    """mistral3.* keys."""
    if config.windows:
        raise refuse_in_gguf("mistral3", "that layers see a window", f"windows {config.windows}"[:120])
    keys = {"general.architecture": "mistral3", **gguf_keys(config, "mistral3")}
    if config.temperature_beta:
        keys["mistral3.attention.temperature_scale"] = float(np.float32(config.temperature_beta))
    return keys


def ministral_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Ministral of 2024."""
    return hf_keys(config, "ministral", "MinistralForCausalLM") | {"hidden_act": "silu"} | window_keys(config)


def ministral3_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Ministral 3. Where it says nothing of positions they are stretched: so it always does."""
    keys = hf_keys(config, "ministral3", "Ministral3ForCausalLM", rope_parameters)
    if config.temperature_beta:
        growth = {"llama_4_scaling_beta": decimal(config.temperature_beta)}
        keys["rope_parameters"] |= growth | {"original_max_position_embeddings": config.temperature_length}
    return keys | {"hidden_act": "silu", "sliding_window": config.window(0)}


MINISTRAL = replace(
    MISTRAL,
    name="ministral",
    hf_model_types=("ministral",),
    config_from_hf=ministral_from_hf,
    hf_config=ministral_to_hf,
)

MINISTRAL3 = Family(
    name="ministral3",
    hf_model_types=("ministral3",),
    gguf_architectures=("mistral3",),
    config_from_hf=ministral3_from_hf,
    config_from_gguf=ministral3_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=from_gguf,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=ministral3_metadata,
    to_gguf=to_gguf,
    hf_config=ministral3_to_hf,
)
