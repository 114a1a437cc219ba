"""What must be known to compute a model? One frozen set of facts, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from greenlight.errors import ConfigError
from greenlight.model.rope import RopeConfig
from greenlight.ops.protocol import Activation, ExpertWeights, QkNorm

Placement: TypeAlias = Literal["pre", "post", "sandwich"]


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
    """Feed-forward dim F, of each expert where there are experts."""

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

    qkv_bias: bool = False
    """Whether q, k and v projections have biases."""

    o_bias: bool = False
    """Whether the o projection has one."""

    mlp_bias: bool = False
    """Whether gate, up and down projections have biases."""

    norm_placement: Placement = "pre"
    """Whether norms stand before each branch, behind it, or on both sides."""

    norm_offset: float = 0.0
    """Added to every norm's weights as they are stored: 1 where files keep w and 1 + w is meant."""

    qk_norm: QkNorm | None = None
    """Whether queries and keys are normed, each head by itself or the projection as a whole."""

    attention_scale: float | None = None
    """Factor on q·k; None is head_dim ** -0.5."""

    attention_softcap: float | None = None
    """Bound that scores are bent towards."""

    final_softcap: float | None = None
    """Bound that logits are bent towards."""

    embedding_scale: float = 1.0
    """Factor on rows of the embedding."""

    windows: tuple[int | None, ...] = ()
    """Newest positions that each layer sees, its own included; None sees all. Empty: all layers see all."""

    local_rope: RopeConfig | None = None
    """How positions enter layers with a window, where it differs."""

    sinks: bool = False
    """Whether each query head has a learned score that joins its softmax and is dropped."""

    temperature_beta: float = 0.0
    """b in queries' factor 1 + b·ln(1 + floor(position / temperature_length)); 0: none."""

    temperature_length: int = 0
    """Positions whose factor is 1."""

    n_experts: int = 0
    """Experts E of each layer's feed-forward; 0: one feed-forward that all positions use."""

    n_experts_used: int = 0
    """Experts that a position uses."""

    expert_weights: ExpertWeights = "chosen"
    """Whether their weights are a softmax over the chosen experts' logits or over all."""

    router_bias: bool = False
    """Whether the router has biases."""

    def window(self, layer: int) -> int | None:
        """Newest positions that a layer sees; None: all."""
        return self.windows[layer] if self.windows else None

    def __post_init__(self) -> None:
        for name in ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim", "vocab_size", "max_seq_len"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", do="use 1 or more")
        if self.n_heads % self.n_kv_heads:
            raise ConfigError(
                "query heads cannot be shared out among kv heads",
                found=f"n_heads {self.n_heads} is no multiple of n_kv_heads {self.n_kv_heads}",
            )
        if not min(self.n_experts, 1) <= self.n_experts_used <= self.n_experts:
            raise ConfigError(
                "a position cannot use so many experts", found=f"{self.n_experts_used} of {self.n_experts}"
            )
        if self.temperature_beta and self.temperature_length < 1:
            raise ConfigError(f"temperature_length is {self.temperature_length}", do="use 1 or more")
        if self.windows and (len(self.windows) != self.n_layers or any(w is not None and w < 1 for w in self.windows)):
            raise ConfigError(
                "windows do not fit the layers",
                found=f"{len(self.windows)} windows for {self.n_layers} layers, {self.windows}"[:200],
                do="give each layer a number of 1 or more, or none",
            )
        for name in ("attention_softcap", "final_softcap", "attention_scale"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}", do="use a number above 0, or leave it out")
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}, but rotary positions turn pairs", do="use an even one")
        if not (math.isfinite(self.norm_eps) and self.norm_eps > 0):
            raise ConfigError(f"norm_eps is {self.norm_eps}", do="use a small number above 0, such as 1e-5")
