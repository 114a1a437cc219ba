"""At which angles do positions turn queries and keys? Rotary embeddings and the ways of stretching them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import ConfigError
from greenlight.ops.protocol import RopeSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearScaling:
    """All angles divided by one factor (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float
    """How many times longer the context is made."""

    def __post_init__(self) -> None:
        _require_positive("rope.factor", self.factor)


@dataclass(frozen=True, kw_only=True, slots=True)
class Llama3Scaling:
    """Long waves slowed, short ones kept, those between blended (Grattafiori et al. 2024, arXiv:2407.21783)."""

    factor: float
    """Divisor of the long waves."""

    low_freq_factor: float
    """Waves longer than original_max_seq_len / this are slowed in full."""

    high_freq_factor: float
    """Waves shorter than original_max_seq_len / this are kept."""

    original_max_seq_len: int
    """Context length before stretching."""

    def __post_init__(self) -> None:
        _require_positive("rope.factor", self.factor)
        _require_positive("rope.low_freq_factor", self.low_freq_factor)
        if self.high_freq_factor <= self.low_freq_factor:
            raise ConfigError(
                "rope.high_freq_factor is not above rope.low_freq_factor",
                found=f"{self.high_freq_factor} and {self.low_freq_factor}",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class YarnScaling:
    """Interpolation by wavelength and a sharper softmax (Peng et al. 2023, arXiv:2309.00071)."""

    factor: float
    """How many times longer the context is made."""

    original_max_seq_len: int
    """Context length before stretching."""

    attention_factor: float
    """Factor on cos and sin."""

    beta_fast: float = 32.0
    """Dims that turn more often than this over the original context are kept."""

    beta_slow: float = 1.0
    """Dims that turn less often than this are interpolated in full."""

    truncate: bool = True
    """Whether the borders between those dims are rounded outwards to whole dims."""

    def __post_init__(self) -> None:
        for name in ("factor", "attention_factor", "beta_fast", "beta_slow"):
            _require_positive(f"rope.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorScaling:
    """Each pair's angle divided by its own factor, as GGUF files carry them in `rope_freqs`."""

    factors: tuple[float, ...]
    """One divisor per rotated pair."""

    def __post_init__(self) -> None:
        for factor in self.factors:
            _require_positive("rope_freqs", factor)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialScaling:
    """Only the fastest pairs turn, at the angles that they would have if all did (Gemma 4's "proportional")."""

    share: float
    """Of the pairs, rounded down."""

    factor: float = 1.0
    """Divisor of their angles."""

    def __post_init__(self) -> None:
        _require_positive("rope.factor", self.factor)
        if not 0 <= self.share <= 1:
            raise ConfigError(
                f"a share of {self.share} of the pairs cannot turn",
                found=f"{self.share}, expected 0 to 1",
                do="use a number from 0 to 1",
            )


RopeScaling: TypeAlias = LinearScaling | Llama3Scaling | YarnScaling | FactorScaling | PartialScaling


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeConfig:
    """How positions enter attention."""

    rope_theta: float = 10_000.0
    """Base of the angles: pair i of n turns by rope_theta ** (-i / n) a position."""

    scaling: RopeScaling | None = None
    """How angles are changed to reach a longer context, if they are."""

    def __post_init__(self) -> None:
        _require_positive("rope_theta - 1", self.rope_theta - 1)


def rope_spec(config: RopeConfig, head_dim: int) -> RopeSpec:
    """Angles for heads of head_dim, all of it rotated, rounded to float32.

    Raises:
        ConfigError: `rope_freqs` has another length than the heads need, or an angle is beyond float32.
    """
    inv_freq = config.rope_theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    scaling = config.scaling
    scale = 1.0
    match scaling:
        case None:
            pass
        case LinearScaling():
            inv_freq = inv_freq / scaling.factor
        case Llama3Scaling():
            inv_freq = _llama3(inv_freq, scaling)
        case YarnScaling():
            inv_freq = _yarn(inv_freq, config.rope_theta, scaling)
            scale = scaling.attention_factor
        case PartialScaling():
            inv_freq[int(scaling.share * head_dim // 2) :] = 0.0
            inv_freq = inv_freq / scaling.factor
        case FactorScaling():
            if len(scaling.factors) != len(inv_freq):
                raise ConfigError(
                    "rope_freqs does not fit the heads",
                    found=f"{len(scaling.factors)} factors, expected {len(inv_freq)}, half of head_dim",
                )
            inv_freq = inv_freq / np.array(scaling.factors)
    if inv_freq.max() > np.finfo(np.float32).max:
        raise ConfigError("rope angles are beyond float32", found=f"{inv_freq.max():.3g} radians a position")
    return RopeSpec(inv_freq=tuple(inv_freq.astype(np.float32).tolist()), scale=scale)


def yarn_attention_factor(factor: float, mscale: float | None = None, mscale_all_dim: float | None = None) -> float:
    """YaRN's factor on cos and sin where the config does not state it (paper, section 3.4)."""

    def sharper(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    return sharper(mscale) / sharper(mscale_all_dim) if mscale and mscale_all_dim else sharper(1.0)


def _llama3(inv_freq: Floats, scaling: Llama3Scaling) -> Floats:
    turns = scaling.original_max_seq_len * inv_freq / (2 * math.pi)  # over the original context
    blend = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept: Floats = np.clip(blend, 0.0, 1.0)
    return (1 - kept) * inv_freq / scaling.factor + kept * inv_freq


def _yarn(inv_freq: Floats, theta: float, scaling: YarnScaling) -> Floats:
    n_pairs = len(inv_freq)

    def pair_that_turns(times: float) -> float:
        return n_pairs * math.log(scaling.original_max_seq_len / (times * 2 * math.pi)) / math.log(theta)

    low, high = pair_that_turns(scaling.beta_fast), pair_that_turns(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, 2 * n_pairs - 1)
    width = high - low or 0.001  # the reference implementation's guard against dividing by 0
    interpolated: Floats = np.clip((np.arange(n_pairs) - low) / width, 0.0, 1.0)
    return interpolated * inv_freq / scaling.factor + (1 - interpolated) * inv_freq


def _require_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(
            f"{name} is {value}, which is no factor", found=f"{value}, expected a number above 0", do="use one above 0"
        )
