"""Tiny random models of every family, as folders: config.json by hand, weights by the family's own shapes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.model.families import family_of_model_type
from greenlight.model.fields import Fields
from tests.builders import write_safetensors

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 97,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
GEMMA = {"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 16}
GEMMA4 = {
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "hidden_size_per_layer_input": 0,
    "attention_k_eq_v": True,
    "global_head_dim": 32,
    "num_global_key_value_heads": 1,
    "tie_word_embeddings": False,
}
CASES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "rope_theta": 5e5, "attention_bias": True, "mlp_bias": True},
    "llama tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama 3": {"model_type": "llama", "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3"} | LLAMA3},
    "llama linear": {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.5}},
    "mistral": {"model_type": "mistral", "sliding_window": None, "head_dim": 32},
    "qwen2": {"model_type": "qwen2", "rope_theta": 1e6},
    "qwen2 yarn": {"model_type": "qwen2", "rope_scaling": YARN, "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 32},
    "olmo2": {"model_type": "olmo2"},
    "olmo3": {"model_type": "olmo3", "sliding_window": 11, "rope_theta": 5e5},
    "olmo3 yarn": {"model_type": "olmo3", "sliding_window": 11, "rope_scaling": YARN | {"attention_factor": 1.2}},
    "gemma": {"model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"},
    "gemma2": {"model_type": "gemma2", "sliding_window": 13} | GEMMA,
    "gemma3": {"model_type": "gemma3_text", "sliding_window": 17, "num_hidden_layers": 7} | GEMMA,
    "gemma3 other layers": {
        "model_type": "gemma3_text",
        "sliding_window": 17,
        "layer_types": ["full_attention", "sliding_attention"] * 2,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    }
    | GEMMA,
    "gemma4": {"model_type": "gemma4_text", "sliding_window": 17} | GEMMA4,
    "gemma4 by layer": {
        "model_type": "gemma4_text",
        "sliding_window": 17,
        "num_hidden_layers": 5,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] + ["sliding_attention"] * 2,
        "hidden_size_per_layer_input": 12,
        "vocab_size_per_layer_input": 97,
        "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True,
        "final_logit_softcapping": 5.0,
        "global_head_dim": 24,
    },
    "mixtral": {"model_type": "mixtral", "sliding_window": None, "rope_theta": 1e6} | EXPERTS,
    "qwen3 moe": {"model_type": "qwen3_moe", "moe_intermediate_size": 32, "num_experts": 4, "norm_topk_prob": True}
    | {"num_experts_per_tok": 2},
    "ministral3": {
        "model_type": "ministral3",
        "rope_parameters": YARN
        | {"rope_theta": 1e6, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1},
    },
    "gpt-oss": {"model_type": "gpt_oss", "sliding_window": 12} | EXPERTS,
}
"""One per design, and those switches that both formats can say."""


def config_of(case: str, **changes: Any) -> dict[str, Any]:
    """config.json of a case."""
    return SIZES | CASES[case] | changes


def random_weights(config: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by Hugging Face name. Norms are multiples of 2**-10, so that 1 + w loses nothing."""
    rng = np.random.default_rng(seed)
    family = family_of_model_type(config["model_type"], "test")
    weights = {}
    for name, shape in family.shapes(family.config_from_hf(Fields("test", config))).items():
        if name.endswith("norm.weight"):
            values = np.round(rng.uniform(0.3, 1.8, shape) * 1024) / 1024
        elif name.endswith("layer_scalar"):
            values = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(".bias"):
            values = rng.normal(0, 0.5, shape)
        else:
            values = rng.normal(0, 1.2 / math.sqrt(shape[-1]), shape)
        weights[name] = values.astype(np.float32)
    return weights


def random_folder(path: Path, config: dict[str, Any], seed: int = 0, kind: str = "F32") -> Path:
    """A folder of that model, without tokenizer."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    write_safetensors(path / "model.safetensors", random_weights(config, seed), kind)
    return path
