"""What is known of a tensor before it is written? Name, type, shape, and how its bytes are made in their turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError
from greenlight.formats.tensors import Tensor, TensorType

Chunks: TypeAlias = Iterable[NDArray[np.uint8] | bytes]
"""A tensor's bytes in order, in pieces."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told of the tensor that is written, of bytes done and of all bytes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Planned:
    """A tensor to be written."""

    name: str
    """Its name in the file."""

    type: TensorType
    """How values will be stored."""

    shape: tuple[int, ...]
    """Sizes, outermost first."""

    chunks: Callable[[], Chunks]
    """Makes its bytes."""

    @property
    def n_bytes(self) -> int:
        """Bytes it will take."""
        return math.prod(self.shape) // self.type.block_values * self.type.block_bytes

    def exactly(self) -> Iterator[bytes]:
        """Its bytes, if they are as many as its shape says.

        Raises:
            FormatError: they are more or fewer.
        """
        written = 0
        for chunk in self.chunks():
            piece = chunk.tobytes() if isinstance(chunk, np.ndarray) else chunk
            written += len(piece)
            if written > self.n_bytes:
                break
            yield piece
        if written != self.n_bytes:
            raise FormatError(
                "a tensor has other bytes than its shape says",
                where=self.name,
                found=f"{written}, expected {self.n_bytes} for {self.type.name} {self.shape}",
            )


def planned_as_is(name: str, tensor: Tensor) -> Planned:
    """A tensor whose bytes are written as they are."""
    return Planned(name=name, type=tensor.type, shape=tensor.shape, chunks=lambda: (tensor.data,))
