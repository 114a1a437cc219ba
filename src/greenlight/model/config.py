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

    full_head_dim: int | None = None
    """D of layers that see everything, where it differs."""

    full_n_kv_heads: int | None = None
    """K of layers that see everything, where it differs."""

    keys_as_values: bool = False
    """Whether layers that see everything have no v projection: what k projects, as it is, is normed as values."""

    value_norm: bool = False
    """Whether values are normed, each head by itself, without weights."""

    n_shared_layers: int = 0
    """Last layers without keys and values of their own: they read those of the last layer before them of their kind,
    which sees everything or has a window as they do."""

    shared_ffn_dim: int | None = None
    """F of those layers, where it differs."""

    per_layer_dim: int = 0
    """Length P of the vector that a second embedding gives each layer for each token; 0: there is none."""

    per_layer_vocab_size: int = 0
    """Tokens of that embedding."""

    layer_scales: bool = False
    """Whether each block's output is multiplied by a number of its own."""

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

    def head_dim_of(self, layer: int) -> int:
        """D of a layer."""
        return self.full_head_dim or self.head_dim if self.window(layer) is None else self.head_dim

    def n_kv_heads_of(self, layer: int) -> int:
        """K of a layer."""
        return self.full_n_kv_heads or self.n_kv_heads if self.window(layer) is None else self.n_kv_heads

    def ffn_dim_of(self, layer: int) -> int:
        """F of a layer."""
        return self.shared_ffn_dim or self.ffn_dim if layer >= self.n_own_layers else self.ffn_dim

    @property
    def n_own_layers(self) -> int:
        """Layers with keys and values of their own: the first ones."""
        return self.n_layers - self.n_shared_layers

    def kv_layer(self, layer: int) -> int:
        """The layer whose keys and values a layer reads: its own, or the last own one of its kind."""
        own = range(self.n_own_layers)
        return layer if layer in own else max(i for i in own if self.window(i) == self.window(layer))

    def has_values(self, layer: int) -> bool:
        """Whether a layer with keys of its own has a v projection beside them."""
        return not (self.keys_as_values and self.window(layer) is None)

    def __post_init__(self) -> None:
        for name in ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim", "vocab_size", "max_seq_len"):
            if getattr(self, name) < 1:
                value = getattr(self, name)
                raise ConfigError(f"{name} is {value}", found=f"{value}, expected 1 or more", do="use 1 or more")
        if self.n_heads % self.n_kv_heads:
            raise ConfigError(
                "query heads cannot be shared out among kv heads",
                found=f"n_heads {self.n_heads} is no multiple of n_kv_heads {self.n_kv_heads}",
            )
        self._check_kinds()
        if not min(self.n_experts, 1) <= self.n_experts_used <= self.n_experts:
            raise ConfigError(
                "a position cannot use so many experts", found=f"{self.n_experts_used} of {self.n_experts}"
            )
        if self.temperature_beta and self.temperature_length < 1:
            length = self.temperature_length
            raise ConfigError(
                f"temperature_length is {length}", found=f"{length}, expected 1 or more", do="use 1 or more"
            )
        if self.windows and (len(self.windows) != self.n_layers or any(w is not None and w < 1 for w in self.windows)):
            raise ConfigError(
                "windows do not fit the layers",
                found=f"{len(self.windows)} windows for {self.n_layers} layers, {self.windows}"[:200],
                do="give each layer a number of 1 or more, or none",
            )
        for name in ("attention_softcap", "final_softcap", "attention_scale"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(
                    f"{name} is {value}",
                    found=f"{value}, expected a number above 0",
                    do="use a number above 0, or leave it out",
                )
        if self.head_dim % 2:
            raise ConfigError(
                f"head_dim is {self.head_dim}, but rotary positions turn pairs",
                found=f"{self.head_dim}, expected an even number",
                do="use an even one",
            )
        if not (math.isfinite(self.norm_eps) and self.norm_eps > 0):
            raise ConfigError(
                f"norm_eps is {self.norm_eps}",
                found=f"{self.norm_eps}, expected a number above 0",
                do="use a small number above 0, such as 1e-5",
            )

    def _check_kinds(self) -> None:
        """Of layers that differ from one another."""
        if self.full_n_kv_heads is not None and (self.full_n_kv_heads < 1 or self.n_heads % self.full_n_kv_heads):
            raise ConfigError(
                "query heads cannot be shared out among kv heads",
                found=f"n_heads {self.n_heads} is no multiple of full_n_kv_heads {self.full_n_kv_heads}",
            )
        if self.full_head_dim is not None and (self.full_head_dim < 1 or self.full_head_dim % 2):
            raise ConfigError(
                f"full_head_dim is {self.full_head_dim}, but rotary positions turn pairs",
                found=f"{self.full_head_dim}, expected an even number above 0",
            )
        if min(self.per_layer_dim, self.n_shared_layers) < 0 or (self.per_layer_dim and self.per_layer_vocab_size < 1):
            raise ConfigError(
                "layers cannot share so few values, or have inputs of no length",
                found=f"n_shared_layers {self.n_shared_layers}, per_layer_dim {self.per_layer_dim}, "
                f"per_layer_vocab_size {self.per_layer_vocab_size}",
            )
        if self.n_shared_layers:
            own = {self.window(layer) for layer in range(self.n_own_layers)}
            alone = {self.window(layer) for layer in range(max(self.n_own_layers, 0), self.n_layers)} - own
            if alone:
                raise ConfigError(
                    "layers are to read the keys and values of a layer of their kind, and there is none",
                    found=f"{self.n_shared_layers} of {self.n_layers} layers share, windows {sorted(map(str, alone))}",
                )
