"""What is a tensor before anyone computes with it? Named, typed, shaped bytes, usually memory-mapped."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class TensorType(enum.Enum):
    """Element types by their common names: (values per block, bytes per block)."""

    F32 = (1, 4)
    F16 = (1, 2)
    BF16 = (1, 2, "brain")
    Q4_0 = (32, 18)
    Q4_1 = (32, 20)
    Q8_0 = (32, 34)

    @property
    def block_values(self) -> int:
        """Values in one block; 1 where values stand alone."""
        return int(self.value[0])

    @property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        return int(self.value[1])

    @property
    def quantised(self) -> bool:
        """Whether values share a scale."""
        return self.block_values > 1


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Raw values of one weight in Hugging Face's layout, last axis contiguous."""

    name: str
    """Its name in the file it came from."""

    type: TensorType
    """How values are stored."""

    shape: tuple[int, ...]
    """Sizes, outermost first: a linear is (outputs, inputs)."""

    data: NDArray[np.uint8]
    """The bytes, one-dimensional; read-only when mapped from a file."""

    @property
    def n_values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes these values take."""
        return self.n_values // self.type.block_values * self.type.block_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (the last axis)."""
        return self.shape[-1] // self.type.block_values * self.type.block_bytes
