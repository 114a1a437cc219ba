"""How are the parts of a GGUF model read as one? Each is a GGUF file; the first says what the model is.

llama.cpp's gguf-split writes in each part its number from 0 (`split.no`), how many there are (`split.count`) and how
many tensors they hold together (`split.tensors.count`); all other keys stand in the first (ggml-org/llama.cpp
tools/gguf-split/gguf-split.cpp). Every part is checked against what its name and the others say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.errors import FormatError
from greenlight.formats.gguf import GGUFFile, Value, read_gguf
from greenlight.formats.part_names import parts_of
from greenlight.formats.tensors import Tensor

NUMBER, COUNT, N_TENSORS = "split.no", "split.count", "split.tensors.count"
_OF_THE_PART = (NUMBER, COUNT, N_TENSORS, "general.alignment")
"""Keys that speak of one file alone."""

_AGAIN = "fetch all parts again, from one source"


def read_gguf_model(path: Path | str) -> GGUFFile:
    """A GGUF file, or all parts of the model that it is one part of, as if they were one file.

    Args:
        path: the file, or any of the parts.

    Raises:
        FormatError: as for `read_gguf`; a part is missing, or not of this model.
        UnsupportedError: as for `read_gguf`.
    """
    parts = [read_gguf(part) for part in parts_of(Path(path))]
    if len(parts) == 1:
        _refuse_lone_part(parts[0])
    else:
        _check_numbers(parts)
        _check_keys(parts)
    tensors, homes = _together(parts)
    first = parts[0]
    if len(parts) > 1:
        _check_total(parts, len(tensors))
    return GGUFFile(
        path=first.path,
        size=sum(part.size for part in parts),
        version=first.version,
        alignment=first.alignment,
        metadata={key: value for key, value in first.metadata.items() if key not in (NUMBER, COUNT, N_TENSORS)},
        tensors=tensors,
        homes=homes,
    )


def _refuse_lone_part(file: GGUFFile) -> None:
    """A part whose name does not say so: where the others are cannot be known."""
    count = file.metadata.get(COUNT, 0)
    if _is(count, 0) or _is(count, 1):
        return
    raise FormatError(
        "the file is one part of a model, and its name does not say which",
        where=f"{file.path}, {COUNT}",
        found=f"{file.path.name}, part {_counted(file.metadata.get(NUMBER))} of {_shown(count)}",
        do="give all parts the names that they were published under: NAME-00001-of-00003.gguf and so on",
    )


def _check_numbers(parts: Sequence[GGUFFile]) -> None:
    for number, part in enumerate(parts):
        found = part.metadata.get(NUMBER), part.metadata.get(COUNT)
        if not (_is(found[0], number) and _is(found[1], len(parts))):
            says_nothing = found[0] is None and found[1] is None
            said = "that it is no part" if says_nothing else f"part {_counted(found[0])} of {_shown(found[1])}"
            raise FormatError(
                "a file is not the part that its name says",
                where=f"{part.path}, {NUMBER}",
                found=f"the file says {said}, expected part {number + 1} of {len(parts)}",
                do="give the parts the names that they were published under, or fetch them again",
            )


def _check_keys(parts: Sequence[GGUFFile]) -> None:
    """What a later part says of the model is what the first says."""
    said = parts[0].metadata
    for part in parts[1:]:
        for key, value in part.metadata.items():
            if key not in _OF_THE_PART and not _same(value, said.get(key)):
                raise FormatError(
                    "the parts are of different models",
                    where=f"{part.path}, {key}",
                    found=f"{_shown(value)}, expected {_shown(said.get(key))} as in {parts[0].path.name}",
                    do=_AGAIN,
                )


def _check_total(parts: Sequence[GGUFFile], n_tensors: int) -> None:
    """Each part that says how many tensors there are says how many there are; the first must."""
    for index, part in enumerate(parts):
        total = part.metadata.get(N_TENSORS)
        if not (_is(total, n_tensors) or (total is None and index > 0)):
            raise FormatError(
                "the parts are not of one model: together they hold another number of tensors than promised",
                where=f"{part.path}, {N_TENSORS}",
                found=f"{n_tensors} tensors, expected {_shown(total)}",
                do=_AGAIN,
            )


def _together(parts: Sequence[GGUFFile]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors of all parts by name, and the file that each is in."""
    tensors: dict[str, Tensor] = {}
    homes: dict[str, str] = {}
    for part in parts:
        for name, tensor in part.tensors.items():
            if name in tensors:
                raise FormatError(
                    "two parts hold one tensor",
                    where=f"{part.path}, tensor {name!r}",
                    found=f"it stands in {Path(homes[name]).name}, too",
                    do=_AGAIN,
                )
            tensors[name], homes[name] = tensor, str(part.path)
    return tensors, homes


def _is(value: Any, number: int) -> bool:
    """Whether a value that a file may say anything in is this whole number."""
    return type(value) is int and value == number


def _same(a: Value, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def _counted(number: Any) -> str:
    """A number from 0 as people count."""
    return str(number + 1) if type(number) is int else _shown(number)


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)[:60]
