"""What is a tensor before anyone computes with it? Named, typed, shaped bytes, usually memory-mapped."""

from __future__ import annotations

import ctypes
import enum
import math
import mmap
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError


class TensorType(enum.Enum):
    """Element types by their common names: (values per block, bytes per block), and a word where two would be equal."""

    F32 = (1, 4)
    F16 = (1, 2)
    BF16 = (1, 2, "brain")
    U8 = (1, 1)
    F8_E4M3 = (1, 1, "float")
    Q4_0 = (32, 18)
    Q4_1 = (32, 20)
    Q5_0 = (32, 22)
    Q5_1 = (32, 24)
    Q8_0 = (32, 34)
    Q2_K = (256, 84)
    Q3_K = (256, 110)
    Q4_K = (256, 144)
    Q5_K = (256, 176)
    Q6_K = (256, 210)
    IQ4_NL = (32, 18, "uneven")
    IQ4_XS = (256, 136)
    MXFP4 = (32, 17)

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


_POINTER = b"version https://git-lfs"

SCALED_ELSEWHERE = (TensorType.U8, TensorType.F8_E4M3)
"""Bytes that are weights only together with scales that another tensor holds."""


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

    def part(self, index: int) -> Tensor:
        """One entry along the first axis, its bytes not copied."""
        n_bytes = self.n_bytes // self.shape[0]
        data = self.data[index * n_bytes : (index + 1) * n_bytes]
        return Tensor(f"{self.name}[{index}]", self.type, self.shape[1:], data)

    def take_rows(self, rows: NDArray[Any]) -> Tensor:
        """The given rows (indices along all axes but the last, flattened) as (len(rows), row), bytes moved whole."""
        table = self.data.reshape(-1, self.row_bytes)
        return Tensor(self.name, self.type, (len(rows), self.shape[-1]), table[rows].reshape(-1))

    def take_values(self, indices: NDArray[Any]) -> Tensor:
        """The given values of a vector whose values stand alone, as a vector."""
        values = self.data.reshape(-1, self.type.block_bytes)[indices]
        return Tensor(self.name, self.type, (len(indices),), values.reshape(-1))


def map_file(path: Path) -> mmap.mmap:
    """Map a file's bytes, read-only.

    Raises:
        FormatError: there is no such file, it cannot be opened, it is empty, or git left a pointer in its place.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FormatError("the file cannot be read", where=str(path), found=reason, do="check the path") from error
    refuse_pointer(path, mapped[: len(_POINTER)])
    return mapped


def refuse_pointer(path: Path, start: bytes) -> None:
    """Refuse a file that git left in a large one's place: a clone without Git LFS looks complete and is not.

    Raises:
        FormatError: that is what these first bytes are.
    """
    if start.startswith(_POINTER):
        raise FormatError(
            "the file was not fetched: a pointer of Git LFS stands in its place",
            where=str(path),
            found=f"{path.stat().st_size} bytes that name the file's digest and size",
            do="run `git lfs pull` in the clone, or fetch the model with greenlight pull hf:OWNER/NAME",
        )


def find_overlap(spans: Iterable[tuple[int, int, str]]) -> tuple[str, str] | None:
    """Names of the first two (start, end, name) that share a byte, or None."""
    previous_end, previous_name = 0, ""
    for start, end, name in sorted(spans):
        if start < previous_end:
            return previous_name, name
        previous_end, previous_name = end, name
    return None


def release_mapped(tensors: Iterable[Tensor]) -> None:
    """Let the system drop these tensors' mapped pages from memory; they are read again from disk when needed."""
    mappings = {id(base): base for tensor in tensors if isinstance(base := _owner(tensor.data), mmap.mmap)}
    for mapping in mappings.values():
        if hasattr(mmap, "MADV_DONTNEED"):  # not on every system
            mapping.madvise(mmap.MADV_DONTNEED)


def release_freed() -> None:
    """Give the system back what was freed on the way; the GNU C library would keep it for later (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _owner(data: NDArray[Any]) -> object:
    """What holds an array's memory in the end."""
    base: Any = data
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) else base
