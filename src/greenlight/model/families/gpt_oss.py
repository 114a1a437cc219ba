"""What is gpt-oss? Llama's arrangement with sinks, alternating windows, biases everywhere, and experts kept in MXFP4.

OpenAI 2025 (arXiv:2508.10925): gpt-oss-20b and 120b, and gpt-oss-safeguard, which share the design. Attention is
dense and banded in turn, 128 positions wide, each head with a learned sink; the feed-forward chooses 4 experts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from greenlight.errors import FormatError
from greenlight.formats.quants import mxfp4_from_blocks
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Gathered, Weights, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, window_pattern
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
NO_NUMBER = 255
"""The exponent of no number (OCP Microscaling Formats specification 1.0, section 5.4.1)."""

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


def from_hf(tensors: Mapping[str, Tensor], config: ModelConfig) -> Gathered:
    """Experts under this project's names; what they are made of is used up, and what is left over keeps its name."""
    kept = dict(tensors)
    made: dict[str, Callable[[], Tensor]] = {}
    for layer in range(config.n_layers):
        prefix, used = f"model.layers.{layer}.mlp.experts.", set()
        for target, source, rows in PROJECTIONS:
            for end, parts in ((".weight", ("_blocks", "_scales")), (".weight", ("",)), (".bias", ("_bias",))):
                names = [f"{prefix}{source}{part}" for part in parts]
                if not all(name in tensors for name in names):
                    continue
                name = f"{prefix}{target}{end}"
                kept[name], made[name] = _expert_part(name, [tensors[name] for name in names], rows)
                used.update(names)
        for name in used:
            del kept[name]
    return Gathered(kept, made)


PROJECTIONS = (
    ("gate_proj", "gate_up_proj", slice(0, None, 2)),
    ("up_proj", "gate_up_proj", slice(1, None, 2)),
    ("down_proj", "down_proj", slice(None)),
)
"""Ours, the folder's, and which of the folder's rows: those of gate and up take turns."""


def _expert_part(name: str, sources: list[Tensor], rows: slice) -> tuple[Tensor, Callable[[], Tensor]]:
    """What a tensor will be, and how it is made.

    Of blocks (E, N, K/32, 16) and scales (E, N, K/32), of plain values (E, K, N), or of biases (E, N).

    Raises:
        FormatError: they have other shapes or types.
    """
    shape: tuple[int, ...]
    packed = [tensor.type is TensorType.U8 for tensor in sources]
    match [tensor.shape for tensor in sources]:
        case [(E, N, n_blocks, 16), scales] if all(packed) and scales == (E, N, n_blocks):
            shape, type_ = (E, len(range(N)[rows]), n_blocks * TensorType.MXFP4.block_values), TensorType.MXFP4
            make = partial(_from_mxfp4, name, sources, rows)
        case [(E, K, N)] if not any(packed):
            shape, type_ = (E, len(range(N)[rows]), K), sources[0].type
            make = partial(_turned, name, sources[0], rows)
        case [(E, N)] if not any(packed):
            shape, type_ = (E, len(range(N)[rows])), sources[0].type
            make = partial(_chosen, name, sources[0], rows)
        case _:
            raise FormatError(
                "experts are neither MXFP4 in blocks and scales nor plain values",
                where=sources[0].name,
                found=", ".join(f"{tensor.type.name} {tensor.shape}" for tensor in sources),
                do="fetch the folder again, as its makers published it",
            )
    return Tensor(sources[0].name, type_, shape, sources[0].data), make


def _from_mxfp4(name: str, sources: list[Tensor], rows: slice) -> Tensor:
    """Blocks and scales, as rows of one type.

    Raises:
        FormatError: a scale is no number.
    """
    blocks, scales = (_chosen(tensor.name, tensor, rows) for tensor in sources)
    if scales.data.max(initial=0) == NO_NUMBER:
        raise FormatError("a scale is not a number", where=scales.name, do="fetch the file again")
    return mxfp4_from_blocks(blocks, scales, name)


def _turned(name: str, tensor: Tensor, rows: slice) -> Tensor:
    """Plain values (E, K, N) as rows (E, n, K)."""
    values = tensor.data.view(f"u{tensor.type.block_bytes}").reshape(tensor.shape)
    turned = np.ascontiguousarray(values[..., rows].swapaxes(1, 2))
    return Tensor(name, tensor.type, turned.shape, turned.reshape(-1).view(np.uint8))


def _chosen(name: str, tensor: Tensor, rows: slice) -> Tensor:
    """Values (E, N, …) without the other rows."""
    values = np.ascontiguousarray(tensor.data.view(f"u{tensor.type.block_bytes}").reshape(tensor.shape)[:, rows])
    return Tensor(name, tensor.type, values.shape, values.reshape(-1).view(np.uint8))


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
)
