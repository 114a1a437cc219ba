"""How do GGUF files say what a Gemma 4 is? Layer by layer where layers differ, and angles as a factor of each pair.

Keys and tensors are those that ggml-org/llama.cpp reads (src/models/gemma4.cpp, src/llama-model.cpp).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError, UnsupportedError
from greenlight.model.config import ModelConfig
from greenlight.model.family import Weights
from greenlight.model.fields import MAX_LAYERS, Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf
from greenlight.model.rope import FactorScaling, LinearScaling, PartialScaling, RopeConfig, YarnScaling, rope_spec
from greenlight.model.rope_sources import DEFAULT_THETA, rope_from_gguf
from greenlight.model.sizes import all_read, of_each_layer, windows_from_gguf

ARCHITECTURE = "gemma4"

STILL = 1e30
"""The factor of a pair that does not turn: its angle is divided by so much."""

STILL_FROM = 1e20
"""No factor that stretches a context comes near it."""

DEFAULT_SOFTCAP = 30.0
"""Of logits where a file says nothing; 0 says that there is none."""


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """gemma4.* keys, and what the tensors there are tell: values of keys' own, scales of layers, a head."""
    _refuse_experts(fields)
    dim, n_layers = fields.integer("embedding_length"), fields.integer("block_count", most=MAX_LAYERS)
    max_seq_len, head_dim = fields.integer("context_length"), fields.integer("attention.key_length_swa")
    full_head_dim = fields.integer("attention.key_length")
    fields.refuse_unless("attention.value_length", full_head_dim)
    fields.refuse_unless("attention.value_length_swa", head_dim)
    if fields.integer("rope.dimension_count_swa", full_head_dim) != head_dim:
        raise fields.wrong("rope.dimension_count_swa", fields.get("rope.dimension_count_swa"), str(head_dim))
    windows = _windows(fields, n_layers)
    n_shared = _count(fields, "attention.shared_kv_layers")
    if n_shared >= n_layers:
        raise fields.wrong("attention.shared_kv_layers", n_shared, f"fewer than {n_layers} layers, which is all")
    local = [bool(windows) and windows[layer] is not None for layer in range(n_layers)]
    kv_heads = of_each_layer(fields, "attention.head_count_kv", n_layers)
    n_kv_heads = _one("attention.head_count_kv", fields, (n for n, seen in zip(kv_heads, local, strict=True) if seen))
    of_full = _one("attention.head_count_kv", fields, (n for n, seen in zip(kv_heads, local, strict=True) if not seen))
    widths = of_each_layer(fields, "feed_forward_length", n_layers)
    ffn_dim = _one("feed_forward_length", fields, widths[: n_layers - n_shared])
    shared_ffn_dim = _one("feed_forward_length", fields, widths[n_layers - n_shared :]) if n_shared else None
    embedding = tensors.get("token_embd.weight")
    vocab_size = fields.integer("vocab_size", embedding.shape[0] if embedding else None)
    per_layer_dim = _count(fields, "embedding_length_per_layer_input")
    softcap = fields.number("final_logit_softcapping", DEFAULT_SOFTCAP)
    config = ModelConfig(
        family="gemma4",
        dim=dim,
        n_layers=n_layers,
        n_heads=fields.integer("attention.head_count"),
        n_kv_heads=n_kv_heads or of_full or 0,
        head_dim=head_dim,
        ffn_dim=ffn_dim or 0,
        vocab_size=vocab_size,
        max_seq_len=max_seq_len,
        norm_eps=fields.number("attention.layer_norm_rms_epsilon"),
        tied_head="output.weight" not in tensors,
        rope=_rope(fields, tensors, full_head_dim, max_seq_len),
        local_rope=RopeConfig(rope_theta=fields.number("rope.freq_base_swa", DEFAULT_THETA)),
        activation="gelu_tanh",
        norm_placement="sandwich",
        embedding_scale=dim**0.5,
        qk_norm="head",
        value_norm=True,
        attention_scale=1.0,
        final_softcap=softcap or None,
        windows=windows,
        full_head_dim=full_head_dim,
        full_n_kv_heads=of_full if of_full != n_kv_heads else None,
        keys_as_values=_keys_as_values(fields, tensors, local[: n_layers - n_shared]),
        n_shared_layers=n_shared,
        shared_ffn_dim=shared_ffn_dim if shared_ffn_dim != ffn_dim else None,
        per_layer_dim=per_layer_dim,
        per_layer_vocab_size=vocab_size if per_layer_dim else 0,
        layer_scales=any(name.endswith(".layer_output_scale.weight") for name in tensors),
    )
    all_read(fields)
    if (layer := _reads_another(config)) is not None:
        raise UnsupportedError(
            f"layer {layer} would read keys and values of a layer of the other kind",
            where=f"{fields.where}, {fields.prefix}attention.shared_kv_layers",
            found=f"{n_shared} of {n_layers} layers share; readers take the last two others, one with a window first",
        )
    return config


def not_run(where: str) -> UnsupportedError:
    """The refusal of the one Gemma 4 with experts."""
    return UnsupportedError(
        "Gemma 4 26B-A4B is not run here",
        where=where,
        found="experts beside a dense feed-forward, with norms of their own and a router that norms what it reads",
        do="use Gemma 4 E2B, E4B, 12B or 31B, or put the model behind an endpoint: docs/endpoints.md",
    )


def _refuse_experts(fields: Fields) -> None:
    if not fields.unset("expert_count"):
        raise not_run(f"{fields.where}, {fields.prefix}expert_count")
    for name in ("expert_used_count", "expert_feed_forward_length"):
        fields.get(name)  # of experts, which there are none of


def _count(fields: Fields, name: str) -> int:
    """A number that may be 0, as it is where the file says nothing."""
    return 0 if fields.unset(name) else fields.integer(name)


def _windows(fields: Fields, n_layers: int) -> tuple[int | None, ...]:
    pattern = fields.get("attention.sliding_window_pattern")
    if not isinstance(pattern, np.ndarray):
        raise fields.wrong("attention.sliding_window_pattern", pattern, "a list of truth values, one a layer")
    windows = windows_from_gguf(fields, n_layers, every=0)
    if pattern.any() and not windows:
        raise fields.wrong("attention.sliding_window", fields.get("attention.sliding_window"), "the width of windows")
    return windows


def _one(name: str, fields: Fields, values: Iterable[int]) -> int | None:
    """What layers of one kind have in common; None where there are no such layers."""
    found = sorted(set(values))
    if len(found) > 1:
        raise UnsupportedError(
            f"layers of one kind differ in {name}",
            where=f"{fields.where}, {fields.prefix}{name}",
            found=str(found)[:80],
        )
    return found[0] if found else None


def _keys_as_values(fields: Fields, tensors: Weights, local: list[bool]) -> bool:
    """Whether layers that see everything take keys for values too: those with keys of their own lack a v projection."""
    there = {f"blk.{layer}.attn_v.weight" in tensors for layer, seen in enumerate(local) if not seen}
    if len(there) > 1:
        raise UnsupportedError(
            "some layers that see everything have values of their own, others not",
            where=f"{fields.where}, blk.*.attn_v.weight",
        )
    return there == {False}


def _rope(fields: Fields, tensors: Weights, head_dim: int, max_seq_len: int) -> RopeConfig:
    """How positions enter layers that see everything: by a factor of each pair, most often of a share that turns."""
    factors = tensors.get("rope_freqs.weight")
    if factors is None or factors.shape != (head_dim // 2,):
        raise FormatError(
            "the factors of positions do not fit the heads" if factors else "the factors of positions are missing",
            where=f"{fields.where}, rope_freqs.weight",
            found=f"{factors.shape if factors else 'no tensor'}, expected ({head_dim // 2},), one for each pair",
            do="use a file that was converted by a current llama.cpp, or greenlight convert",
        )
    rope = rope_from_gguf(fields, head_dim, max_seq_len, factors)
    assert isinstance(rope.scaling, FactorScaling)
    values = np.array(rope.scaling.factors)
    turning = int((values < STILL_FROM).sum())
    first = float(values[0]) if turning else 1.0
    if not np.allclose(values[:turning], first, rtol=1e-6, atol=0) or (values[turning:] < STILL_FROM).any():
        return rope
    if turning == len(values):
        return replace(rope, scaling=LinearScaling(factor=first) if first != 1 else None)
    return replace(rope, scaling=PartialScaling(share=_share(turning, head_dim), factor=first))


def _share(turning: int, head_dim: int) -> float:
    """A share of the pairs that rounds down to so many."""
    exact = 2 * turning / head_dim
    return exact if int(exact * head_dim // 2) == turning else (2 * turning + 1) / head_dim


def _reads_another(config: ModelConfig) -> int | None:
    """The first layer for which readers of GGUF files would take keys and values of a layer of the other kind.

    They know two layers to take them from: the last with keys of its own where everything is seen, else the one before.
    """
    for layer in range(config.n_own_layers, config.n_layers):
        if config.kv_layer(layer) != config.n_own_layers - (1 if config.window(layer) is None else 2):
            return layer
    return None


# The other way


def metadata(config: ModelConfig) -> dict[str, Any]:
    """gemma4.* keys."""
    _refuse(config)
    full_head_dim, every = config.full_head_dim or config.head_dim, range(config.n_layers)
    keys = gguf_keys(replace(config, rope=RopeConfig(rope_theta=config.rope.rope_theta)), ARCHITECTURE)
    mine: dict[str, Any] = {
        "attention.key_length": full_head_dim,
        "attention.value_length": full_head_dim,
        "attention.key_length_swa": config.head_dim,
        "attention.value_length_swa": config.head_dim,
        "rope.dimension_count": full_head_dim,
        "rope.dimension_count_swa": config.head_dim,
        "attention.head_count_kv": _alike([config.n_kv_heads_of(layer) for layer in every]),
        "feed_forward_length": _alike([config.ffn_dim_of(layer) for layer in every]),
        "attention.sliding_window_pattern": [config.window(layer) is not None for layer in every],
        "attention.shared_kv_layers": config.n_shared_layers,
        "embedding_length_per_layer_input": config.per_layer_dim,
    }
    if config.final_softcap is None:
        mine["final_logit_softcapping"] = 0.0  # silence would say 30
    return {"general.architecture": ARCHITECTURE, **keys, **{f"{ARCHITECTURE}.{key}": mine[key] for key in mine}}


def _alike(sizes: list[int]) -> int | list[int]:
    return sizes if len(set(sizes)) > 1 else sizes[0]


def _refuse(config: ModelConfig) -> None:
    """What the architecture has no key or tensor for, or what its readers take for granted."""
    local_rope = config.local_rope or config.rope
    layer = _reads_another(config)
    for wrong, what, found in (
        (config.qkv_bias or config.o_bias, "that attention has biases", "attention_bias"),
        (not any(config.windows), "that no layer has a window", "layer_types"),
        (config.n_own_layers < 2, "that fewer than 2 layers have keys of their own", "num_kv_shared_layers"),
        (layer is not None, f"whose keys layer {layer} reads", f"{config.n_shared_layers} layers share"),
        (local_rope.scaling is not None, "that layers with a window are stretched", str(local_rope.scaling)),
        (isinstance(config.rope.scaling, YarnScaling), "YaRN's positions", str(config.rope.scaling)),
        (
            config.per_layer_dim and config.per_layer_vocab_size != config.vocab_size,
            "inputs by layer of more tokens than there are",
            f"vocab_size_per_layer_input {config.per_layer_vocab_size}, vocab_size {config.vocab_size}",
        ),
    ):
        if wrong:
            raise refuse_in_gguf(ARCHITECTURE, what, found)


def pair_factors(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """The tensor `rope_freqs`: what the angle of each pair is divided by in layers that see everything, (D / 2,)."""
    head_dim, scaling = config.full_head_dim or config.head_dim, config.rope.scaling
    if isinstance(scaling, FactorScaling):
        return {"rope_freqs.weight": np.array(scaling.factors, np.float32)}
    plain = np.array(rope_spec(RopeConfig(rope_theta=config.rope.rope_theta), head_dim).inv_freq)
    turned = np.array(rope_spec(config.rope, head_dim).inv_freq)
    factors = np.divide(plain, turned, out=np.full_like(plain, STILL), where=turned > 0)
    return {"rope_freqs.weight": factors.astype(np.float32)}
