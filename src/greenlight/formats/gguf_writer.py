"""How does a model become a GGUF file? Streamed, one tensor in memory at a time, whole under its name or not there.

Version 3, little-endian (ggml-org/ggml docs/gguf.md). The same metadata and tensors give the same bytes: values are
written in the order given, with the narrowest type of GGUF that keeps them, padding is zero, and no time is written.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError
from greenlight.formats.gguf import DEFAULT_ALIGNMENT, MAGIC, MAX_ARRAY_DEPTH, MAX_DIMS, TYPES, Value
from greenlight.formats.planned import Planned, Progress
from greenlight.formats.storing import Cleared, file_in_the_making
from greenlight.formats.tensors import TensorType

VERSION = 3

MAX_NAME_BYTES = 63
"""Of a tensor: ggml keeps 64 bytes, the last of them zero (ggml.h, GGML_MAX_NAME)."""

MAX_KEY_BYTES = 65_535
"""Of a key: docs/gguf.md."""

TYPE_IDS: Mapping[TensorType, int] = {type_: id_ for id_, type_ in TYPES.items()}

_U32, _BOOL, _STRING, _ARRAY = 4, 7, 8, 9
_SCALARS: Mapping[str, int] = {
    **{"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "b1": _BOOL, "u8": 10, "i8": 11, "f8": 12},
}
"""GGUF's id of each type of number, by numpy's name of it."""


def write_gguf(
    path: Path,
    metadata: Mapping[str, Value],
    tensors: Sequence[Planned],
    *,
    progress: Progress | None = None,
    cleared: Cleared | None = None,
) -> str:
    """Write a GGUF file; it appears under its name when it is whole and on disk, never before.

    Args:
        path: where; nothing may be there.
        metadata: keys and values. Whole numbers become u32 where they fit, fractions f32 where nothing is lost.
        tensors: in the file's order.
        progress: told of each piece written.
        cleared: told of what a killed attempt left.

    Returns:
        The file's SHA-256.

    Raises:
        FormatError: a key, value, name or shape that no GGUF file can hold; a tensor that makes other bytes than it
            promised; something is there already; the disk is full.
    """
    header = gguf_header(metadata, tensors)
    total = len(header) + sum(_padded(tensor.n_bytes) for tensor in tensors)
    done = len(header)
    digest = hashlib.sha256(header)
    with file_in_the_making(path, total, cleared) as file:
        file.write(header)
        for tensor in tensors:
            for chunk in _with_padding(tensor):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(tensor.name, done, total)
    return digest.hexdigest()


def gguf_header(metadata: Mapping[str, Value], tensors: Sequence[Planned]) -> bytes:
    """Everything before the tensors' bytes, padded to where they begin."""
    if metadata.get("general.alignment", DEFAULT_ALIGNMENT) != DEFAULT_ALIGNMENT:
        raise FormatError("only one alignment is written", where="general.alignment", do=f"use {DEFAULT_ALIGNMENT}")
    out = bytearray(MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(metadata)))
    for key, value in metadata.items():
        type_id, data = _value(key, value, 0)
        if len(key.encode(errors="replace")) > MAX_KEY_BYTES:
            raise FormatError("a key is too long", where=key[:80], found=f"at most {MAX_KEY_BYTES} bytes")
        out += _string(key, key) + struct.pack("<I", type_id) + data
    offset = 0
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            raise FormatError("two tensors have one name", where=tensor.name)
        seen.add(tensor.name)
        out += _record(tensor, offset)
        offset += _padded(tensor.n_bytes)
    return bytes(out) + bytes(-len(out) % DEFAULT_ALIGNMENT)


def _record(tensor: Planned, offset: int) -> bytes:
    name, shape = tensor.name, tensor.shape
    if len(name.encode()) > MAX_NAME_BYTES:
        raise FormatError("a tensor's name is too long", where=name, found=f"at most {MAX_NAME_BYTES} bytes")
    if not 1 <= len(shape) <= MAX_DIMS or 0 in shape:
        raise FormatError("a tensor's shape cannot be written", where=name, found=f"{shape}, 1 to {MAX_DIMS} sizes ≥ 1")
    if shape[-1] % tensor.type.block_values:
        raise FormatError(
            "a row does not fill whole blocks",
            where=name,
            found=f"rows of {shape[-1]} values, {tensor.type.name} has blocks of {tensor.type.block_values}",
            do="store this tensor in a type without blocks",
        )
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return _string(name, name) + sizes + struct.pack("<IQ", TYPE_IDS[tensor.type], offset)


def _with_padding(tensor: Planned) -> Iterator[bytes]:
    yield from tensor.exactly()
    if padding := bytes(-tensor.n_bytes % DEFAULT_ALIGNMENT):
        yield padding


def _padded(n_bytes: int) -> int:
    return n_bytes + -n_bytes % DEFAULT_ALIGNMENT


# Values


def _value(key: str, value: Any, depth: int) -> tuple[int, bytes]:
    """GGUF's id of a value's type, and its bytes."""
    if isinstance(value, str):
        return _STRING, _string(key, value)
    if isinstance(value, np.ndarray):
        return _ARRAY, _numbers(key, value)
    if isinstance(value, list | tuple):
        return _ARRAY, _list(key, list(value), depth + 1)
    number = _narrowest(key, value)
    return _SCALARS[number.dtype.str[1:]], number.tobytes()


def _list(key: str, values: list[Any], depth: int) -> bytes:
    if depth > MAX_ARRAY_DEPTH:
        raise FormatError("arrays are nested too deep", where=key, found=f"more than {MAX_ARRAY_DEPTH} levels")
    if not values or all(isinstance(value, str) for value in values):
        return struct.pack("<IQ", _STRING, len(values)) + b"".join(_string(key, value) for value in values)
    if all(isinstance(value, list | tuple | np.ndarray) for value in values):
        return struct.pack("<IQ", _ARRAY, len(values)) + b"".join(_value(key, value, depth)[1] for value in values)
    kinds = {bool if isinstance(value, bool | np.bool_) else type(value) for value in values}
    if kinds == {bool}:
        return _numbers(key, np.array(values, np.bool_))
    if kinds == {int}:
        for dtype in (np.int32, np.int64, np.uint64):  # i32 first: it is what token types are
            if np.iinfo(dtype).min <= min(values) and max(values) <= np.iinfo(dtype).max:
                return _numbers(key, np.array(values, dtype))
    if kinds == {float}:
        wide = np.array(values, np.float64)
        narrow = wide.astype(np.float32)
        return _numbers(key, narrow if np.array_equal(narrow, wide, equal_nan=True) else wide)
    raise FormatError(
        "an array's values have no type in common",
        where=key,
        found=", ".join(sorted(kind.__name__ for kind in kinds)),
        do="use texts, truth values, whole numbers of 64 bits, fractions or arrays alone",
    )


def _numbers(key: str, values: NDArray[Any]) -> bytes:
    kind = values.dtype.str[1:]
    if values.ndim != 1 or kind not in _SCALARS:
        raise FormatError("an array cannot be written", where=key, found=f"{values.ndim} axes of {values.dtype}")
    return struct.pack("<IQ", _SCALARS[kind], len(values)) + values.astype(values.dtype.newbyteorder("<")).tobytes()


def _narrowest(key: str, value: Any) -> NDArray[Any]:
    """One number, in u32 where it is whole and fits, in f32 where that loses nothing."""
    if isinstance(value, bool | np.bool_):
        return np.array(value, "?")
    if isinstance(value, int | np.integer):
        for dtype in ("<u4", "<i4", "<u8", "<i8"):
            if np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
                return np.array(value, dtype)
    if isinstance(value, float | np.floating):
        with np.errstate(over="ignore"):
            narrow = np.array(value, "<f4")
        return narrow if float(narrow) == value or value != value else np.array(value, "<f8")
    raise FormatError(
        "a value has no type in GGUF",
        where=key,
        found=f"{type(value).__name__} {str(value)[:60]}",
        do="use a text, a truth value, a number of 64 bits or an array of those",
    )


def _string(key: str, text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FormatError("a text is not valid Unicode", where=key.encode(errors="replace").decode()) from error
    return struct.pack("<Q", len(data)) + data
