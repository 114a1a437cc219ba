"""What is a Qwen? Llama's blocks with biases on q, k and v (2 and 2.5), or with every query and key head normed (3).

Yang et al. 2024 (arXiv:2407.10671, arXiv:2412.15115) and 2025 (arXiv:2505.09388). GGUF files keep q and k rows as they
are: llama.cpp rotates halves here, as Hugging Face does.
"""

from __future__ import annotations

from typing import Any

from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf
from greenlight.model.hf_config import hf_keys, window_keys
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import all_read, biases_from_gguf, sizes_from_gguf, sizes_from_hf, windows_from_hf


def qwen2_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/qwen2/configuration_qwen2.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    fields.refuse_unless("use_mrope", False)
    sizes = sizes_from_hf(fields, max_seq_len=32768, n_kv_heads=32)
    return ModelConfig(
        family="qwen2",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        qkv_bias=True,
        windows=_windows(fields, sizes["n_layers"]),
    )


def qwen3_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/qwen3/configuration_qwen3.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=32768, n_kv_heads=32, head_dim=128)
    biased = fields.flag("attention_bias", False)
    return ModelConfig(
        family="qwen3",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        qkv_bias=biased,
        o_bias=biased,
        qk_norm="head",
        windows=_windows(fields, sizes["n_layers"]),
    )


def _windows(fields: Fields, n_layers: int) -> tuple[int | None, ...]:
    """Only where `use_sliding_window` says so: then in the layers from `max_window_layers` on."""
    used, first = fields.flag("use_sliding_window", False), fields.get("max_window_layers")
    if not used:
        fields.get("sliding_window")
        types = fields.get("layer_types")
        if types is not None and (not isinstance(types, list) or "sliding_attention" in types):
            raise fields.wrong("layer_types", types, "full_attention where use_sliding_window is false")
        return ()
    if first is not None and (isinstance(first, bool) or not isinstance(first, int) or first < 0):
        raise fields.wrong("max_window_layers", first, "a whole number")
    usual = [layer >= (28 if first is None else first) for layer in range(n_layers)]
    return windows_from_hf(fields, n_layers, size=4096, usual=usual)


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """qwen2.* or qwen3.* keys; biases from the tensors there are."""
    fields.refuse_unless("attention.sliding_window", 0)
    sizes = sizes_from_gguf(fields, tensors)
    normed = "blk.0.attn_q_norm.weight" in tensors
    config = ModelConfig(
        family="qwen3" if normed else "qwen2",
        **sizes,
        rope=rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], tensors.get("rope_freqs.weight")),
        **biases_from_gguf(tensors),
        qk_norm="head" if normed else None,
    )
    all_read(fields)
    return config


def qwen2_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """qwen2.* keys."""
    return _gguf_metadata(config, "qwen2")


def qwen3_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """qwen3.* keys."""
    return _gguf_metadata(config, "qwen3")


def _gguf_metadata(config: ModelConfig, architecture: str) -> dict[str, Any]:
    if config.windows:
        raise refuse_in_gguf(architecture, "that layers see a window", f"windows {config.windows}"[:120])
    return {"general.architecture": architecture, **gguf_keys(config, architecture)}


def qwen2_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Qwen 2."""
    return hf_keys(config, "qwen2", "Qwen2ForCausalLM") | _hf_more(config)


def qwen3_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Qwen 3."""
    return hf_keys(config, "qwen3", "Qwen3ForCausalLM") | {"attention_bias": config.qkv_bias} | _hf_more(config)


def _hf_more(config: ModelConfig) -> dict[str, Any]:
    windows = window_keys(config) if config.windows else {}
    return {"hidden_act": "silu", "use_sliding_window": bool(config.windows), **windows}


QWEN2 = Family(
    name="qwen2",
    hf_model_types=("qwen2",),
    gguf_architectures=("qwen2",),
    config_from_hf=qwen2_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=as_it_is,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=qwen2_to_gguf,
    hf_config=qwen2_to_hf,
    gguf_extras=("rope_freqs.weight",),
)

QWEN3 = Family(
    name="qwen3",
    hf_model_types=("qwen3",),
    gguf_architectures=("qwen3",),
    config_from_hf=qwen3_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=as_it_is,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=qwen3_to_gguf,
    hf_config=qwen3_to_hf,
    gguf_extras=("rope_freqs.weight",),
)
