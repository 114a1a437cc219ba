"""Tiny models of every family in memory: configs by hand, and all tensors that they promise, of zeros."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from greenlight.formats.safetensors import SafetensorsFolder
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.checkpoint import folder_checkpoint
from greenlight.model.families import family_of_model_type
from greenlight.model.fields import Fields
from tests.builders import llama_config

TINY = llama_config(
    hidden_size=8, intermediate_size=6, num_attention_heads=2, num_key_value_heads=1, head_dim=4, vocab_size=5
)
EXPERTS = {"num_local_experts": 3, "num_experts_per_tok": 2, "attention_bias": True}
GEMMA4 = {
    **{"model_type": "gemma4_text", "layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 6},
    **{"hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 5, "attention_k_eq_v": True},
    **{"num_global_key_value_heads": 2, "tie_word_embeddings": True},
}
MXFP4 = {"quantization_config": {"quant_method": "mxfp4"}}
CONFIGS = {
    "llama": TINY,
    "mistral": TINY | {"model_type": "mistral", "sliding_window": 8},
    "ministral": TINY | {"model_type": "ministral", "layer_types": ["sliding_attention", "full_attention"]},
    "ministral3": TINY | {"model_type": "ministral3"},
    "qwen2": TINY | {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": TINY | {"model_type": "qwen3"},
    "olmo2": TINY | {"model_type": "olmo2"},
    "olmo3": TINY | {"model_type": "olmo3", "layer_types": ["sliding_attention", "full_attention"]},
    "gemma": TINY | {"model_type": "gemma", "hidden_act": "gelu"},
    "gemma2": TINY | {"model_type": "gemma2", "hidden_act": None, "query_pre_attn_scalar": 4},
    "gemma3_text": TINY | {"model_type": "gemma3_text", "hidden_act": None, "rope_parameters": {}},
    "gemma3": {"model_type": "gemma3", "text_config": TINY | {"model_type": "gemma3_text"}, "vision_config": {}},
    "gemma4_text": TINY | GEMMA4,
    "gemma4": {"model_type": "gemma4", "text_config": TINY | GEMMA4, "vision_config": {}},
    "gemma4_unified": {
        "model_type": "gemma4_unified",
        "text_config": TINY | GEMMA4 | {"model_type": "gemma4_unified_text", "hidden_size_per_layer_input": 0},
    },
    "mistral3": {"model_type": "mistral3", "text_config": TINY | {"model_type": "mistral"}},
    "mixtral": TINY | {"model_type": "mixtral", "sliding_window": 8} | EXPERTS,
    "qwen3_moe": TINY | {"model_type": "qwen3_moe", "moe_intermediate_size": 6, "num_experts": 3} | EXPERTS,
    "gpt_oss": TINY | {"model_type": "gpt_oss", "sliding_window": 8} | EXPERTS,
    "gpt_oss mxfp4": TINY | {"model_type": "gpt_oss", "hidden_size": 32, "intermediate_size": 32} | EXPERTS | MXFP4,
}
ZEROS = np.zeros(1 << 15, np.uint8)


def zeros(name, shape):
    type_ = TensorType.U8 if name.endswith(("_blocks", "_scales")) else TensorType.F32
    return Tensor(name, type_, shape, ZEROS[: type_.block_bytes * math.prod(shape)])


def in_gpt_oss(name, shape, *, packed):
    """What a folder of gpt-oss calls a part of its experts; gate and up share a tensor, whose rows take turns."""
    name = name.removesuffix(".weight")
    if ".gate_proj" in name:
        return {}
    if ".up_proj" in name:
        name, shape = name.replace("up_proj", "gate_up_proj"), (shape[0], 2 * shape[1], *shape[2:])
    if name.endswith(".bias"):
        return {name.replace(".bias", "_bias"): shape}
    if packed:
        blocks = (*shape[:2], shape[2] // 32)
        return {f"{name}_blocks": (*blocks, 16), f"{name}_scales": blocks}
    return {name: (shape[0], shape[2], shape[1])}


def held(config):
    """The tensors that a text model's config promises, all of zeros, as a folder in memory has them."""
    family = family_of_model_type(config["model_type"], "test")
    facts = family.config_from_hf(Fields("test", config))
    found = {}
    for name, shape in family.shapes(facts).items():
        if family.name == "gpt_oss" and ".experts." in name:
            found |= in_gpt_oss(name, shape, packed="quantization_config" in config)
        else:
            parts = family.hf_parts(name, facts) if family.hf_parts else (name,)
            found |= dict.fromkeys(parts, shape if len(parts) == 1 else shape[1:])
    return {name: zeros(name, shape) for name, shape in found.items()}


HELD = {name: held(config.get("text_config", config)) for name, config in CONFIGS.items()}


def opened(config, tensors):
    """A folder in memory, opened."""
    return folder_checkpoint(SafetensorsFolder(path=Path("any"), size=1, config=config, tensors=tensors, homes={}))
