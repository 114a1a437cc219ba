"""Which float32 values does a tensor hold? One answer for every type that is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from greenlight.errors import UnsupportedError
from greenlight.formats.quants import codebook, k, legacy, plain
from greenlight.formats.quants.bits import Bytes, Floats
from greenlight.formats.tensors import SCALED_ELSEWHERE, Tensor, TensorType

READERS: Mapping[TensorType, Callable[[Bytes], Floats]] = {
    TensorType.Q4_0: legacy.read_q4_0,
    TensorType.Q4_1: legacy.read_q4_1,
    TensorType.Q5_0: legacy.read_q5_0,
    TensorType.Q5_1: legacy.read_q5_1,
    TensorType.Q8_0: legacy.read_q8_0,
    TensorType.Q2_K: k.read_q2_k,
    TensorType.Q3_K: k.read_q3_k,
    TensorType.Q4_K: k.read_q4_k,
    TensorType.Q5_K: k.read_q5_k,
    TensorType.Q6_K: k.read_q6_k,
    TensorType.IQ4_NL: codebook.read_iq4_nl,
    TensorType.IQ4_XS: codebook.read_iq4_xs,
    TensorType.MXFP4: codebook.read_mxfp4,
}
"""From (blocks, bytes) to (blocks, values)."""

CHUNK_VALUES = 1 << 18
"""Values widened at a time, so that what lies between codes and values stays in the cache."""


def dequantize(tensor: Tensor) -> Floats:
    """A tensor's values as float32 in its own shape; a new array unless it was float32 already.

    Scales that are infinite or not numbers give what float32 arithmetic makes of them; nothing hides them.

    Raises:
        UnsupportedError: bytes that are part of something else.
    """
    refuse_codes(tensor)
    data = np.ascontiguousarray(tensor.data)
    if tensor.type is TensorType.F32:
        values = data.view("<f4")
    elif tensor.type is TensorType.F16:
        values = data.view("<f2").astype(np.float32)
    elif tensor.type is TensorType.BF16:
        values = plain.from_bf16(data)
    else:
        values = _blocks(data.reshape(-1, tensor.type.block_bytes), tensor.type)
    return values.reshape(tensor.shape)


def refuse_codes(tensor: Tensor) -> None:
    """Fail for bytes that are part of something else, and no weights by themselves."""
    if tensor.type in SCALED_ELSEWHERE:
        raise UnsupportedError(
            f"a tensor of type {tensor.type.name} holds codes, not weights",
            where=tensor.name,
            found=f"{tensor.type.name} {tensor.shape}",
            do="use a model whose weights are in F32, F16, BF16, MXFP4 or a GGUF file",
        )


def _blocks(blocks: Bytes, type_: TensorType) -> Floats:
    read, step = READERS[type_], CHUNK_VALUES // type_.block_values
    values = np.empty((len(blocks), type_.block_values), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, len(blocks), step):
            values[first : first + step] = read(blocks[first : first + step])
    return values
