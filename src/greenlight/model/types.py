"""Which type does each tensor of a converted model get? A few rules, said in docs/converting.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import UsageError
from greenlight.formats.quants import QUANTISERS
from greenlight.formats.tensors import Tensor, TensorType

TypeOf: TypeAlias = Callable[[str, Tensor], TensorType]
"""From a tensor's name in the target, and the tensor as it is stored, to its type in the target."""

Importance: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Mean squared input of each channel, by Hugging Face name of the linear's weight, (C,)."""

_KEPT = ("ffn_gate_inp.", "mlp.gate.", "mlp.router.", "block_sparse_moe.gate.", "attn_sinks")
"""Routers and sinks are small, and one changed choice of expert changes everything behind it."""

_HEADS = ("output.weight", "lm_head.weight")
_EMBEDDINGS = ("token_embd.weight", "model.embed_tokens.weight")


def type_named(name: str) -> TensorType:
    """A type by name, in whatever case.

    Raises:
        UsageError: no such type, or one that is only read.
    """
    for type_ in QUANTISERS:
        if type_.name == name.upper():
            return type_
    known = ", ".join(type_.name for type_ in QUANTISERS)
    raise UsageError(f"no type {name!r} is written", where="--type", found=f"written are {known}")


def gguf_types(asked: TensorType | None, *, tied_head: bool) -> TypeOf:
    """Types of a GGUF file: vectors and routers F32, all else as asked, or as it was where nothing was asked.

    The linear that makes logits, which is the embedding where the two are tied, is kept finer than 6 bits a value would
    be: Q6_K, or Q8_0 where rows do not fill its blocks, as llama.cpp's quantiser does.
    """

    def type_of(name: str, tensor: Tensor) -> TensorType:
        if len(tensor.shape) == 1 or name.endswith(".bias") or any(mark in name for mark in _KEPT):
            return TensorType.F32
        if asked is None:
            return tensor.type
        wanted = asked
        if asked.quantised and name in (_EMBEDDINGS if tied_head else _HEADS) and _bits(asked) < 6:
            wanted = TensorType.Q6_K if TensorType.Q6_K in QUANTISERS else TensorType.Q8_0
        return _fitting(wanted, tensor.shape[-1])

    return type_of


def folder_types(asked: TensorType | None, in_blocks: Callable[[str, Tensor], bool] | None = None) -> TypeOf:
    """Types of a Hugging Face folder: as asked; else as it was, or F32, which keeps every value, for blocks.

    Args:
        asked: what weights are to be; None to change nothing.
        in_blocks: which tensors in blocks folders of this family hold as they are.

    Raises:
        UsageError: the type has blocks, which such folders do not hold.
    """
    if asked is not None and asked.quantised:
        raise UsageError(
            f"a Hugging Face folder does not hold {asked.name}",
            where="--type",
            do="use F32, F16 or BF16, or a target that ends in .gguf",
        )

    def type_of(name: str, tensor: Tensor) -> TensorType:
        changed = tensor.type.quantised and not (in_blocks and in_blocks(name, tensor))
        return asked or (TensorType.F32 if changed else tensor.type)

    return type_of


_NARROWER = {
    **dict.fromkeys((TensorType.Q2_K, TensorType.Q3_K, TensorType.IQ4_XS), TensorType.IQ4_NL),
    **{TensorType.Q4_K: TensorType.Q5_0, TensorType.Q5_K: TensorType.Q5_1, TensorType.Q6_K: TensorType.Q8_0},
}
"""For rows that do not fill blocks of 256: the next finer type with blocks of 32, as llama.cpp's quantiser chooses."""


def _fitting(wanted: TensorType, width: int) -> TensorType:
    """The type, or the next finer one whose blocks rows of this width fill."""
    for type_ in (wanted, _NARROWER.get(wanted, wanted)):
        if width % type_.block_values == 0:
            return type_
    return TensorType.F16


def _bits(type_: TensorType) -> float:
    return 8 * type_.block_bytes / type_.block_values
