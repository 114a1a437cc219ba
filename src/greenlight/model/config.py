"""What must be known to compute a model? One frozen set of facts, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenlight.errors import ConfigError
from greenlight.model.rope import RopeConfig
from greenlight.ops.protocol import Activation


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Sizes and switches of one model, in the names of this project, whatever file they came from."""

    family: str
    """Which file of `model/families` computes it."""

    dim: int
    """Model dim C: length of each position's vector between blocks."""

    n_layers: int
    """Number of blocks."""

    n_heads: int
    """Query heads H."""

    n_kv_heads: int
    """Key and value heads K; each serves n_heads / n_kv_heads query heads."""

    head_dim: int
    """D; not always dim / n_heads."""

    ffn_dim: int
    """Feed-forward dim F."""

    vocab_size: int
    """Number of tokens V."""

    max_seq_len: int
    """Positions the model was made for."""

    norm_eps: float
    """Added to the mean square in norms."""

    rope: RopeConfig
    """How positions enter attention."""

    activation: Activation = "silu"
    """The gate's nonlinearity."""

    tied_head: bool = False
    """Whether the embedding is also the output linear."""

    attention_bias: bool = False
    """Whether q, k, v and o projections have biases."""

    mlp_bias: bool = False
    """Whether gate, up and down projections have biases."""

    def __post_init__(self) -> None:
        for name in ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim", "vocab_size", "max_seq_len"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", do="use 1 or more")
        if self.n_heads % self.n_kv_heads:
            raise ConfigError(
                "query heads cannot be shared out among kv heads",
                found=f"n_heads {self.n_heads} is no multiple of n_kv_heads {self.n_kv_heads}",
            )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}, but rotary positions turn pairs", do="use an even one")
        if not (math.isfinite(self.norm_eps) and self.norm_eps > 0):
            raise ConfigError(f"norm_eps is {self.norm_eps}", do="use a small number above 0, such as 1e-5")
