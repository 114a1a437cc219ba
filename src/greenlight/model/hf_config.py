"""How are a model's facts said in config.json? In the older form of its fields, which every transformers reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from greenlight.errors import UnsupportedError
from greenlight.model.config import ModelConfig
from greenlight.model.rope import (
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    PartialScaling,
    RopeConfig,
    RopeScaling,
    YarnScaling,
    rope_spec,
    yarn_attention_factor,
)

LLAMA3 = tuple(
    Llama3Scaling(factor=factor, low_freq_factor=1.0, high_freq_factor=4.0, original_max_seq_len=8192)
    for factor in (8.0, 32.0, 16.0)
)
"""Ways of stretching that Meta has released (Llama 3.1, 3.2 and 4): GGUF files hold only what they come to."""


def hf_keys(
    config: ModelConfig,
    model_type: str,
    architecture: str,
    positions: Callable[[ModelConfig], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Fields of config.json that all families share.

    Args:
        config: the facts.
        model_type: its name there.
        architecture: the class that transformers makes.
        positions: how positions are said; `rope_keys`, the older form, by default.
    """
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_size": config.dim,
        "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": decimal(config.norm_eps),
        "tie_word_embeddings": config.tied_head,
        **(positions or rope_keys)(config),
    }


def window_keys(config: ModelConfig) -> dict[str, Any]:
    """Which layers see a window, and how wide it is."""
    widths = {window for window in config.windows if window is not None}
    kinds = ["full_attention" if config.window(i) is None else "sliding_attention" for i in range(config.n_layers)]
    return {"layer_types": kinds} | ({"sliding_window": max(widths)} if widths else {})


def rope_keys(config: ModelConfig) -> dict[str, Any]:
    """`rope_theta`, `rope_scaling`, and the theta of layers with a window."""
    keys: dict[str, Any] = {"rope_theta": decimal(config.rope.rope_theta)}
    if config.rope.scaling is not None:
        keys["rope_scaling"] = _scaling(config.rope.scaling, config)
    return keys


def rope_parameters(config: ModelConfig) -> dict[str, Any]:
    """The newer form, which says also that nothing is stretched: of families that stretch where nothing is said."""
    scaling = {"rope_type": "default"} if config.rope.scaling is None else _scaling(config.rope.scaling, config)
    return {"rope_parameters": scaling | {"rope_theta": decimal(config.rope.rope_theta)}}


def ropes_by_layer(config: ModelConfig) -> dict[str, Any]:
    """The newer form for each kind of layer, whose heads may differ in length."""
    full = replace(config, head_dim=config.full_head_dim or config.head_dim)
    kinds = {"full_attention": full, "sliding_attention": replace(config, rope=config.local_rope or config.rope)}
    return {"rope_parameters": {kind: rope_parameters(alone)["rope_parameters"] for kind, alone in kinds.items()}}


def decimal(value: float) -> float:
    """The shortest decimal of a number that a file has rounded to float32; any other number as it is."""
    return float(str(np.float32(value))) if float(np.float32(value)) == value else value


def whole(value: float) -> float | int:
    """A whole number where the value is one but for rounding."""
    return round(value) if abs(value - round(value)) <= 1e-6 * abs(value) else value


def _scaling(scaling: RopeScaling, config: ModelConfig) -> dict[str, Any]:
    match scaling:
        case LinearScaling(factor=factor):
            return {"rope_type": "linear", "factor": decimal(factor)}
        case YarnScaling() as yarn:
            keys = {
                "rope_type": "yarn",
                "factor": decimal(yarn.factor),
                "original_max_position_embeddings": yarn.original_max_seq_len,
                "beta_fast": decimal(yarn.beta_fast),
                "beta_slow": decimal(yarn.beta_slow),
            }
            if not yarn.truncate:
                keys["truncate"] = False
            if yarn.attention_factor != yarn_attention_factor(yarn.factor):
                keys["attention_factor"] = yarn.attention_factor
            return keys
        case PartialScaling():
            return {
                "rope_type": "proportional",
                "partial_rotary_factor": scaling.share,
                "factor": decimal(scaling.factor),
            }
        case FactorScaling():
            scaling = _named(scaling, config)
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_seq_len,
    }


def _named(scaling: FactorScaling, config: ModelConfig) -> Llama3Scaling:
    """The released way of stretching that comes to these factors."""
    found = rope_spec(config.rope, config.head_dim).inv_freq
    for known in LLAMA3:
        expected = rope_spec(RopeConfig(rope_theta=config.rope.rope_theta, scaling=known), config.head_dim).inv_freq
        if np.allclose(found, expected, rtol=1e-6, atol=0):
            return known
    raise UnsupportedError(
        "config.json cannot say these rope factors",
        where="rope_freqs.weight",
        found=f"{len(scaling.factors)} factors that are none of Llama 3's",
        do="keep the model as GGUF",
    )
