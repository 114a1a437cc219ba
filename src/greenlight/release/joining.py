"""How does one file of a run come of the same file in several parts of it? One joiner for each kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical, read_json, read_lines

Note = Callable[[str], None]
"""Told of what had to be chosen."""


class Place(NamedTuple):
    """Where a line stands."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


def journal(parts: Sequence[Path], name: str, kind: str, order: Mapping[str, int], note: Note) -> dict[str, bytes]:
    """One journal of several parts; empty where no part has it.

    Args:
        parts: the run folders.
        name: the file in each.
        kind: of journal.
        order: each item's place in the exam.
        note: told where it was put together.

    Raises:
        EvidenceError: two parts say different things of one item.
    """
    there = [part / name for part in parts if (part / name).exists()]
    found: dict[str, tuple[Place, bytes]] = {}
    contents = []
    for path in there:
        header, entries = read_lines(path, kind)
        lines = [canonical(entry) for entry in entries]
        contents.append([canonical(header), *lines])
        for number, (entry, line) in enumerate(zip(entries, lines, strict=True), start=2):
            place = Place(path, number)
            first, bytes_ = found.setdefault(str(entry["item"]), (place, line))
            if bytes_ != line:
                raise _conflict(str(entry["item"]), first, place)
    if not contents:
        return {}
    longest = max(contents, key=len)
    if not all(each == longest[: len(each)] for each in contents):
        longest = [longest[0], *(found[item][1] for item in sorted(found, key=order.__getitem__))]
        note(f"{name}: asked in {len(there)} places, put into the exam's order")
    return {name: b"".join(line + b"\n" for line in longest)}


def union(parts: Sequence[Path], name: str, kind: str) -> dict[str, bytes]:
    """Every line of a journal once, in the order of the parts."""
    lines: dict[bytes, None] = {}
    header = b""
    for part in parts:
        if (part / name).exists():
            head, entries = read_lines(part / name, kind)
            header = canonical(head)
            lines |= dict.fromkeys(canonical(entry) for entry in entries)
    return {name: b"".join(line + b"\n" for line in [header, *lines])} if header else {}


def instrument(parts: Sequence[Path], name: str) -> dict[str, bytes]:
    """Checks of the instrument: the worst that any part found.

    Raises:
        EvidenceError: the parts' graders did not check out alike.
    """
    found = [read_json(part / name, "instrument") for part in parts if (part / name).exists()]
    if not found:
        return {}
    for value in found[1:]:
        if value["suites"] != found[0]["suites"]:
            raise EvidenceError(
                "the parts' graders did not check out alike", where=f"{name} of {', '.join(map(str, parts))}"
            )
    worst = dict(found[0])
    # What was not seen is worse than what was seen to hold, and better than what was seen to fail.
    ranks = {False: 0, None: 1, True: 2}
    worst["template"] = min((value["template"] for value in found), key=lambda check: ranks[check["ok"]])
    worst["batch"] = min(
        (value["batch"] for value in found), key=lambda check: check["identical"] / max(1, check["items"])
    )
    return {name: canonical(worst) + b"\n"}


def resources(parts: Sequence[Path], name: str, note: Note) -> dict[str, bytes]:
    """What the first machine measured: figures of several machines are no figures of one."""
    there = [part for part in parts if (part / name).exists()]
    if not there:
        return {}
    if len({(part / name).read_bytes() for part in there}) > 1:
        note(f"{name}: the machine of {there[0]}; other parts measured other machines")
    return {name: (there[0] / name).read_bytes()}


def labels(parts: Sequence[Path], name: str) -> dict[str, bytes]:
    """Labels of every part; the same labeller's last word on an answer may stand in one part alone.

    Raises:
        EvidenceError: one labeller's last words on one answer differ.
    """
    said: dict[tuple[str, ...], tuple[Place, JSON]] = {}
    for part in parts:
        if not (part / name).exists():
            continue
        _, entries = read_lines(part / name, "labels")
        last = {_whose(entry): (Place(part / name, n), entry) for n, entry in enumerate(entries, start=2)}
        for key, (place, entry) in last.items():
            first, other = said.setdefault(key, (place, entry))
            if other["label"] != entry["label"]:
                raise _conflict(f"{key[2]} labelled by {key[3]}", first, place)
    return union(parts, name, "labels")


def account(parts: Sequence[Path], name: str) -> dict[str, bytes]:
    """One account of all starts, the first as the run's own, the others as those that carried it on."""
    runs = [read_json(part / name, "run") for part in parts if (part / name).exists()]
    if not runs:
        return {}
    first, *others = sorted(runs, key=lambda run: str(run["started"]))
    fields = ("engine", "machine", "packages", "started", "minutes")
    starts = [start for run in others for start in ({field: run[field] for field in fields}, *run["resumed"])]
    wall_s: dict[str, float] = {}
    for run in runs:
        for suite, seconds in run["wall_s"].items():
            wall_s[suite] = wall_s.get(suite, 0.0) + seconds
    ended = [run["ended"] for run in runs]
    value = {
        **first,
        "wall_s": wall_s,
        "ended": None if None in ended else max(ended),
        "resumed": sorted([*first["resumed"], *starts], key=lambda start: str(start["started"])),
    }
    return {name: canonical(value) + b"\n"}


def _whose(entry: Mapping[str, JSON]) -> tuple[str, ...]:
    return str(entry.get("reference")), str(entry["suite"]), str(entry["item"]), str(entry["labeller"])


def _conflict(what: str, first: Place, second: Place) -> EvidenceError:
    return EvidenceError(
        "two parts say different things of one item",
        where=str(second),
        found=f"{what}: other bytes than {first}",
        do="one was changed, or not asked with what the lock fixes: merge without it, and ask that part again",
    )
