"""Which sizes do all families have, and where do files say them? In config.json and in GGUF keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from greenlight.errors import UnsupportedError
from greenlight.model.config import ModelConfig
from greenlight.model.family import Weights
from greenlight.model.fields import MAX_LAYERS, MOST, Fields

_ATTENTION_BIASES = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
_MLP_BIASES = tuple(f"ffn_{name}{kind}.bias" for kind in ("", "_exps") for name in ("gate", "up", "down"))


class Sizes(TypedDict):
    """What ModelConfig asks of every family."""

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn_dim: int
    vocab_size: int
    max_seq_len: int
    norm_eps: float
    tied_head: bool


class Biases(TypedDict):
    """Which linears have one."""

    qkv_bias: bool
    o_bias: bool
    mlp_bias: bool


def sizes_from_hf(
    fields: Fields,
    *,
    max_seq_len: int,
    n_heads: int | None = None,
    n_kv_heads: int | None = None,
    head_dim: int | None = None,
    vocab_size: int | None = None,
    norm_eps: float = 1e-6,
    tied_head: bool = False,
) -> Sizes:
    """Sizes of config.json.

    Args:
        fields: of config.json.
        max_seq_len: where the file says nothing, as all that follow: what transformers takes then.
        n_heads: None must be said.
        n_kv_heads: None is as many as query heads.
        head_dim: None is the model dim over the heads.
        vocab_size: None must be said.
        norm_eps: of all norms.
        tied_head: whether the embedding is the head.
    """
    dim, n_heads = fields.integer("hidden_size"), fields.integer("num_attention_heads", n_heads)
    return Sizes(
        dim=dim,
        n_layers=fields.integer("num_hidden_layers", most=MAX_LAYERS),
        n_heads=n_heads,
        n_kv_heads=fields.integer("num_key_value_heads", n_kv_heads or n_heads),
        head_dim=fields.integer("head_dim", head_dim or dim // n_heads),
        ffn_dim=fields.integer("intermediate_size"),
        vocab_size=fields.integer("vocab_size", vocab_size),
        max_seq_len=fields.integer("max_position_embeddings", max_seq_len),
        norm_eps=fields.number("rms_norm_eps", norm_eps),
        tied_head=fields.flag("tie_word_embeddings", tied_head),
    )


class Experts(TypedDict):
    """How many there are of a layer's feed-forward."""

    n_experts: int
    n_experts_used: int


def experts_from_hf(fields: Fields, *, count: Sequence[str], used: int) -> Experts:
    """Experts of config.json.

    Args:
        fields: of config.json.
        count: names of the field, of which one is there.
        used: by a position, where the file says nothing.

    Raises:
        FormatError: none of the names is there, or two that contradict each other.
    """
    for name in ("router_aux_loss_coef", "router_jitter_noise", "output_router_logits"):
        fields.get(name)  # of training, or of what is printed
    found = {name: fields.integer(name) for name in count if fields.get(name) is not None} or {
        count[0]: fields.integer(count[0])
    }
    if len(set(found.values())) > 1:
        raise fields.wrong(count[0], found, "one number of experts")
    return Experts(n_experts=next(iter(found.values())), n_experts_used=fields.integer("num_experts_per_tok", used))


def experts_from_gguf(fields: Fields) -> Experts:
    """Experts of a GGUF file; none where it counts none."""
    if fields.unset("expert_count"):
        fields.refuse_unless("expert_used_count", 0)
        return Experts(n_experts=0, n_experts_used=0)
    return Experts(n_experts=fields.integer("expert_count"), n_experts_used=fields.integer("expert_used_count"))


def sizes_from_gguf(fields: Fields, tensors: Weights, *, experts: bool = False) -> Sizes:
    """Sizes of a GGUF file: its keys, and a tied head from the tensors there are.

    Args:
        fields: of the file.
        tensors: of the file.
        experts: whether the family may have any.
    """
    for name in () if experts else ("expert_count", "expert_used_count"):
        fields.refuse_unless(name, 0)
    dim, n_heads = fields.integer("embedding_length"), fields.integer("attention.head_count")
    head_dim = fields.integer("attention.key_length", dim // n_heads)
    fields.refuse_unless("attention.value_length", head_dim)
    embedding = tensors.get("token_embd.weight")
    return Sizes(
        dim=dim,
        n_layers=fields.integer("block_count", most=MAX_LAYERS),
        n_heads=n_heads,
        n_kv_heads=fields.integer("attention.head_count_kv", n_heads),
        head_dim=head_dim,
        ffn_dim=fields.integer("feed_forward_length"),
        vocab_size=fields.integer("vocab_size", embedding.shape[0] if embedding else None),
        max_seq_len=fields.integer("context_length"),
        norm_eps=fields.number("attention.layer_norm_rms_epsilon"),
        tied_head="output.weight" not in tensors,
    )


def of_each_layer(fields: Fields, name: str, n_layers: int) -> tuple[int, ...]:
    """A size of every layer of a GGUF file: one number that all share, or a list of each layer's own."""
    value = fields.get(name)
    if not isinstance(value, np.ndarray):
        return (fields.integer(name),) * n_layers
    if value.dtype.kind not in "iu" or value.shape != (n_layers,) or not all(1 <= size <= MOST for size in value):
        raise fields.wrong(name, value, f"{n_layers} whole numbers of 1 or more, one a layer")
    return tuple(value.tolist())


def biases_from_gguf(tensors: Weights) -> Biases:
    """Which linears have a bias, from the tensors there are."""
    return Biases(
        qkv_bias=any(name.endswith(_ATTENTION_BIASES) for name in tensors),
        o_bias=any(name.endswith("attn_output.bias") for name in tensors),
        mlp_bias=any(name.endswith(_MLP_BIASES) for name in tensors),
    )


def all_read(fields: Fields) -> None:
    """Refuse a GGUF key of the family that nothing read.

    Raises:
        UnsupportedError: naming it.
    """
    if unread := fields.unread():
        raise UnsupportedError(
            f"{unread[0]} is not known in this family",
            where=f"{fields.where}, {unread[0]}",
            do="it may change what the model computes; use a file without it",
        )


def windows_from_hf(fields: Fields, n_layers: int, *, size: int, usual: Sequence[bool]) -> tuple[int | None, ...]:
    """Windows of config.json: `sliding_window` in the layers that `layer_types` names, or in the family's usual ones.

    Args:
        fields: of config.json.
        n_layers: of the model.
        size: of the window where the file says nothing.
        usual: whether each layer has one where the file says nothing.

    Raises:
        FormatError: a list of another length, or with a kind of layer that is not known.
    """
    types = fields.get("layer_types")
    if types is not None:
        known = {"sliding_attention": True, "full_attention": False}
        if not isinstance(types, list) or len(types) != n_layers or any(str(kind) not in known for kind in types):
            raise fields.wrong("layer_types", types, f"{n_layers} of {', '.join(known)}")
        usual = [known[kind] for kind in types]
    if not any(usual):
        fields.get("sliding_window")
        return ()
    window = fields.integer("sliding_window", size)
    return tuple(window if local else None for local in usual)


def windows_from_gguf(fields: Fields, n_layers: int, *, every: int, size: int | None = None) -> tuple[int | None, ...]:
    """Windows of a GGUF file: in the layers that it lists, or in all but each `every`-th; 1 has none, 0 all.

    Args:
        fields: of the file.
        n_layers: of the model.
        every: the family's pattern, which files seldom say.
        size: where the file says nothing; None has no window then.
    """
    local = _pattern(fields, n_layers, every)
    if not any(local) or (fields.unset("attention.sliding_window") and size is None):
        fields.get("attention.sliding_window")
        return ()
    window = fields.integer("attention.sliding_window", size)
    return tuple(window if seen else None for seen in local)


def _pattern(fields: Fields, n_layers: int, every: int) -> list[bool]:
    """Which layers have a window: each layer's own flag, or the number of the family."""
    pattern = fields.get("attention.sliding_window_pattern")
    if isinstance(pattern, np.ndarray):
        if pattern.dtype != np.bool_ or len(pattern) != n_layers:
            raise fields.wrong("attention.sliding_window_pattern", pattern, f"{n_layers} truth values, one a layer")
        flags: list[bool] = pattern.tolist()
        return flags
    if pattern is not None and (isinstance(pattern, bool) or not isinstance(pattern, int) or pattern != every):
        raise fields.wrong("attention.sliding_window_pattern", pattern, f"{every}, as in this family, or a list")
    return [not every or (layer + 1) % every != 0 for layer in range(n_layers)]


def parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Values of a model's tensors, by their shapes; a tied head counts once."""
    return sum(math.prod(shape) for shape in shapes.values())


def active_parameters(shapes: Mapping[str, tuple[int, ...]], config: ModelConfig, *, embedding: bool = False) -> int:
    """Values that computing one token takes: all but the experts that a position does not use.

    Args:
        shapes: of the model's tensors.
        config: its facts.
        embedding: whether an embedding that is no head counts too. One row of it is looked up and nothing is
            multiplied: OpenAI leaves it out of its counts, Mistral and Qwen do not.
    """
    total = 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        if ".mlp.experts." in name:
            size = size // config.n_experts * config.n_experts_used
        elif name == "model.embed_tokens.weight" and not (embedding or config.tied_head):
            size = 0
        total += size
    return total
