"""What does a GGUF file say? Its metadata and its tensors, over memory-mapped bytes, without trusting any of them.

Layout (ggml-org/ggml docs/gguf.md): magic, version, two counts; then keys with typed values; then one record per
tensor; then, at the next multiple of the alignment, the tensors' bytes. Whatever the file declares is checked
against its size before it is believed, so that a hostile file costs one clear error and no memory.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.tensors import Tensor, TensorType, find_overlap, map_file

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_DIMS = 4
MAX_ARRAY_DEPTH = 4
"""Arrays may hold arrays; no file in use goes deeper than two."""

TYPES: Mapping[int, TensorType] = {
    0: TensorType.F32,
    1: TensorType.F16,
    2: TensorType.Q4_0,
    3: TensorType.Q4_1,
    6: TensorType.Q5_0,
    7: TensorType.Q5_1,
    8: TensorType.Q8_0,
    10: TensorType.Q2_K,
    11: TensorType.Q3_K,
    12: TensorType.Q4_K,
    13: TensorType.Q5_K,
    14: TensorType.Q6_K,
    20: TensorType.IQ4_NL,
    23: TensorType.IQ4_XS,
    30: TensorType.BF16,
    39: TensorType.MXFP4,
}
"""ggml's ids of the types that can be read (ggml.h, enum ggml_type)."""

UNREAD_TYPES: Mapping[int, str] = {
    **{
        4: "Q4_2 (MXFP4 in Ollama's files)",
        5: "Q4_3",
        9: "Q8_1",
        15: "Q8_K",
        16: "IQ2_XXS",
        17: "IQ2_XS",
        18: "IQ3_XXS",
        19: "IQ1_S",
    },
    **{21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M"},
    **{31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4"},
    **{37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 40: "NVFP4", 41: "Q1_0"},
}
"""The other ids that ggml has given out, by name, so that a refusal can name them."""

Value: TypeAlias = int | float | bool | str | list[Any] | NDArray[Any]
"""A metadata value: arrays of numbers are numpy arrays, arrays of strings or arrays are lists."""

_SCALARS = {
    id_: (struct.Struct(f"<{code}"), np.dtype(f"<{kind}"))
    for id_, code, kind in (
        *((0, "B", "u1"), (1, "b", "i1"), (2, "H", "u2"), (3, "h", "i2"), (4, "I", "u4"), (5, "i", "i4")),
        *((6, "f", "f4"), (7, "B", "u1"), (10, "Q", "u8"), (11, "q", "i8"), (12, "d", "f8")),
    )
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_MANY_STRINGS = 256
_SMALLEST_KEY = 8 + 4 + 1
_SMALLEST_RECORD = 8 + 4 + 8 + 4 + 8


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GGUFFile:
    """A GGUF file, read: everything it states, its weights still on disk."""

    path: Path
    """Where it is."""

    size: int
    """Bytes of the whole file."""

    version: int
    """2 or 3; they differ in nothing that a little-endian reader sees."""

    alignment: int
    """Tensors start at multiples of this."""

    metadata: dict[str, Value]
    """Keys and values in the file's order."""

    tensors: dict[str, Tensor]
    """Weights by name in the file's order, shapes outermost first (the reverse of ggml's)."""

    homes: Mapping[str, str] = field(default_factory=dict)
    """Of a model in several files, which of them holds each tensor."""


class _Record(NamedTuple):
    """What the file declares about one tensor."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int


def read_gguf(path: Path | str) -> GGUFFile:
    """Map a GGUF file and check all that it declares.

    Raises:
        FormatError: it is not a GGUF file, is damaged, or contradicts itself.
        UnsupportedError: it holds a type of tensor that cannot be read exactly.
    """
    path = Path(path)
    data = map_file(path)
    cursor = _Cursor(path, data)
    version, n_tensors, n_keys = _read_header(cursor)
    metadata = _read_metadata(cursor, n_keys)
    alignment = _alignment(cursor, metadata)
    records = [_read_record(cursor) for _ in range(n_tensors)]
    tensors = _place(cursor, records, alignment)
    return GGUFFile(path=path, size=len(data), version=version, alignment=alignment, metadata=metadata, tensors=tensors)


class _Cursor:
    """Reads values in order and never past the end; knows where it is when something is wrong."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.size, self.at = path, data, len(data), 0
        self.reading = "header"

    def fail(self, what: str, found: str | None = None, do: str | None = None) -> NoReturn:
        raise FormatError(what, where=f"{self.path}, {self.reading}", found=found, do=do or "fetch the file again")

    def ensure(self, n_bytes: int) -> None:
        """Fail unless n_bytes are left: called before anything is sized by a declared count."""
        if n_bytes > self.size - self.at:
            self.fail(
                "the GGUF file ends too early",
                found=f"{n_bytes} bytes declared at byte {self.at}, the file has {self.size}",
            )

    def number(self, form: struct.Struct) -> Any:
        self.ensure(form.size)
        (value,) = form.unpack_from(self.data, self.at)
        self.at += form.size
        return value

    def string(self) -> str:
        return self.strings(1)[0]

    def strings(self, count: int) -> list[str]:
        """Length-prefixed UTF-8."""
        self.ensure(8 * count)
        if count >= _MANY_STRINGS and (short := _short_strings(self.data, self.at, count)):
            values, self.at = short
            return values
        data, size, at, values = self.data, self.size, self.at, []
        unpack, append = _U64.unpack_from, values.append
        try:
            for _ in range(count):
                start = at + 8
                at = start + unpack(data, at)[0]
                if at > size:
                    break
                append(data[start:at].decode())
        except struct.error:
            at = size + 1
        except UnicodeDecodeError as error:
            self.fail("a string is not UTF-8", found=f"{error.reason} in the string that starts at byte {start}")
        if at > size:
            self.fail(
                "the GGUF file ends too early",
                found=f"string {len(values)} of {count} reaches past the end, byte {size}",
            )
        self.at = at
        return values

    def value(self, type_id: int, depth: int = 0) -> Value:
        if type_id == _STRING:
            return self.string()
        if type_id == _ARRAY:
            return self.array(depth + 1)
        if type_id not in _SCALARS:
            self.fail("a value has an unknown type", found=f"type {type_id}; GGUF has 0 to 12")
        value: int | float = self.number(_SCALARS[type_id][0])
        return self.flag(value) if type_id == _BOOL else value

    def flag(self, value: int | float) -> bool:
        if value not in (0, 1):
            self.fail("a truth value is neither 0 nor 1", found=str(value))
        return bool(value)

    def array(self, depth: int) -> list[Any] | NDArray[Any]:
        if depth > MAX_ARRAY_DEPTH:
            self.fail("arrays are nested too deep", found=f"more than {MAX_ARRAY_DEPTH} levels")
        type_id, count = self.number(_U32), self.number(_U64)
        if type_id == _STRING:
            return self.strings(count)
        if type_id == _ARRAY:
            self.ensure(12 * count)
            return [self.array(depth + 1) for _ in range(count)]
        if type_id not in _SCALARS:
            self.fail("an array has elements of an unknown type", found=f"type {type_id}; GGUF has 0 to 12")
        dtype = _SCALARS[type_id][1]
        self.ensure(dtype.itemsize * count)
        values = np.frombuffer(self.data, dtype, count, self.at).copy()
        self.at += values.nbytes
        if type_id != _BOOL:
            return values
        if values.size and values.max() > 1:
            self.flag(int(values.max()))
        return values.astype(np.bool_)


def _short_strings(data: mmap.mmap, at: int, count: int) -> tuple[list[str], int] | None:
    """Many strings at once, and where they end; None where the plain loop must look (long strings, NULs, errors).

    Vocabularies hold a hundred thousand strings of a few bytes. Taking each length from its first byte alone finds
    where they start in a third of the time; that the other seven are zero is checked afterwards, for all at once.
    Then every prefix becomes one NUL, and the text is decoded and split in one go.
    """
    begin = at
    starts: list[int] = []
    append = starts.append
    try:
        for _ in range(count):
            append(at)
            at += 8 + data[at]
    except IndexError:
        return None
    if at > len(data):
        return None
    text = np.frombuffer(data, np.uint8, at - begin, begin).copy()
    prefixes = np.array(starts) - begin
    keep = np.ones(len(text), np.bool_)
    for byte in range(1, 8):
        if text[prefixes + byte].any():
            return None
        keep[prefixes + byte] = False
    text[prefixes] = 0
    try:
        values = text[keep].tobytes().decode().split("\0")[1:]
    except UnicodeDecodeError:
        return None
    return (values, at) if len(values) == count else None


def _read_header(cursor: _Cursor) -> tuple[int, int, int]:
    """Version, number of tensors, number of keys."""
    magic = cursor.data[:4]
    if magic != MAGIC:
        cursor.fail("not a GGUF file", found=f"first bytes {magic!r}, expected {MAGIC!r}", do="check the path")
    cursor.at = 4
    version = cursor.number(_U32)
    if version not in VERSIONS and version & 0xFFFF == 0:
        cursor.fail("the GGUF file is big-endian", do="convert it on a little-endian machine; only that order is read")
    if version not in VERSIONS:
        cursor.fail("an unknown GGUF version", found=f"{version}, expected 2 or 3", do="convert the model again")
    n_tensors, n_keys = cursor.number(_U64), cursor.number(_U64)
    cursor.ensure(_SMALLEST_RECORD * n_tensors + _SMALLEST_KEY * n_keys)
    return version, n_tensors, n_keys


def _read_metadata(cursor: _Cursor, n_keys: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for index in range(n_keys):
        cursor.reading = f"key {index} of {n_keys}"
        key = cursor.string()
        if key in metadata:
            cursor.fail("a key appears twice", found=repr(key))
        cursor.reading = f"value of {key!r}"
        metadata[key] = cursor.value(cursor.number(_U32))
    return metadata


def _alignment(cursor: _Cursor, metadata: Mapping[str, Value]) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or value & (value - 1):
        cursor.reading = "value of 'general.alignment'"
        cursor.fail("the alignment is not a power of two", found=repr(value))
    return value


def _read_record(cursor: _Cursor) -> _Record:
    cursor.reading = "tensor records"
    name = cursor.string()
    cursor.reading = f"record of tensor {name!r}"
    n_dims = cursor.number(_U32)
    if not 1 <= n_dims <= MAX_DIMS:
        cursor.fail("a tensor has an impossible number of dimensions", found=f"{n_dims}, expected 1 to {MAX_DIMS}")
    sizes = [cursor.number(_U64) for _ in range(n_dims)]
    type_ = _tensor_type(cursor, cursor.number(_U32))
    shape = tuple(reversed(sizes))
    if 0 in shape:
        cursor.fail("a tensor has no values", found=f"shape {shape}")
    if shape[-1] % type_.block_values:
        cursor.fail(
            "a row does not fill whole blocks",
            found=f"rows of {shape[-1]} values, expected a multiple of {type_.block_values} for {type_.name}",
        )
    return _Record(name, type_, shape, cursor.number(_U64))


def _tensor_type(cursor: _Cursor, type_id: int) -> TensorType:
    if type_id in TYPES:
        return TYPES[type_id]
    if type_id not in UNREAD_TYPES:
        cursor.fail("a tensor has an unknown type", found=f"type {type_id}", do="check that the file is whole")
    raise UnsupportedError(
        f"tensors of type {UNREAD_TYPES[type_id]} cannot be read",
        where=f"{cursor.path}, {cursor.reading}",
        found=f"type {UNREAD_TYPES[type_id]}; read are {', '.join(type_.name for type_ in TYPES.values())}",
        do="use a file of the same model in one of those types, such as Q4_K, Q6_K or Q8_0",
    )


def _place(cursor: _Cursor, records: list[_Record], alignment: int) -> dict[str, Tensor]:
    """Find each tensor's bytes; refuse any that lie outside the file, off the grid or on one another."""
    data_start = math.ceil(cursor.at / alignment) * alignment if alignment < cursor.size else alignment
    whole = np.frombuffer(cursor.data, np.uint8)
    tensors: dict[str, Tensor] = {}
    spans: list[tuple[int, int, str]] = []
    for name, type_, shape, offset in records:
        cursor.reading = f"tensor {name!r}"
        if name in tensors:
            cursor.fail("two tensors have one name")
        if offset % alignment:
            cursor.fail("a tensor is misaligned", found=f"offset {offset}, expected a multiple of {alignment}")
        start = data_start + offset
        end = start + math.prod(shape) // type_.block_values * type_.block_bytes
        if end > cursor.size:
            cursor.fail(
                "a tensor lies outside the file",
                found=f"bytes {start} to {end} ({type_.name} {shape}), the file has {cursor.size}",
            )
        tensors[name] = Tensor(name, type_, shape, whole[start:end])
        spans.append((start, end, name))
    if overlap := find_overlap(spans):
        cursor.reading = "tensor records"
        cursor.fail("two tensors overlap", found=f"{overlap[0]!r} and {overlap[1]!r}")
    return tensors
