"""Do two sets of facts describe one computation? Asked before a converted model gets its name."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from greenlight.errors import UnsupportedError
from greenlight.model.config import ModelConfig
from greenlight.model.rope import RopeConfig, rope_spec

NOT_COMPARED = {
    *("family", "norm_offset", "rope", "local_rope", "windows", "attention_scale", "max_seq_len"),
    *("full_head_dim", "full_n_kv_heads", "shared_ffn_dim"),
}
"""Names of designs, how norms are stored, and what is compared by what it comes to."""

TOLERANCE = 1e-6
"""Relative difference of numbers that float32 has rounded."""


def require_alike(source: ModelConfig, written: ModelConfig, where: str) -> None:
    """Refuse where the facts read back would compute something else than the source's.

    Raises:
        UnsupportedError: naming the first fact that differs.
    """
    for name, (expected, found) in differences(source, written).items():
        raise UnsupportedError(
            f"this format cannot say the model's {name}",
            where=f"{where}, {name}",
            found=f"read back as {_shown(found)}, the model has {_shown(expected)}",
            do="keep the model in the format it has; writing it so would be silently wrong",
        )


def differences(source: ModelConfig, written: ModelConfig) -> dict[str, tuple[Any, Any]]:
    """Facts that differ in what they compute: name to (source's, written's)."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in (field.name for field in fields(ModelConfig) if field.name not in NOT_COMPARED):
        a, b = getattr(source, name), getattr(written, name)
        if not _same(a, b):
            found[name] = (a, b)
    reach = min(source.max_seq_len, written.max_seq_len)
    kinds = (("full_head_dim", _head_dims), ("full_n_kv_heads", _kv_heads), ("shared_ffn_dim", _ffn_dims))
    for name, read in (("windows", _windows), ("attention_scale", _scale), *kinds):
        a, b = read(source, reach), read(written, reach)
        if not _same(a, b):
            found[name] = (a, b)
    local = any(source.windows) or any(written.windows)
    for name, a, b in (
        ("rope", source.rope, written.rope),
        *([("local_rope", source.local_rope or source.rope, written.local_rope or written.rope)] if local else []),
    ):
        head_dim = source.full_head_dim or source.head_dim if name == "rope" else source.head_dim
        if not _turns_alike(a, b, head_dim):
            found[name] = (a, b)
    return found


def _windows(config: ModelConfig, reach: int) -> tuple[int, ...]:
    """What each layer sees of a text that fits both models."""
    return tuple(min(config.window(layer) or reach, reach) for layer in range(config.n_layers))


def _head_dims(config: ModelConfig, reach: int) -> tuple[int, ...]:
    return tuple(map(config.head_dim_of, range(config.n_layers)))


def _kv_heads(config: ModelConfig, reach: int) -> tuple[int, ...]:
    return tuple(map(config.n_kv_heads_of, range(config.n_layers)))


def _ffn_dims(config: ModelConfig, reach: int) -> tuple[int, ...]:
    return tuple(map(config.ffn_dim_of, range(config.n_layers)))


def _scale(config: ModelConfig, reach: int) -> float:
    return config.head_dim**-0.5 if config.attention_scale is None else config.attention_scale


def _turns_alike(a: RopeConfig, b: RopeConfig, head_dim: int) -> bool:
    left, right = rope_spec(a, head_dim), rope_spec(b, head_dim)
    return _same(left.inv_freq, right.inv_freq) and _same(left.scale, right.scale)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "…"
