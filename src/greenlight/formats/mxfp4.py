"""How do Hugging Face folders keep MXFP4? In two tensors, blocks of nibbles and scales, which become rows of one type.

A folder keeps (…, K/32, 16) bytes, each two neighbours with the first in its low nibble, and (…, K/32) exponents
(openai/gpt-oss, gpt_oss/torch/weights.py). GGUF keeps exponent and bytes together, with the first 16 values in the low
nibbles and the last 16 in the high ones (ggml-org/ggml, ggml-common.h, block_mxfp4): that is `TensorType.MXFP4`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError
from greenlight.formats.tensors import Tensor, TensorType

BLOCK_BYTES = 16
"""Of a block without its scale."""

NOT_A_NUMBER = 255
"""The exponent that stands for no number (OCP Microscaling Formats specification 1.0, section 5.4.1)."""


def join(name: str, blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> Tensor:
    """One tensor of blocks and their scales, whole bytes moved and nibbles put in order, no value changed.

    Args:
        name: of the tensor.
        blocks: (…, K/32, 16), any strides.
        scales: (…, K/32).

    Raises:
        FormatError: a scale is not a number.
    """
    if scales.max(initial=0) == NOT_A_NUMBER:
        raise FormatError("a scale is not a number", where=name, do="fetch the file again")
    joined = np.empty((*scales.shape, TensorType.MXFP4.block_bytes), np.uint8)
    joined[..., 0] = scales
    first, second = blocks[..., :8], blocks[..., 8:]
    joined[..., 1::2] = (first & 0x0F) | (second << 4)
    joined[..., 2::2] = (first >> 4) | (second & 0xF0)
    shape = (*scales.shape[:-1], scales.shape[-1] * TensorType.MXFP4.block_values)
    return Tensor(name, TensorType.MXFP4, shape, joined.reshape(-1))
