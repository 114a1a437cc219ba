"""What is an OLMo? Norms behind the branches instead of before them, and queries and keys normed as whole projections.

OLMo 2 (arXiv:2501.00656) and OLMo 3 (arXiv:2512.13961), whose layers see a window but for each fourth; only those that
see everything have their positions stretched.
"""

from __future__ import annotations

from typing import Any

from greenlight.model.blocks import gguf_names, kv_layers, post_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf, window_pattern
from greenlight.model.hf_config import decimal, hf_keys, window_keys
from greenlight.model.rope import RopeConfig
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf, ropes_from_hf
from greenlight.model.sizes import (
    all_read,
    biases_from_gguf,
    sizes_from_gguf,
    sizes_from_hf,
    windows_from_gguf,
    windows_from_hf,
)

OLMO3_THETA = 500_000.0

EVERY = 4
"""OLMo 3: each fourth layer sees everything."""


def olmo2_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/olmo2/configuration_olmo2.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=2048, norm_eps=1e-5)
    biased = fields.flag("attention_bias", False)
    return ModelConfig(
        family="olmo2",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        qkv_bias=biased,
        o_bias=biased,
        norm_placement="post",
        qk_norm="projection",
    )


def olmo3_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/olmo3/configuration_olmo3.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=2048, norm_eps=1e-5)
    n_layers, biased = sizes["n_layers"], fields.flag("attention_bias", False)
    rope, local_rope = ropes_from_hf(fields, sizes["max_seq_len"], theta=OLMO3_THETA, local_theta=OLMO3_THETA)
    return ModelConfig(
        family="olmo3",
        **sizes,
        rope=rope,
        local_rope=local_rope,
        qkv_bias=biased,
        o_bias=biased,
        norm_placement="post",
        qk_norm="projection",
        windows=windows_from_hf(
            fields, n_layers, size=4096, usual=[(layer + 1) % EVERY != 0 for layer in range(n_layers)]
        ),
    )


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """olmo2.* keys: with a window it is an OLMo 3."""
    sizes = sizes_from_gguf(fields, tensors)
    windows = windows_from_gguf(fields, sizes["n_layers"], every=EVERY)
    rope = rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], tensors.get("rope_freqs.weight"))
    # llama.cpp reads no theta of layers with a window here: a file that has another is read in two ways.
    fields.refuse_unless("rope.freq_base_swa", rope.rope_theta)
    config = ModelConfig(
        family="olmo3" if windows else "olmo2",
        **sizes,
        rope=rope,
        local_rope=RopeConfig(rope_theta=rope.rope_theta) if windows else None,  # never stretched
        **biases_from_gguf(tensors),
        norm_placement="post",
        qk_norm="projection",
        windows=windows,
    )
    all_read(fields)
    return config


def gguf_metadata(config: ModelConfig) -> dict[str, Any]:
    """olmo2.* keys."""
    if config.local_rope is not None and config.local_rope.rope_theta != config.rope.rope_theta:
        found = f"{config.local_rope.rope_theta:g} and {config.rope.rope_theta:g}"
        raise refuse_in_gguf("olmo2", "that layers with a window have another rope_theta", found)
    return {"general.architecture": "olmo2", **gguf_keys(config, "olmo2"), **window_pattern(config, "olmo2")}


def olmo2_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of an OLMo 2."""
    return hf_keys(config, "olmo2", "Olmo2ForCausalLM") | {"hidden_act": "silu", "attention_bias": config.qkv_bias}


def olmo3_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of an OLMo 3."""
    keys = hf_keys(config, "olmo3", "Olmo3ForCausalLM")
    keys |= {"hidden_act": "silu", "attention_bias": config.qkv_bias, **window_keys(config)}
    if config.local_rope is not None and config.local_rope.rope_theta != config.rope.rope_theta:
        keys["rope_local_base_freq"] = decimal(config.local_rope.rope_theta)
    return keys


OLMO2 = Family(
    name="olmo2",
    hf_model_types=("olmo2",),
    gguf_architectures=("olmo2",),
    config_from_hf=olmo2_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("post"),
    from_gguf=as_it_is,
    pack_block=post_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    hf_config=olmo2_to_hf,
    gguf_extras=("rope_freqs.weight",),
)

OLMO3 = Family(
    name="olmo3",
    hf_model_types=("olmo3",),
    gguf_architectures=(),  # its files call themselves olmo2
    config_from_hf=olmo3_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("post"),
    from_gguf=as_it_is,
    pack_block=post_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    hf_config=olmo3_to_hf,
)
