"""How do a tensor's values come into another type? Row by row, so that little of it is ever wide in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import UnsupportedError
from greenlight.formats.quants import dequantize
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
        yield stored(values, type_, importance)


def stored(values: NDArray[np.float32], type_: TensorType, importance: NDArray[np.float32] | None = None) -> bytes:
    """Values (rows, C) as a type's bytes; floats are rounded to nearest, ties to even."""
    match type_:
        case TensorType.F32:
            return values.astype("<f4").tobytes()
        case TensorType.F16:
            with np.errstate(over="ignore"):
                return values.astype("<f2").tobytes()
        case TensorType.BF16:
            return _brain(values).astype("<u2").tobytes()
    raise UnsupportedError(f"values are not yet stored as {type_.name}", do="use F32, F16 or BF16")


def _brain(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of float32 values, rounded to nearest even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), (bits >> 16) | 0x40, rounded).astype(np.uint16)
