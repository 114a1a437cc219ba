"""Where do files say how positions enter attention? In config.json's old and new form, and in GGUF keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor
from greenlight.model.fields import Fields
from greenlight.model.rope import (
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    PartialScaling,
    RopeConfig,
    RopeScaling,
    YarnScaling,
    yarn_attention_factor,
)

DEFAULT_THETA = 10_000.0


def rope_from_hf(
    fields: Fields, max_seq_len: int, theta: float = DEFAULT_THETA, read: Sequence[str] = ()
) -> RopeConfig:
    """Read `rope_parameters` (transformers 5), or `rope_scaling` beside `rope_theta` (before).

    Args:
        fields: of config.json.
        max_seq_len: positions the model was made for.
        theta: where the file says nothing.
        read: parameters that are for the family to read.

    Raises:
        UnsupportedError: a way of stretching, or a parameter of one, that is not computed here.
        FormatError: a parameter is missing or impossible, or the two forms contradict each other.
    """
    theta = fields.number("rope_theta", theta)
    fields.refuse_unless("partial_rotary_factor", 1.0, 1)
    old, new = fields.group("rope_scaling"), fields.group("rope_parameters")
    if old and new and fields.get("rope_scaling") != fields.get("rope_parameters"):
        raise FormatError(
            "rope_scaling and rope_parameters contradict each other",
            where=fields.where,
            found=f"{fields.get('rope_scaling')} and {fields.get('rope_parameters')}",
        )
    params = new or old
    if params is None:
        return RopeConfig(rope_theta=theta)
    for name in read:
        params.get(name)
    return _rope_of(params, theta, _original(fields, params, max_seq_len), max_seq_len)


def ropes_from_hf(
    fields: Fields, max_seq_len: int, *, theta: float, local_theta: float
) -> tuple[RopeConfig, RopeConfig]:
    """How positions enter layers that see everything, and layers with a window.

    Read from `rope_parameters` by kind of layer (transformers 5), or from `rope_theta`, `rope_local_base_freq` and
    `rope_scaling`, which is for the former alone (before).

    Args:
        fields: of config.json.
        max_seq_len: positions the model was made for.
        theta: of layers that see everything, where the file says nothing.
        local_theta: of layers with a window, likewise.

    Raises:
        UnsupportedError, FormatError: as `rope_from_hf`.
    """
    theta = fields.number("rope_theta", theta)
    local_theta = fields.number("rope_local_base_freq", local_theta)
    fields.refuse_unless("partial_rotary_factor", 1.0, 1)
    fields.refuse_unless("original_max_position_embeddings")  # outside the layers' own, transformers does not read it
    old, new = fields.group("rope_scaling"), fields.group("rope_parameters")
    if new is None:
        full = RopeConfig(rope_theta=theta)
        if old is not None:
            full = _layer_rope(old, theta, max_seq_len)
        return full, RopeConfig(rope_theta=local_theta)
    if old is not None:
        raise FormatError("rope_scaling stands beside rope_parameters", where=fields.where, do="keep one of the two")
    found = []
    for kind, base in (("full_attention", theta), ("sliding_attention", local_theta)):
        params = new.group(kind)
        found.append(RopeConfig(rope_theta=base) if params is None else _layer_rope(params, base, max_seq_len))
    if unread := new.unread():
        raise new.wrong(unread[0], new.get(unread[0]), "full_attention or sliding_attention")
    return found[0], found[1]


def _layer_rope(params: Fields, theta: float, max_seq_len: int) -> RopeConfig:
    """The rope of one kind of layer."""
    # transformers 5.23 looks for it beside the kinds of layers, where no file has it: what such a file means is open.
    params.refuse_unless("truncate", True)
    return _rope_of(params, theta, params.integer("original_max_position_embeddings", max_seq_len), max_seq_len)


def _original(fields: Fields, params: Fields, max_seq_len: int) -> int:
    """Positions before stretching: of the config itself, or of its rope parameters."""
    inner = params.integer("original_max_position_embeddings", max_seq_len)
    return fields.integer("original_max_position_embeddings", inner)


def _rope_of(params: Fields, theta: float, original: int, max_seq_len: int) -> RopeConfig:
    kind = params.text("rope_type", params.text("type", "default"))
    theta = params.number("rope_theta", theta)
    if kind != "proportional":
        params.refuse_unless("partial_rotary_factor", 1.0, 1)
    scaling = _hf_scaling(params, kind, original, max_seq_len)
    params.get("finetuned")  # how the model was trained, not how it runs
    if unread := params.unread():
        raise UnsupportedError(
            f"rope parameter {unread[0]} is not known for type {kind!r}",
            where=f"{params.where}, {unread[0]}",
            found=repr(params.get(unread[0])),
        )
    return RopeConfig(rope_theta=theta, scaling=scaling)


def _hf_scaling(params: Fields, kind: str, original: int, max_seq_len: int) -> RopeScaling | None:
    match kind:
        case "default":
            return None
        case "linear":
            return LinearScaling(factor=params.number("factor"))
        case "proportional":
            share = params.number("partial_rotary_factor", 1.0)
            return PartialScaling(share=share, factor=params.number("factor", 1.0))
        case "llama3":
            return Llama3Scaling(
                factor=params.number("factor"),
                low_freq_factor=params.number("low_freq_factor"),
                high_freq_factor=params.number("high_freq_factor"),
                original_max_seq_len=original,
            )
        case "yarn":
            factor = params.number("factor", max_seq_len / original)
            mscale, mscale_all_dim = params.number("mscale", 0.0), params.number("mscale_all_dim", 0.0)
            return YarnScaling(
                factor=factor,
                original_max_seq_len=original,
                attention_factor=params.number(
                    "attention_factor", yarn_attention_factor(factor, mscale, mscale_all_dim)
                ),
                beta_fast=params.number("beta_fast", 0.0) or 32.0,  # transformers reads 0 as absent
                beta_slow=params.number("beta_slow", 0.0) or 1.0,
                truncate=params.flag("truncate", True),
            )
    raise _unknown(params.where, kind)


def rope_from_gguf(
    fields: Fields, head_dim: int, max_seq_len: int, factors: Tensor | None, *, log_multiplier: bool = False
) -> RopeConfig:
    """Read {arch}.rope.* keys and the `rope_freqs` tensor.

    Args:
        fields: of the file.
        head_dim: of the heads, all of it rotated.
        max_seq_len: positions the model was made for.
        factors: the tensor, where the file has it.
        log_multiplier: whether `yarn_log_multiplier` is what Hugging Face calls mscale_all_dim, beside an mscale of 1.

    Raises:
        UnsupportedError: a way of stretching, or a parameter of one, that is not computed here.
        FormatError: a parameter is missing or impossible.
    """
    theta = fields.number("rope.freq_base", DEFAULT_THETA)
    fields.refuse_unless("rope.dimension_count", head_dim)
    fields.refuse_unless("rope.scale_linear", 1.0)  # the key before rope.scaling.*
    fields.get("rope.scaling.finetuned")
    original = fields.integer("rope.scaling.original_context_length", max_seq_len)
    kind = fields.text("rope.scaling.type", "none")
    scaling: RopeScaling | None = None
    match kind:
        case "none":
            fields.refuse_unless("rope.scaling.factor", 1.0)
        case "linear":
            scaling = LinearScaling(factor=fields.number("rope.scaling.factor"))
        case "yarn":
            factor = fields.number("rope.scaling.factor")
            if log_multiplier:
                sharper = yarn_attention_factor(factor, 1.0, fields.number("rope.scaling.yarn_log_multiplier", 0.0))
            else:
                fields.refuse_unless("rope.scaling.yarn_log_multiplier", 0.0)
                sharper = yarn_attention_factor(factor)
            sharper *= fields.number("rope.scaling.attn_factor", 1.0)
            _refuse_two_readings(fields, sharper)
            scaling = YarnScaling(
                factor=factor,
                original_max_seq_len=original,
                attention_factor=sharper,
                beta_fast=fields.number("rope.scaling.yarn_beta_fast", 32.0),
                beta_slow=fields.number("rope.scaling.yarn_beta_slow", 1.0),
            )
        case _:
            raise _unknown(f"{fields.where}, {fields.prefix}rope.scaling.type", kind)
    if factors is None:
        return RopeConfig(rope_theta=theta, scaling=scaling)
    if scaling is not None:
        raise UnsupportedError(
            "rope_freqs beside another way of stretching is not supported", where=fields.where, found=kind
        )
    values = np.atleast_1d(dequantize(factors)).astype(float).tolist()
    return RopeConfig(rope_theta=theta, scaling=FactorScaling(factors=tuple(values)))


def _refuse_two_readings(fields: Fields, attention_factor: float) -> None:
    """Keys that llama.cpp's converter copies out of config.json, and that llama.cpp itself overrules or leaves alone.

    OLMo 3 says its `attention_factor`, which is the one that follows from its factor (src/llama-context.cpp, where
    `yarn_attn_factor` is computed anew): then all agree. Any other would be read in two ways.
    """
    fields.refuse_unless("rope.scaling.yarn_ext_factor", 1.0)
    said = fields.number("rope.scaling.yarn_attn_factor", attention_factor)
    if abs(said - attention_factor) > 1e-4 * attention_factor:
        raise UnsupportedError(
            "the file says two things of how YaRN sharpens attention",
            where=f"{fields.where}, {fields.prefix}rope.scaling.yarn_attn_factor",
            found=f"{said:g}, the factor of the stretching makes it {attention_factor:g}",
            do="use the model's Hugging Face folder, or a file without this key",
        )


def _unknown(where: str, kind: str) -> UnsupportedError:
    return UnsupportedError(
        f"rope type {kind!r} is not supported",
        where=where,
        found=f"{kind}; supported are default, linear, llama3 and yarn",
        do="use another model; computing this one without it would be silently wrong",
    )
