"""How do parts of one exam, asked in different places, become one run? Item by item; what conflicts is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError, LockError, UsageError
from greenlight.evidence import JSON, alone, evidence_files, read_lines, write_atomic
from greenlight.gate.folder import answers_of, read_suite
from greenlight.gate.lock import read_lock
from greenlight.release import joining

_SAME = (
    "policy.toml",
    "judge.json",
    "data.json",
    "openness.yml",
    "openness.json",
    "other-policy.toml",
    "contamination.json",
)
"""Files about the whole exam or the release: wherever they are, they must be the same bytes."""

_DROPPED = ("decision.json", "report.html", "lock.json")
"""Files that deciding makes anew, and the lock, which comes last."""


class Merged(NamedTuple):
    """What merging came to."""

    folder: Path
    samples: int
    """Answers in all, references' included."""

    notes: tuple[str, ...]
    """What had to be chosen."""


def merge_runs(folders: Sequence[Path | str], out: Path | str) -> Merged:
    """Join parts of one exam into a new run folder, undecided.

    A suite that was asked in one place keeps its bytes; one that was asked in several is put into the exam's order.

    Raises:
        UsageError: fewer than two folders, or one twice.
        LockError: they are not of one lock.
        EvidenceError: two answers to one item differ, a file that must be the same is not, or the folder is taken.
    """
    parts, target = [Path(folder) for folder in folders], Path(out)
    if len(parts) < 2 or len({part.resolve() for part in parts}) < len(parts):
        raise UsageError("merging takes two runs or more, each once", do="greenlight merge RUN RUN --out RUN")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise EvidenceError(
            "this folder holds something else", where=str(target), do="choose an empty folder with --out"
        )
    locks = _locks(parts)
    with alone(target):
        work = _Merge(parts, locks, target)
        try:
            work.run()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise EvidenceError(
                "evidence has another shape than it should",
                where=", ".join(map(str, parts)),
                found=f"{type(error).__name__}: {str(error)[:160]}",
                do="verify each of the runs, or run again into a new folder",
            ) from error
    return Merged(target, work.samples, tuple(work.notes))


def _locks(parts: Sequence[Path]) -> list[dict[str, JSON]]:
    locks = [read_lock(part / "lock.json") for part in parts]
    for part, lock in zip(parts[1:], locks[1:], strict=True):
        if lock["id"] != locks[0]["id"]:
            raise LockError(
                "these runs are not parts of one exam",
                where=str(part / "lock.json"),
                found=f"lock {lock['id'][:8]} ({lock['model']['name']}), expected {locks[0]['id'][:8]} "
                f"({locks[0]['model']['name']})",
                do="merge runs of one lock (greenlight assess MODEL --lock LOCK); compare others: greenlight compare",
            )
    if locks[0]["kind"] == "imported":
        raise LockError("an imported run has no parts", where=str(parts[0]), do="import all files at once")
    return locks


class _Merge:
    """The steps in order."""

    def __init__(self, parts: Sequence[Path], locks: Sequence[Mapping[str, JSON]], out: Path) -> None:
        self._parts, self._lock, self._out = parts, locks[0], out
        self._first = min(range(len(parts)), key=lambda index: str(locks[index]["created"]))
        self.samples = 0
        self.notes: list[str] = []
        self._orders: dict[str, dict[str, int]] = {}

    def run(self) -> None:
        """Check everything, then write; the lock last, so that a folder with a lock is whole."""
        lock_id = self._lock["id"]
        models = (None, *self._lock.get("references", ()))
        for part in self._parts:
            for whose in models:
                for entry in self._lock["suites"]:
                    read_suite(part, entry, lock_id, reference=whose)
        files = dict(self._same_files())
        for whose in models:
            at = answers_of(whose)
            for entry in self._lock["suites"]:
                suite = entry["suite"]
                self._orders[suite] = {item["id"]: place for place, item in enumerate(self._items(suite))}
                files |= self._journal(f"{at}samples/{suite}.jsonl", "samples", suite)
                for judge in self._lock.get("judges", ()):
                    files |= self._journal(f"{at}judgements/{judge}/{suite}.jsonl", "judgements", suite)
            files |= joining.union(self._parts, f"{at}timings.jsonl", "timings")
            files |= joining.instrument(self._parts, f"{at}instrument.json")
        files |= joining.labels(self._parts, "labels.jsonl")
        files |= joining.union(self._parts, "waivers.jsonl", "waivers")
        files |= joining.resources(self._parts, "resources.json", self.notes.append)
        files |= joining.account(self._parts, "run.json")
        self.samples = sum(data.count(b"\n") - 1 for name, data in files.items() if "samples/" in name)
        strange = {str(part / name) for part in self._parts for name in evidence_files(part) if name not in files}
        self.notes += sorted(f"left out: {path}" for path in strange if Path(path).name not in _DROPPED)
        for name, data in files.items():
            write_atomic(self._out / name, data)
        write_atomic(self._out / "lock.json", (self._parts[self._first] / "lock.json").read_bytes())

    def _items(self, suite: str) -> list[dict[str, JSON]]:
        return read_lines(self._parts[0] / "items" / f"{suite}.jsonl", "items")[1]

    def _same_files(self) -> Iterator[tuple[str, bytes]]:
        tasks = sorted({name for part in self._parts for name in evidence_files(part) if name.startswith("tasks/")})
        names = [*_SAME, *tasks, *(f"items/{entry['suite']}.jsonl" for entry in self._lock["suites"])]
        for name in names:
            there = [part for part in self._parts if (part / name).exists()]
            for part in there[1:]:
                if (part / name).read_bytes() != (there[0] / name).read_bytes():
                    raise EvidenceError(
                        "a file that must be the same in every part is not",
                        where=str(part / name),
                        found=f"other bytes than {there[0] / name}",
                        do="ask every part in the same way: with or without --include-harmful",
                    )
            if there:
                yield name, (there[0] / name).read_bytes()

    def _journal(self, name: str, kind: str, suite: str) -> dict[str, bytes]:
        return joining.journal(self._parts, name, kind, self._orders[suite], self.notes.append)
