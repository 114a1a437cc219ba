"""Which tensors does a Hugging Face folder hold? Its safetensors files, memory-mapped, headers checked.

A file is eight bytes of header length, a JSON header of names, types, shapes and byte ranges, then the bytes
(huggingface/safetensors README, "Format"). A sharded model has an index that says which file holds which tensor.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.jsonfile import parse_json, read_json
from greenlight.formats.tensors import Tensor, TensorType, map_file

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
"""The reference implementation's own bound."""

MAX_DIMS = 8
"""No weight has more; the product of thousands of sizes would take longer than reading the model."""

TYPES = {"F32": TensorType.F32, "F16": TensorType.F16, "BF16": TensorType.BF16, "U8": TensorType.U8} | {
    "F8_E4M3": TensorType.F8_E4M3
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SafetensorsFolder:
    """A Hugging Face folder, read: its config as it stands, its weights still on disk."""

    path: Path
    """The folder."""

    size: int
    """Bytes of all files of weights."""

    config: dict[str, Any]
    """config.json."""

    tensors: dict[str, Tensor]
    """Weights by name."""

    homes: Mapping[str, str]
    """Which file of the folder holds each weight."""


def read_folder(path: Path | str) -> SafetensorsFolder:
    """Map the weights of a folder with config.json and model.safetensors, or shards and their index.

    Raises:
        FormatError: something is missing, damaged, or contradicts itself.
        UnsupportedError: a tensor has a type that cannot be read.
    """
    path = Path(path)
    if not (path / "config.json").exists():
        raise _no_model(path)
    config = read_json(path / "config.json")
    if (path / INDEX_FILE).is_file():
        tensors, homes = _read_shards(path)
    elif (path / SINGLE_FILE).is_file():
        tensors = read_safetensors(path / SINGLE_FILE)
        homes = dict.fromkeys(tensors, SINGLE_FILE)
    else:
        raise FormatError(
            "the folder has no weights in safetensors",
            where=str(path),
            found=_listed(path),
            do=f"add {SINGLE_FILE}, or shards with {INDEX_FILE}; pickled weights (.bin, .pt) are never read",
        )
    size = sum((path / file).stat().st_size for file in set(homes.values()))
    return SafetensorsFolder(path=path, size=size, config=config, tensors=tensors, homes=homes)


def _no_model(path: Path) -> FormatError:
    """The error for a folder without config.json, by what is in it instead."""
    if files := sorted(path.glob("*.gguf")):
        do = f"name the file itself: {files[0]}"
    elif (path / "adapter_config.json").is_file():
        do = f"it holds an adapter; name the model it was made for before it: MODEL+{path}"
    else:
        do = "name the folder that holds config.json beside the weights, or a .gguf file"
    return FormatError("the folder has no config.json", where=str(path), found=_listed(path), do=do)


def _listed(path: Path) -> str:
    """Some of what a folder holds."""
    return ", ".join(sorted(file.name for file in path.iterdir())[:12]) or "an empty folder"


def _read_shards(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a sharded model, each from the shard that the index names, and which that is."""
    index_path = path / INDEX_FILE
    weight_map = read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise FormatError("the weight index has no weight_map of names to files", where=str(index_path))
    tensors: dict[str, Tensor] = {}
    files = sorted(set(weight_map.values()))
    _refuse_two_models(path, files)
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise FormatError("the weight index names a file outside its folder", where=str(index_path), found=file)
        if not (path / file).is_file():
            missing = [name for name in files if not (path / name).is_file()]
            raise FormatError(
                "a file of weights is missing",
                where=str(path / file),
                found=f"{len(files) - len(missing)} of the {len(files)} files that {INDEX_FILE} names; "
                f"missing: {', '.join(missing[:4])}{' and more' if len(missing) > 4 else ''}",
                do="fetch the missing files from where the others came from",
            )
        shard = read_safetensors(path / file)
        listed = {name for name, home in weight_map.items() if home == file}
        if listed != shard.keys():
            odd = min(listed ^ shard.keys())
            raise FormatError(
                "a shard and the weight index disagree",
                where=f"{path / file}, {odd}",
                found="in the index only" if odd in listed else "in the shard only",
                do="fetch the folder again",
            )
        tensors |= shard
    return tensors, weight_map


def _refuse_two_models(path: Path, files: Sequence[str]) -> None:
    """A whole model beside another's shards: which of the two is meant, nobody can tell."""
    if SINGLE_FILE not in files and (path / SINGLE_FILE).is_file():
        raise FormatError(
            "the folder has two sets of weights",
            where=str(path),
            found=f"{SINGLE_FILE}, and {INDEX_FILE} with {len(files)} files that are not it",
            do=f"remove {SINGLE_FILE}, or the index and its files",
        )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Map one safetensors file and check its header.

    Raises:
        FormatError: the header is damaged, or its ranges overlap, leave holes or leave the file.
        UnsupportedError: a tensor has a type that cannot be read.
    """
    data = map_file(path)
    header, data_start = _read_header(path, data)
    header.pop("__metadata__", None)
    whole = np.frombuffer(data, np.uint8)[data_start:]
    tensors: dict[str, Tensor] = {}
    spans = []
    for name, entry in header.items():
        type_, shape, (start, end) = _read_entry(path, name, entry)
        n_bytes = math.prod(shape) * type_.block_bytes
        if end - start != n_bytes:
            raise FormatError(
                "a tensor's bytes do not fit its shape",
                where=f"{path}, {name}",
                found=f"{end - start} bytes, expected {n_bytes} for {type_.name} {shape}",
                do="fetch the file again",
            )
        tensors[name] = Tensor(name, type_, shape, whole[start:end])
        spans.append((start, end, name))
    _check_cover(path, spans, len(whole))
    return tensors


def _read_header(path: Path, data: mmap.mmap) -> tuple[dict[str, Any], int]:
    """The header's entries, and where the tensors' bytes begin."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise FormatError(
            "not a safetensors file, or one that ends too early",
            where=str(path),
            found=f"a header of {length} bytes in a file of {len(data)}",
            do="fetch the file again",
        )
    return parse_json(data[8 : 8 + length], f"{path}, header"), 8 + length


def _read_entry(path: Path, name: str, entry: Any) -> tuple[TensorType, tuple[int, ...], tuple[int, int]]:
    """Type, shape and byte range that the header gives one tensor."""
    where = f"{path}, {name}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError("a tensor's header entry is not dtype, shape and data_offsets", where=where)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise FormatError(
            "a tensor's shape or range is not made of sizes", where=where, found=f"{shape}, {offsets}"[:200]
        )
    if len(shape) > MAX_DIMS:
        raise FormatError(
            "a tensor has more dimensions than a weight can have",
            where=where,
            found=f"{len(shape)}, at most {MAX_DIMS}",
        )
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise UnsupportedError(
            f"tensors of type {dtype} cannot be read",
            where=where,
            found=f"{dtype}; read are {', '.join(TYPES)}",
            do="where weights are quantised: use the model's checkpoint in BF16, or a GGUF file of it",
        )
    return TYPES[dtype], tuple(shape), (offsets[0], offsets[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _check_cover(path: Path, spans: list[tuple[int, int, str]], size: int) -> None:
    """Ranges must tile the data: no overlap, no hole, nothing beyond (the format says so)."""
    expected = 0
    for start, end, name in sorted(spans):
        if start != expected or end > size:
            raise FormatError(
                "tensors overlap, leave a hole or lie outside the file",
                where=f"{path}, {name}",
                found=f"bytes {start} to {end}, expected to start at {expected} in {size} bytes of data",
                do="fetch the file again",
            )
        expected = end
    if expected != size:
        raise FormatError(
            "the file has bytes that belong to no tensor", where=str(path), found=f"{size - expected} after the last"
        )
