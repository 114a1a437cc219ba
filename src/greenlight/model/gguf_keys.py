"""How are a model's facts said in GGUF metadata? One dictionary for all families; llama.cpp's converter names the keys.

What has no key is not lost quietly: whoever writes a file reads its facts back and compares (alike.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import UnsupportedError
from greenlight.model.config import ModelConfig
from greenlight.model.rope import (
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    RopeConfig,
    YarnScaling,
    rope_spec,
    yarn_attention_factor,
)


def gguf_keys(config: ModelConfig, architecture: str) -> dict[str, Any]:
    """Sizes, norm, positions, windows and bounds, under the architecture's name."""
    keys: dict[str, Any] = {
        "context_length": config.max_seq_len,
        "embedding_length": config.dim,
        "block_count": config.n_layers,
        "feed_forward_length": config.ffn_dim,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": _f32(config.norm_eps),
        "vocab_size": config.vocab_size,
        "rope.dimension_count": config.head_dim,
        **_rope_keys(config.rope),
    }
    if config.local_rope is not None:
        keys["rope.freq_base_swa"] = _f32(config.local_rope.rope_theta)
    if windows := {window for window in config.windows if window is not None}:
        keys["attention.sliding_window"] = max(windows)
    if config.n_experts:
        keys |= {
            "expert_count": config.n_experts,
            "expert_used_count": config.n_experts_used,
            "expert_feed_forward_length": config.ffn_dim,
        }
    if config.attention_softcap is not None:
        keys["attn_logit_softcapping"] = _f32(config.attention_softcap)
    if config.final_softcap is not None:
        keys["final_logit_softcapping"] = _f32(config.final_softcap)
    return {f"{architecture}.{name}": value for name, value in keys.items()}


def window_pattern(config: ModelConfig, architecture: str, usual: int | None = None) -> dict[str, Any]:
    """Which layers have a window, one by one; nothing where all readers know it: in all but each `usual`-th."""
    local = [window is not None for window in config.windows]
    if not local or (usual and local == [(layer + 1) % usual != 0 for layer in range(config.n_layers)]):
        return {}
    return {f"{architecture}.attention.sliding_window_pattern": local}


def rope_factors(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """The tensor `rope_freqs` where angles have factors of their own (Llama 3.1 and later), (head_dim / 2,)."""
    if isinstance(config.rope.scaling, FactorScaling):
        return {"rope_freqs.weight": np.array(config.rope.scaling.factors, np.float32)}
    if not isinstance(config.rope.scaling, Llama3Scaling):
        return {}
    plain = rope_spec(RopeConfig(rope_theta=config.rope.rope_theta), config.head_dim)
    stretched = rope_spec(config.rope, config.head_dim)
    factors = np.array(plain.inv_freq, np.float64) / np.array(stretched.inv_freq, np.float64)
    return {"rope_freqs.weight": factors.astype(np.float32)}


def _rope_keys(rope: RopeConfig) -> dict[str, Any]:
    keys: dict[str, Any] = {"rope.freq_base": _f32(rope.rope_theta)}
    match rope.scaling:
        case LinearScaling(factor=factor):
            keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": _f32(factor)}
        case YarnScaling() as yarn:
            keys |= {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": _f32(yarn.factor),
                "rope.scaling.original_context_length": yarn.original_max_seq_len,
                "rope.scaling.yarn_beta_fast": _f32(yarn.beta_fast),
                "rope.scaling.yarn_beta_slow": _f32(yarn.beta_slow),
            }
            # llama.cpp multiplies the paper's factor by this one.
            more = yarn.attention_factor / yarn_attention_factor(yarn.factor)
            if abs(more - 1) > 1e-7:
                keys["rope.scaling.attn_factor"] = _f32(more)
    return keys


def refuse_in_gguf(architecture: str, what: str, found: str) -> UnsupportedError:
    """The error for a fact that no key of an architecture can say."""
    return UnsupportedError(
        f"GGUF's architecture {architecture!r} cannot say {what}",
        where="the model to be written",
        found=found,
        do="keep it as a Hugging Face folder: greenlight convert … --format hf",
    )


def _f32(value: float) -> float:
    """A number as every reader will find it: rounded to float32."""
    return float(np.float32(value))
