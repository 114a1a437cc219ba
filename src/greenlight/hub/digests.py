"""Which bytes is a model? SHA-256 of its files, remembered so that a file is read once and not at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from greenlight.errors import HubError
from greenlight.formats.part_names import parts_of
from greenlight.hub.cache import read_json, write_json
from greenlight.places import home

_INDEX = "digests.json"
_MAX_INDEX = 10_000
_MODEL_FILES = ("*.safetensors", "*.gguf", "*.json", "*.jinja", "tokenizer.model", "*.tiktoken")


def digest(path: Path | str) -> str:
    """Hex SHA-256 that identifies a model.

    A file's is that of its bytes. A folder's is that of the canonical JSON of name → SHA-256 over the files that
    decide what the model does: weights, configuration, tokenizer, template. So is that of a GGUF model in several
    files, whichever of them is named.

    Raises:
        HubError: nothing is there, or it cannot be read.
        FormatError: a part of a model in several files is missing.
    """
    path, files = Path(path), file_digests(path)
    return digest_of(files) if path.is_dir() or len(files) > 1 else files[path.name]


def digest_of(files: Mapping[str, str]) -> str:
    """One digest of several: SHA-256 of the canonical JSON of name → SHA-256."""
    text = json.dumps(dict(files), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def adapter_digests(path: Path) -> dict[str, str]:
    """Name to hex SHA-256 of what an adapter is: one GGUF file, or two of a folder, whose others decide nothing.

    Raises:
        HubError: one is not there, or cannot be read.
    """
    if path.is_file():
        return file_digests(path)
    return {name: digest(path / name) for name in ("adapter_config.json", "adapter_model.safetensors")}


def file_digests(path: Path | str) -> dict[str, str]:
    """Name to hex SHA-256 of a model's files, remembered by size, inode and times of change.

    Raises:
        HubError: nothing is there, or it cannot be read.
        FormatError: a part of a model in several files is missing.
    """
    path = Path(path)
    if not path.exists():
        raise HubError("this model is not there", where=str(path), do="check the path")
    folder = path.is_dir()
    files = sorted({found for pattern in _MODEL_FILES for found in path.glob(pattern)}) if folder else parts_of(path)
    if not files:
        raise HubError("the folder has no model in it", where=str(path), found="no weights, no config.json")
    index = read_json(home() / _INDEX)
    before = dict(index)
    digests = {file.name: _remembered(file, index) for file in files}
    if index != before:
        trimmed = dict(list(index.items())[-_MAX_INDEX:])
        # A cache that cannot be written costs time at the next start, not this answer.
        with contextlib.suppress(HubError):
            write_json(home() / _INDEX, trimmed)
    return digests


def _remembered(file: Path, index: dict[str, object]) -> str:
    try:
        file = file.resolve(strict=True)
        stat = file.stat()
        known = index.get(str(file))
        key = _key(stat)
        if isinstance(known, list) and known[:-1] == key and isinstance(known[-1], str):
            return known[-1]
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise HubError("a model file cannot be read", where=str(file), found=str(error)) from error
    index[str(file)] = [*key, found]
    return found


def _key(stat: os.stat_result) -> list[int]:
    """What changes when a file's bytes do: the time of modification can be set back, that of the inode cannot."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]


def remember(file: Path, sha256: str) -> None:
    """Note a digest that was computed while the file was written."""
    file = file.resolve()
    stat = file.stat()
    index = read_json(home() / _INDEX)
    index[str(file)] = [*_key(stat), sha256]
    with contextlib.suppress(HubError):
        write_json(home() / _INDEX, index)
