"""How does a model become safetensors files? Streamed; in shards with an index where it is large.

The header is JSON, padded with spaces so that the bytes begin at a multiple of eight (huggingface/safetensors README,
"Format"). The same tensors give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import FormatError
from greenlight.formats.planned import Planned, Progress
from greenlight.formats.safetensors import INDEX_FILE, SINGLE_FILE, TYPES

MAX_SHARD_BYTES = 5 * 10**9
"""Bytes of tensors in one file, save where one tensor alone has more."""

_DTYPES = {type_: name for name, type_ in TYPES.items()}
_METADATA = {"format": "pt"}
"""What transformers looks for: the layout of weights is PyTorch's."""


class Written(NamedTuple):
    """How far the writing is."""

    done: int
    """Bytes written."""

    total: int
    """Bytes of all tensors."""


def write_weights(
    folder: Path,
    tensors: Sequence[Planned],
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    progress: Progress | None = None,
) -> list[str]:
    """Write a model's weights into a folder: one file, or shards with their index.

    Args:
        folder: there already; it should get its own name only when all is done.
        tensors: in order.
        max_shard_bytes: where a file ends.
        progress: told of each piece written.

    Returns:
        The files' names.

    Raises:
        FormatError: a type that such files do not hold, or a tensor that makes other bytes than it promised.
    """
    for tensor in tensors:
        if tensor.type not in _DTYPES:
            raise FormatError(
                f"safetensors files do not hold {tensor.type.name}",
                where=tensor.name,
                found=f"{tensor.type.name}, written are {', '.join(TYPES)}",
            )
    shards = _shards(tensors, max_shard_bytes)
    names = [SINGLE_FILE] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(len(shards))]
    written = Written(0, sum(tensor.n_bytes for tensor in tensors))
    for name, shard in zip(names, shards, strict=True):
        written = _write(folder / name, shard, written, progress)
    if len(shards) > 1:
        homes = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": written.total}, "weight_map": dict(sorted(homes.items()))}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        names.append(INDEX_FILE)
    return names


def _shards(tensors: Sequence[Planned], max_bytes: int) -> list[list[Planned]]:
    shards: list[list[Planned]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.n_bytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.n_bytes
    return shards


def _shard_name(index: int, count: int) -> str:
    return f"model-{index + 1:05d}-of-{count:05d}.safetensors"


def _write(path: Path, tensors: Sequence[Planned], written: Written, progress: Progress | None) -> Written:
    done = written.done
    with path.open("wb") as file:
        file.write(_header(tensors))
        for tensor in tensors:
            for chunk in tensor.exactly():
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(tensor.name, done, written.total)
        file.flush()
        os.fsync(file.fileno())
    return written._replace(done=done)


def _header(tensors: Sequence[Planned]) -> bytes:
    header: dict[str, object] = {"__metadata__": _METADATA}
    at = 0
    for tensor in tensors:
        end = at + tensor.n_bytes
        header[tensor.name] = {
            "dtype": _DTYPES[tensor.type],
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
