"""How does what is released get into a run? The author's openness.yml, read, classified and kept with its answers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError
from greenlight.evidence import alone, write_atomic, write_json
from greenlight.measure.openness import Openness, classify, read_release

FILE = "openness.yml"
"""What an author's file of released components is called in a folder."""


class Stated(NamedTuple):
    """What an author says is released."""

    text: bytes
    openness: Openness


def read_openness(path: Path | str) -> Stated:
    """An author's file, classified.

    Raises:
        EvidenceError: it cannot be read.
        ConfigError: it is no such file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError("a file of a release cannot be read", where=str(path), found=str(error)) from error
    return Stated(data, classify(read_release(text, str(path))))


def keep_openness(folder: Path, stated: Stated) -> None:
    """Put it into a run that is not decided yet, or that was decided with the same one.

    Raises:
        EvidenceError: the run holds another one; evidence is never overwritten.
    """
    path = folder / FILE
    if path.exists() and path.read_bytes() != stated.text:
        raise EvidenceError(
            "this run holds another file of what is released",
            where=str(path),
            do="remove it first, if it was wrong; then decide the run again",
        )
    with alone(folder):
        write_atomic(path, stated.text)
        write_json(folder / "openness.json", stated.openness.to_json())
