"""What is a page made from? Everything it shows, read once from the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from greenlight.evidence import JSON, evidence_files, read_json, read_lines, sha256_file
from greenlight.gate.folder import read_optional

PAGE = "report.html"


class Stored(NamedTuple):
    """A sample and where it stands."""

    line: int
    sample: Mapping[str, JSON]


class File(NamedTuple):
    """A file of the folder."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """A decided run."""

    decision: Mapping[str, JSON]
    """decision.json."""

    lock: Mapping[str, JSON]
    """lock.json."""

    judges: Mapping[str, Mapping[str, JSON]]
    """Confusion counts by name."""

    data: Mapping[str, Mapping[str, JSON]]
    """Version, licence and digest by suite."""

    run: Mapping[str, JSON] | None
    """Machine, versions and times; None where the run was cut short before they were written."""

    instrument: Mapping[str, JSON] | None
    """Checks of graders, template and batches."""

    items: Mapping[str, Mapping[str, Mapping[str, JSON]]]
    """Questions by suite and id."""

    samples: Mapping[str, Mapping[str, Stored]]
    """Answers by suite and item."""

    files: tuple[File, ...]
    """Every file that the manifest covers but the page itself."""


def read_contents(folder: Path) -> Contents:
    """Read a decided run.

    Raises:
        EvidenceError: a file is missing or damaged.
    """
    lock = read_json(folder / "lock.json", "lock")
    names = [entry["suite"] for entry in lock["suites"]]
    return Contents(
        decision=read_json(folder / "decision.json", "decision"),
        lock=lock,
        judges=read_json(folder / "judge.json", "judge")["judges"],
        data=(read_optional(folder / "data.json", "data") or {"suites": {}})["suites"],
        run=read_optional(folder / "run.json", "run"),
        instrument=read_optional(folder / "instrument.json", "instrument"),
        items={name: _items(folder, name) for name in names},
        samples={name: _samples(folder, name) for name in names},
        files=tuple(
            File(name, sha256_file(folder / name), (folder / name).stat().st_size)
            for name in evidence_files(folder)
            if name != PAGE
        ),
    )


def _items(folder: Path, suite: str) -> dict[str, Mapping[str, JSON]]:
    return {item["id"]: item for item in read_lines(folder / "items" / f"{suite}.jsonl", "items")[1]}


def _samples(folder: Path, suite: str) -> dict[str, Stored]:
    path = folder / "samples" / f"{suite}.jsonl"
    if not path.exists():
        return {}
    return {entry["item"]: Stored(line, entry) for line, entry in enumerate(read_lines(path, "samples")[1], start=2)}
