"""Which files are one GGUF model? A large one comes in parts with numbers: model-00001-of-00003.gguf and so on.

llama.cpp names them so, and finds them by these names (ggml-org/llama.cpp src/llama.cpp, llama_split_path).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import FormatError

MAX_PARTS = 1000
_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


_PIECE = re.compile(r"(?P<whole>.+\.gguf)(?:\.part\d+of\d+|-split-[a-z])")
"""A piece of a file, cut at some byte because the hub took none larger: no GGUF file by itself."""


class PartName(NamedTuple):
    """What a part's name says."""

    stem: str
    """The model's name, with its folder if that was given."""

    number: int
    """Which part, from 1."""

    n_parts: int
    """Of how many."""

    @property
    def possible(self) -> bool:
        """Whether there can be such a part."""
        return 1 <= self.number <= self.n_parts <= MAX_PARTS

    def all(self) -> list[str]:
        """The names of all parts."""
        return [f"{self.stem}-{number:05}-of-{self.n_parts:05}.gguf" for number in range(1, self.n_parts + 1)]


def part_name(name: str) -> PartName | None:
    """What a name says; None for a file that is no part."""
    match = _NAME.fullmatch(name)
    return PartName(match["stem"], int(match["number"]), int(match["count"])) if match else None


def model_name(name: str) -> str:
    """A file's or folder's name without its ending, and without the number of a part."""
    said = part_name(name)
    return said.stem if said else name.removesuffix(".gguf")


def piece_of(name: str) -> str | None:
    """The name of the file that a file is a mere piece of; None where it is none."""
    match = _PIECE.fullmatch(name)
    return match["whole"] if match else None


def parts_of(path: Path) -> list[Path]:
    """All files of the GGUF model that a file is, or is one part of, in order.

    Raises:
        FormatError: a part is not there, its number makes no sense, or it is a piece that says nothing by itself.
    """
    if whole := piece_of(path.name):
        raise FormatError(
            "a piece of a GGUF file is no model by itself",
            where=str(path),
            found=f"{path.name}, cut out of {whole}",
            do=f"put all pieces together in order, as their makers say: cat PIECES > {whole}",
        )
    said = part_name(path.name)
    if said is None:
        return [path]
    if not said.possible:
        raise FormatError(
            "a part's number makes no sense",
            where=str(path),
            found=f"part {said.number} of {said.n_parts}",
            do="give the file the name that it was published under",
        )
    parts = [path.with_name(name) for name in said.all()]
    if missing := [part.name for part in parts if not part.exists()]:
        raise FormatError(
            "parts of this model are missing",
            where=str(path.parent),
            found=f"{len(parts) - len(missing)} of {len(parts)} parts; missing: {_some(missing)}",
            do="fetch the missing parts of the same model and put them beside the others",
        )
    return parts


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
