"""A GGUF file taken apart, byte by byte, as llama.cpp's gguf-split does it (tools/gguf-split/gguf-split.cpp)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from greenlight.formats.gguf import read_gguf
from greenlight.formats.gguf_writer import TYPE_IDS
from tests.builders import Typed, encode_value, gguf_string


def split_gguf(path: Path, *n_tensors: int, keys: dict[int, dict[str, Any]] | None = None) -> list[Path]:
    """A GGUF file's parts beside it, as llama.cpp's gguf-split makes them; the file itself goes.

    Args:
        path: the file.
        n_tensors: how many tensors each part holds.
        keys: of parts by number from 0, other keys than gguf-split writes; one that is None is left out.
    """
    file, data, n_parts = read_gguf(path), path.read_bytes(), len(n_tensors)
    tensors = list(file.tensors.values())
    known = data[
        24 : data.index(gguf_string(tensors[0].name))
    ]  # keys as they are, between the counts and the first record
    parts = []
    for part, n in enumerate(n_tensors):
        split = {"split.no": Typed(2, part), "split.count": Typed(2, n_parts)}
        split |= {"split.tensors.count": Typed(5, len(file.tensors))} | (keys or {}).get(part, {})
        own = {key: encode_value(value) for key, value in split.items() if value is not None}
        out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, n, len(own) + (len(file.metadata) if part == 0 else 0)))
        out += known if part == 0 else b""
        for key, (type_id, value) in own.items():
            out += gguf_string(key) + struct.pack("<I", type_id) + value
        offset, held, tensors = 0, tensors[:n], tensors[n:]
        for tensor in held:
            out += gguf_string(tensor.name) + struct.pack(
                f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape[::-1]
            )
            out += struct.pack("<IQ", TYPE_IDS[tensor.type], offset)
            offset += tensor.n_bytes + -tensor.n_bytes % 32
        out += bytes(-len(out) % 32)
        for tensor in held:
            out += tensor.data.tobytes() + bytes(-tensor.n_bytes % 32)
        parts.append(path.with_name(f"{path.stem}-{part + 1:05}-of-{n_parts:05}.gguf"))
        parts[-1].write_bytes(out)
    path.unlink()
    return parts
