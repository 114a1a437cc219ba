"""How do parts of one exam, asked in different places, become one run? Item by item; what conflicts is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError, LockError, UsageError
from greenlight.evidence import JSON, alone, canonical, evidence_files, read_json, read_lines, write_atomic
from greenlight.gate.folder import answers_of, read_suite
from greenlight.gate.lock import read_lock

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


class Place(NamedTuple):
    """Where a line stands."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


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
            files |= self._union(f"{at}timings.jsonl", "timings")
            files |= self._instrument(f"{at}instrument.json")
        files |= self._labels() | self._union("waivers.jsonl", "waivers") | self._resources() | self._run()
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
        """One journal of several parts; empty where no part has it."""
        there = [part / name for part in self._parts if (part / name).exists()]
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
            order = self._orders[suite]
            longest = [longest[0], *(found[item][1] for item in sorted(found, key=order.__getitem__))]
            self.notes.append(f"{name}: asked in {len(there)} places, put into the exam's order")
        return {name: b"".join(line + b"\n" for line in longest)}

    def _union(self, name: str, kind: str) -> dict[str, bytes]:
        """Every line of a journal once, in the order of the parts."""
        lines: dict[bytes, None] = {}
        header = b""
        for part in self._parts:
            if (part / name).exists():
                head, entries = read_lines(part / name, kind)
                header = canonical(head)
                lines |= dict.fromkeys(canonical(entry) for entry in entries)
        return {name: b"".join(line + b"\n" for line in [header, *lines])} if header else {}

    def _instrument(self, name: str) -> dict[str, bytes]:
        """Checks of the instrument: the worst that any part found."""
        found = [read_json(part / name, "instrument") for part in self._parts if (part / name).exists()]
        if not found:
            return {}
        for value in found[1:]:
            if value["suites"] != found[0]["suites"]:
                raise EvidenceError(
                    "the parts' graders did not check out alike", where=f"{name} of {', '.join(map(str, self._parts))}"
                )
        worst = dict(found[0])
        # What was not seen is worse than what was seen to hold, and better than what was seen to fail.
        ranks = {False: 0, None: 1, True: 2}
        worst["template"] = min((value["template"] for value in found), key=lambda check: ranks[check["ok"]])
        worst["batch"] = min(
            (value["batch"] for value in found), key=lambda check: check["identical"] / max(1, check["items"])
        )
        return {name: canonical(worst) + b"\n"}

    def _resources(self) -> dict[str, bytes]:
        name = "resources.json"
        there = [part for part in self._parts if (part / name).exists()]
        if not there:
            return {}
        if len({(part / name).read_bytes() for part in there}) > 1:
            self.notes.append(f"{name}: the machine of {there[0]}; other parts measured other machines")
        return {name: (there[0] / name).read_bytes()}

    def _labels(self) -> dict[str, bytes]:
        """Labels of every part; the same labeller's last word on an answer may stand in one part alone."""
        name, said = "labels.jsonl", dict[tuple[str, ...], tuple[Place, JSON]]()
        lines: dict[bytes, None] = {}
        header = b""
        for part in self._parts:
            if not (part / name).exists():
                continue
            head, entries = read_lines(part / name, "labels")
            header = canonical(head)
            last = {_whose(entry): (Place(part / name, n), entry) for n, entry in enumerate(entries, start=2)}
            for key, (place, entry) in last.items():
                first, other = said.setdefault(key, (place, entry))
                if other["label"] != entry["label"]:
                    raise _conflict(f"{key[2]} labelled by {key[3]}", first, place)
            lines |= dict.fromkeys(canonical(entry) for entry in entries)
        return {name: b"".join(line + b"\n" for line in [header, *lines])} if header else {}

    def _run(self) -> dict[str, bytes]:
        """One account of all starts, the first as the run's own, the others as those that carried it on."""
        runs = [read_json(part / "run.json", "run") for part in self._parts if (part / "run.json").exists()]
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
        return {"run.json": canonical(value) + b"\n"}


def _whose(entry: Mapping[str, JSON]) -> tuple[str, ...]:
    return str(entry.get("reference")), str(entry["suite"]), str(entry["item"]), str(entry["labeller"])


def _conflict(what: str, first: Place, second: Place) -> EvidenceError:
    return EvidenceError(
        "two parts say different things of one item",
        where=str(second),
        found=f"{what}: other bytes than {first}",
        do="one was changed, or not asked with what the lock fixes: merge without it, and ask that part again",
    )
