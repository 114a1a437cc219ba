"""What is a Gemma? Norms that keep w where 1 + w is meant, a scaled embedding that is the head too, and a GELU gate.

Gemma 1 (arXiv:2403.08295) has Llama's arrangement. Gemma 2 (arXiv:2408.00118) norms both sides of a branch, bends
scores and logits towards a bound and lets every other layer see a window. Gemma 3 (arXiv:2503.19786) norms query and
key heads instead of bending, and has five layers with a window and positions of their own to each that sees everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from greenlight.errors import FormatError
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, sandwich_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf, window_pattern
from greenlight.model.hf_config import decimal, hf_keys, whole, window_keys
from greenlight.model.rope import RopeConfig
from greenlight.model.rope_sources import DEFAULT_THETA, rope_from_gguf, rope_from_hf, ropes_from_hf
from greenlight.model.sizes import (
    Sizes,
    all_read,
    sizes_from_gguf,
    sizes_from_hf,
    windows_from_gguf,
    windows_from_hf,
)

TANH = ("gelu_pytorch_tanh",)

GEMMA2_EVERY, GEMMA3_EVERY = 2, 6
"""Each such layer sees everything."""

GEMMA3_THETA = 1_000_000.0


def _from_hf(
    fields: Fields, *, max_seq_len: int, n_kv_heads: int, n_heads: int | None = None, vocab_size: int | None = None
) -> tuple[Sizes, bool]:
    """What all three say alike: sizes, and whether attention has biases."""
    fields.refuse_unless("use_bidirectional_attention", False)
    sizes = sizes_from_hf(
        fields,
        max_seq_len=max_seq_len,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=256,
        vocab_size=vocab_size,
        tied_head=True,
    )
    return sizes, fields.flag("attention_bias", False)


def _bound(fields: Fields, name: str, default: float | None) -> float | None:
    """A softcap: null says that there is none, silence says the default."""
    if fields.get(name) is None and (fields.says(name) or default is None):
        return None
    return fields.number(name, default)


def gemma_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/gemma/configuration_gemma.py)."""
    fields.refuse_unless("hidden_act", "gelu", *TANH)  # "gelu" of the first files means the tanh form
    fields.refuse_unless("hidden_activation", *TANH)
    sizes, biased = _from_hf(fields, max_seq_len=8192, n_kv_heads=16)
    return ModelConfig(
        family="gemma",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        activation="gelu_tanh",
        norm_offset=1.0,
        embedding_scale=sizes["dim"] ** 0.5,
        qkv_bias=biased,
        o_bias=biased,
    )


def gemma2_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/gemma2/configuration_gemma2.py)."""
    fields.refuse_unless("hidden_activation", *TANH)
    fields.refuse_unless("hidden_act", *TANH)  # beside the field that counts, some files keep the old one
    sizes, biased = _from_hf(fields, max_seq_len=8192, n_kv_heads=4)
    n_layers = sizes["n_layers"]
    fields.get("sliding_window_size")  # the released files say the window twice; transformers reads the other
    return ModelConfig(
        family="gemma2",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        activation="gelu_tanh",
        norm_placement="sandwich",
        norm_offset=1.0,
        embedding_scale=sizes["dim"] ** 0.5,
        qkv_bias=biased,
        o_bias=biased,
        attention_scale=fields.positive("query_pre_attn_scalar", 256.0) ** -0.5,
        attention_softcap=_bound(fields, "attn_logit_softcapping", 50.0),
        final_softcap=_bound(fields, "final_logit_softcapping", 30.0),
        windows=windows_from_hf(fields, n_layers, size=4096, usual=_local(n_layers, GEMMA2_EVERY)),
    )


def gemma3_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/gemma3/configuration_gemma3.py)."""
    fields.refuse_unless("hidden_activation", *TANH)
    fields.refuse_unless("attn_logit_softcapping")  # a field of Gemma 2's, which transformers keeps and does not use
    # The text part of the 4B model leaves out its heads and its vocabulary.
    sizes, biased = _from_hf(fields, max_seq_len=131_072, n_kv_heads=4, n_heads=8, vocab_size=262_208)
    n_layers = sizes["n_layers"]
    every = _pattern(fields, n_layers)
    fields.get("_sliding_window_pattern")  # transformers' note to itself, beside the layer_types it made of it
    rope, local_rope = ropes_from_hf(fields, sizes["max_seq_len"], theta=GEMMA3_THETA, local_theta=DEFAULT_THETA)
    return ModelConfig(
        family="gemma3",
        **sizes,
        rope=rope,
        local_rope=local_rope,
        activation="gelu_tanh",
        norm_placement="sandwich",
        norm_offset=1.0,
        embedding_scale=sizes["dim"] ** 0.5,
        qkv_bias=biased,
        o_bias=biased,
        qk_norm="head",
        attention_scale=fields.positive("query_pre_attn_scalar", 256.0) ** -0.5,
        final_softcap=_bound(fields, "final_logit_softcapping", None),
        windows=windows_from_hf(fields, n_layers, size=4096, usual=_local(n_layers, every)),
    )


def _pattern(fields: Fields, n_layers: int) -> int:
    """Which layers see everything, as older files say it; newer ones list the kinds, and some say both."""
    every = fields.integer("sliding_window_pattern", GEMMA3_EVERY)
    kinds = ["sliding_attention" if local else "full_attention" for local in _local(n_layers, every)]
    said = fields.get("layer_types")
    if isinstance(said, list) and said != kinds and fields.get("sliding_window_pattern") is not None:
        raise FormatError(
            "layer_types and sliding_window_pattern contradict each other",
            where=f"{fields.where}, layer_types",
            found=f"{said}, expected each layer {every} to see everything and no other"[:200],
            do="keep the one that the model was trained with; transformers 5 reads layer_types, older ones the pattern",
        )
    return every


def _local(n_layers: int, every: int) -> list[bool]:
    return [(layer + 1) % every != 0 for layer in range(n_layers)]


# GGUF files hold 1 + w: nothing is added to it.


def gemma_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """gemma.* keys."""
    sizes = sizes_from_gguf(fields, tensors)
    config = ModelConfig(
        family="gemma",
        **sizes,
        rope=rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None),
        activation="gelu_tanh",
        embedding_scale=sizes["dim"] ** 0.5,
    )
    all_read(fields)
    return config


def gemma2_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """gemma2.* keys; the scale of scores, which they do not hold, as llama.cpp knows it of each size."""
    sizes = sizes_from_gguf(fields, tensors)
    config = ModelConfig(
        family="gemma2",
        **sizes,
        rope=rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None),
        activation="gelu_tanh",
        norm_placement="sandwich",
        embedding_scale=sizes["dim"] ** 0.5,
        attention_scale=_gguf_scale(sizes, layers_of_27b=46),
        attention_softcap=fields.number("attn_logit_softcapping", 50.0),
        final_softcap=fields.number("final_logit_softcapping", 30.0),
        windows=windows_from_gguf(fields, sizes["n_layers"], every=GEMMA2_EVERY, size=4096),
    )
    all_read(fields)
    return config


def gemma3_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """gemma3.* keys; old files leave out the pattern of windows and the theta of layers that have one."""
    sizes = sizes_from_gguf(fields, tensors)
    rope = rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], None)
    config = ModelConfig(
        family="gemma3",
        **sizes,
        rope=rope,
        local_rope=RopeConfig(rope_theta=fields.number("rope.freq_base_swa", DEFAULT_THETA)),
        activation="gelu_tanh",
        norm_placement="sandwich",
        embedding_scale=sizes["dim"] ** 0.5,
        qk_norm="head",
        attention_scale=_gguf_scale(sizes, layers_of_27b=62),
        final_softcap=None if fields.unset("final_logit_softcapping") else fields.number("final_logit_softcapping"),
        windows=windows_from_gguf(fields, sizes["n_layers"], every=GEMMA3_EVERY),
    )
    all_read(fields)
    return config


def _gguf_scale(sizes: Sizes, *, layers_of_27b: int) -> float:
    """head_dim ** -0.5, but for models of 27 billion (dim / n_heads) ** -0.5 (llama.cpp, src/models/gemma*.cpp)."""
    of_27b = sizes["n_layers"] == layers_of_27b
    return float((sizes["dim"] / sizes["n_heads"] if of_27b else sizes["head_dim"]) ** -0.5)


# The other way


def to_gguf(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """Norms as 1 + w, where they are kept as w."""
    return _shifted(tensor, config.norm_offset) if name.endswith("norm.weight") else tensor


def to_hf(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """Norms as w, where they are kept as 1 + w; exact for what 1 + w rounded nothing of."""
    return _shifted(tensor, config.norm_offset - 1) if name.endswith("norm.weight") else tensor


def _shifted(tensor: Tensor, by: float) -> Tensor:
    if not by:
        return tensor
    values = dequantize(tensor) + np.float32(by)
    return Tensor(tensor.name, TensorType.F32, tensor.shape, values.view(np.uint8).reshape(-1))


def gemma_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """gemma.* keys."""
    return _gguf_metadata(config, "gemma")


def gemma2_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """gemma2.* keys."""
    return _gguf_metadata(config, "gemma2", GEMMA2_EVERY)


def gemma3_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """gemma3.* keys."""
    return _gguf_metadata(config, "gemma3", GEMMA3_EVERY)


def _gguf_metadata(config: ModelConfig, architecture: str, every: int | None = None) -> dict[str, Any]:
    if not config.tied_head:
        raise refuse_in_gguf(architecture, "that the head is no embedding", "lm_head.weight")
    pattern = window_pattern(config, architecture, every)
    return {"general.architecture": architecture, **gguf_keys(config, architecture), **pattern}


def gemma_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Gemma 1."""
    return hf_keys(config, "gemma", "GemmaForCausalLM") | _hf_more(config)


def gemma2_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Gemma 2."""
    return hf_keys(config, "gemma2", "Gemma2ForCausalLM") | _hf_more(config) | _hf_bounds(config)


def gemma3_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Gemma 3, text alone."""
    keys = hf_keys(config, "gemma3_text", "Gemma3ForCausalLM") | _hf_more(config) | _hf_bounds(config)
    if config.local_rope is not None:
        keys["rope_local_base_freq"] = decimal(config.local_rope.rope_theta)
    return keys


def _hf_more(config: ModelConfig) -> dict[str, Any]:
    return {"hidden_activation": "gelu_pytorch_tanh", "attention_bias": config.qkv_bias}


def _hf_bounds(config: ModelConfig) -> dict[str, Any]:
    scale = config.head_dim**-0.5 if config.attention_scale is None else config.attention_scale
    return {
        "query_pre_attn_scalar": whole(scale**-2),
        "attn_logit_softcapping": config.attention_softcap,
        "final_logit_softcapping": config.final_softcap,
        **window_keys(config),
    }


GEMMA = Family(
    name="gemma",
    hf_model_types=("gemma",),
    gguf_architectures=("gemma",),
    config_from_hf=gemma_from_hf,
    config_from_gguf=gemma_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=as_it_is,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gemma_to_gguf,
    to_gguf=to_gguf,
    hf_config=gemma_hf,
    to_hf=to_hf,
)

GEMMA2 = Family(
    name="gemma2",
    hf_model_types=("gemma2",),
    gguf_architectures=("gemma2",),
    config_from_hf=gemma2_from_hf,
    config_from_gguf=gemma2_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("sandwich"),
    from_gguf=as_it_is,
    pack_block=sandwich_block,
    kv_layers=kv_layers,
    gguf_metadata=gemma2_to_gguf,
    to_gguf=to_gguf,
    hf_config=gemma2_hf,
    to_hf=to_hf,
)

GEMMA3 = Family(
    name="gemma3",
    hf_model_types=("gemma3_text",),
    gguf_architectures=("gemma3",),
    config_from_hf=gemma3_from_hf,
    config_from_gguf=gemma3_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("sandwich"),
    from_gguf=as_it_is,
    pack_block=sandwich_block,
    kv_layers=kv_layers,
    gguf_metadata=gemma3_to_gguf,
    to_gguf=to_gguf,
    hf_config=gemma3_hf,
    to_hf=to_hf,
)
