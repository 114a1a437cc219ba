"""Which numbers do stored bytes stand for? Exactly the float32 values that the format defines.

Blocks hold 32 values (ggml-org/ggml src/ggml-common.h): Q4_0 a scale d and nibbles q, value d (q - 8); Q4_1 a scale,
a minimum m and nibbles, value d q + m; Q8_0 a scale and signed bytes, value d q. Low nibbles are the first 16 values,
high nibbles the last 16. Each product and sum is rounded to float32 once, as the `gguf` package does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import Tensor, TensorType


def dequantize(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor's values as float32 in its own shape; a new array unless it was float32 already."""
    data = np.ascontiguousarray(tensor.data)
    if tensor.type is TensorType.F32:
        values = data.view("<f4")
    elif tensor.type is TensorType.F16:
        values = data.view("<f2").astype(np.float32)
    elif tensor.type is TensorType.BF16:
        values = (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = _BLOCKS[tensor.type](data.reshape(-1, tensor.type.block_bytes))
    return values.reshape(tensor.shape)


def _q4_0(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = _nibbles(blocks[:, 2:])
    values -= np.float32(8)
    values *= _half(blocks, 0)
    return values


def _q4_1(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = _nibbles(blocks[:, 4:])
    values *= _half(blocks, 0)
    values += _half(blocks, 2)
    return values


def _q8_0(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = blocks[:, 2:].view(np.int8).astype(np.float32)
    values *= _half(blocks, 0)
    return values


_BLOCKS = {TensorType.Q4_0: _q4_0, TensorType.Q4_1: _q4_1, TensorType.Q8_0: _q8_0}


def _half(blocks: NDArray[np.uint8], at: int) -> NDArray[np.float32]:
    """The 16-bit float at one place of every block, (blocks, 1)."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sixteen bytes a block into 32 values of 0 to 15, (blocks, 32)."""
    values = np.empty((len(packed), 32), np.float32)
    values[:, :16] = packed & 0x0F
    values[:, 16:] = packed >> 4
    return values
