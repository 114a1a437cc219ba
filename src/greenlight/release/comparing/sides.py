"""Which runs can be laid side by side? Those that ask the same items in the same way, under the same settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, read_lines
from greenlight.gate.evidence_rows import RunEvidence
from greenlight.gate.lock import policy_of, read_lock
from greenlight.gate.policy import Policy
from greenlight.release.difference import quoted, same

_FIXED = ("version", "grader", "answer_tokens", "repeats", "files")
"""What two suites of one name must have in common besides their items."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One run, read once."""

    name: str
    """What it is called beside the others."""

    folder: Path
    """Where it lies."""

    lock: Mapping[str, JSON]
    """What was fixed."""

    evidence: RunEvidence
    """Its answers."""

    items: Mapping[str, Mapping[str, Mapping[str, JSON]]]
    """Its questions by suite and id, in the exam's order."""

    @property
    def suites(self) -> dict[str, Mapping[str, JSON]]:
        """What the lock says of each suite."""
        return {entry["suite"]: entry for entry in self.lock["suites"]}


def read_sides(folders: Sequence[Path]) -> tuple[Side, ...]:
    """Read runs.

    Raises:
        UsageError: fewer than two, or one twice.
        EvidenceError: a folder is no run, or it is damaged.
    """
    if len(folders) < 2 or len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError(
            "a comparison takes two runs or more, each once",
            where=", ".join(map(str, folders)) or "compare",
            do="greenlight compare A B",
        )
    locks = [read_lock(folder / "lock.json") for folder in folders]
    names = _names(folders, locks)
    return tuple(_side(*each) for each in zip(names, folders, locks, strict=True))


def _side(name: str, folder: Path, lock: Mapping[str, JSON]) -> Side:
    items = {
        entry["suite"]: {
            item["id"]: item for item in read_lines(folder / "items" / f"{entry['suite']}.jsonl", "items")[1]
        }
        for entry in lock["suites"]
    }
    return Side(name=name, folder=folder, lock=lock, evidence=RunEvidence(folder, lock), items=items)


def _names(folders: Sequence[Path], locks: Sequence[Mapping[str, JSON]]) -> list[str]:
    """Names of the models where they tell the runs apart, else of the folders, else the paths."""
    for names in (
        [str(lock["model"]["name"]) for lock in locks],
        [folder.resolve().name for folder in folders],
    ):
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def policy_for(sides: Sequence[Side], policy: Policy | None) -> Policy:
    """The policy that the runs are held against: the one given, or the one that all were locked with.

    Raises:
        EvidenceError: they were locked with different ones.
    """
    if policy is not None:
        return policy
    texts = {side.lock["policy"]["sha256"]: side for side in sides}
    if len(texts) > 1:
        raise EvidenceError(
            "these runs were locked under different policies",
            where=", ".join(str(side.folder) for side in sides),
            found=", ".join(f"{side.name}: {side.lock['policy']['name']} {sha[:8]}" for sha, side in texts.items()),
            do="name the policy to hold all of them against: --policy POLICY",
        )
    return policy_of(sides[0].lock)


def differing_settings(first: Side, other: Side) -> list[str]:
    """Where the settings that two models were asked under part, in words."""
    return list(_walk(first.lock["settings"], other.lock["settings"], ""))


def _walk(left: Mapping[str, JSON], right: Mapping[str, JSON], prefix: str) -> Iterator[str]:
    for key in sorted({*left, *right}):
        one, two = left.get(key), right.get(key)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            yield from _walk(one, two, f"{prefix}{key}.")
        elif not same(one, two):
            yield f"{prefix}{key}: {quoted(one)} and {quoted(two)}"


def differing_items(first: Side, other: Side, suite: str) -> str | None:
    """What keeps one suite's answers from being paired, in words; None where nothing does."""
    left, right = first.suites[suite], other.suites[suite]
    for field in _FIXED:
        if not same(left.get(field), right.get(field)):
            return f"{suite}: {field} is {quoted(left.get(field))} and {quoted(right.get(field))}"
    ours, theirs = (
        {name: item["prompt_sha256"] for name, item in side.items[suite].items()} for side in (first, other)
    )
    if ours == theirs:
        return None
    shared = sum(theirs.get(name) == digest for name, digest in ours.items())
    return f"{suite}: {shared:,} of {len(ours):,} and {len(theirs):,} questions are the same"


def check_comparable(first: Side, other: Side, *, across: bool) -> tuple[str, ...]:
    """The suites that both runs hold, in the first one's order.

    Raises:
        EvidenceError: the runs ask different items, or under different settings; what differs is named.
    """
    shared = tuple(suite for suite in first.suites if suite in other.suites)
    differing = [words for suite in shared if (words := differing_items(first, other, suite))]
    if not shared or differing:
        found = "; ".join(differing) or f"no suite in common: {', '.join(first.suites)} and {', '.join(other.suites)}"
        raise EvidenceError(
            "these runs did not ask the same items",
            where=f"{first.folder}, {other.folder}",
            found=found,
            do="put the models to one exam: greenlight compare MODEL MODEL",
        )
    settings = differing_settings(first, other)
    if settings and not across:
        raise EvidenceError(
            "these runs asked under different settings",
            where=f"{first.folder}, {other.folder}",
            found="; ".join(settings),
            do="run one of them again under the other's settings; --across compares them all the same and says so",
        )
    return shared
