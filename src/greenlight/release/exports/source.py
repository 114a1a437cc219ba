"""What is every form made from? A decided run, read once, and what a form says where it cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from greenlight.evidence import JSON, MANIFEST, canonical, sha256_file
from greenlight.measure.openness import Openness
from greenlight.release.explanation import limit_words, number
from greenlight.release.exports.team import Team
from greenlight.release.order import VERDICTS, Row
from greenlight.release.page.contents import Contents, read_contents

BLANK = "the team must answer"
"""What stands where only the people behind a model know; never a guess."""


class NotApplicableError(Exception):
    """A form that cannot be made of this run, with the reason and what would change that."""

    def __init__(self, why: str, do: str = "") -> None:
        super().__init__(why)
        self.why, self.do = why, do


class File(NamedTuple):
    """One file of an export."""

    path: str
    """Below the output folder, with slashes."""

    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A decided run as the forms read it."""

    contents: Contents
    """Every file of it, read."""

    manifest_sha256: str
    """Digest of manifest.json, which names the digest of every other file."""

    openness: Openness | None = None
    """What is released under which licence, where that was stated."""

    @property
    def decision(self) -> Mapping[str, JSON]:
        """decision.json."""
        return self.contents.decision

    @property
    def lock(self) -> Mapping[str, JSON]:
        """lock.json."""
        return self.contents.lock

    @property
    def verdict(self) -> str:
        """As people say it."""
        return VERDICTS[self.decision["verdict"]]

    @property
    def model_files(self) -> Mapping[str, str]:
        """The model's files by name, with the digests that were locked; empty where none are known."""
        return dict(sorted(self.lock["model"]["files"].items()))

    def measured(self) -> list[Row]:
        """Rows with a number, in the decision's order."""
        return [row for row in self.decision["rows"] if row["value"] is not None]

    def statements(self) -> list[Row]:
        """Risks that are named and were not measured."""
        return [row for row in self.decision["rows"] if row["metric"] == "statement"]

    def entry(self, row: Row) -> Mapping[str, JSON] | None:
        """The suite that a row reads, as the lock names it; None for what puts no items to the model."""
        return next((entry for entry in self.lock["suites"] if entry["suite"] == row["assess"]), None)


Form = Callable[[Source, Team], Iterable[File]]
"""What a form's module offers: a pure function, which raises NotApplicableError where it has nothing to say."""


def read_source(folder: Path, openness: Openness | None = None) -> Source:
    """Read a decided run.

    Raises:
        EvidenceError: a file is missing or damaged.
    """
    return Source(contents=read_contents(folder), manifest_sha256=sha256_file(folder / MANIFEST), openness=openness)


def json_file(path: str, value: JSON) -> File:
    """A JSON file in the one spelling that our digests are of."""
    return File(path, canonical(value) + b"\n")


def level(row: Row) -> float | None:
    """With which probability a row's interval holds the number, both ends together; None where it says none.

    Each end of an interval that carries a verdict may be wrong with alpha; one for display is of 95 %; the figures of
    a machine are the least and the most that was seen, and what is recorded has none.
    """
    if row["assess"] in ("resources", "open") or row["lower"] is None:
        return None
    return 0.95 if row["limit"] is None else 1 - 2 * row["alpha"]


def interval_words(row: Row) -> str:
    """A row's interval as text; empty where it has none."""
    if row["lower"] is None or row["upper"] is None:
        return ""
    return f"{number(row, row['lower'])} to {number(row, row['upper'])}"


def note(row: Row) -> str:
    """What must never be parted from a number: n, interval, how it was made, limit and status, in one line."""
    parts = [f"n = {row['n_used']:,}" + (f" of {row['n_planned']:,} planned" if row["n_planned"] else "")]
    if bounds := interval_words(row):
        sure = level(row)
        parts.append(f"interval {bounds}" + ("" if sure is None else f" ({100 * sure:.3g} %)"))
    parts.append(f"method: {row['method']}")
    if row["limit"] is not None:
        parts.append(f"limit {limit_words(row)}")
    if row["judge"]:
        parts.append(f"judge {row['judge']['name']}" + (", advisory" if row["judge"]["advisory"] else ""))
    return "; ".join([*parts, f"status {row['status']}"])
