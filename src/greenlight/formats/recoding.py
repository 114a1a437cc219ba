"""How do a tensor's values come into another type? Row by row, so that little of it is ever wide in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.quants import dequantize, quantise
from greenlight.formats.tensors import Tensor, TensorType

CHUNK_VALUES = 1 << 22
"""Values that are float32 at one time: 16 MiB."""


def recode(tensor: Tensor, type_: TensorType, importance: NDArray[np.float32] | None = None) -> Iterator[bytes]:
    """A tensor's bytes in another type, in pieces; as they are where it has that type.

    Args:
        tensor: what is to be stored.
        type_: how.
        importance: how much each input channel weighs, (C,), for types whose values share a scale.
    """
    if tensor.type is type_:
        yield tensor.data.tobytes()
        return
    table = tensor.data.reshape(-1, tensor.row_bytes)
    rows = max(1, CHUNK_VALUES // tensor.shape[-1])
    for first in range(0, len(table), rows):
        part = table[first : first + rows]
        values = dequantize(Tensor(tensor.name, tensor.type, (len(part), tensor.shape[-1]), part.reshape(-1)))
        yield quantise(values, type_, importance, name=tensor.name).tobytes()
