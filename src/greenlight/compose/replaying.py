"""Does the model still say what a run recorded? Random items asked again; same bytes, or the first difference."""

from __future__ import annotations

import random
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.assess.own import suites_of
from greenlight.assess.runner import SuiteRunner, open_journals
from greenlight.compose.exam import Exam, exams_of
from greenlight.compose.examinee import Examinee
from greenlight.compose.observer import Observer
from greenlight.compose.participants import Participants, check_examinee
from greenlight.compose.tasks import locked_tasks, places_of
from greenlight.compose.verbs import find_examinee
from greenlight.errors import EvidenceError, LockError, UsageError
from greenlight.evidence import JSON, canonical, read_lines
from greenlight.gate.folder import read_suite
from greenlight.gate.lock import model_reference, policy_of, read_lock
from greenlight.ops import NAMES, name_of

CLOSE = 1e-3
"""Log-probabilities this near to each other are the same where the operations round by the shape of a batch."""

_INVARIANT = "native"
"""Operations whose bits do not depend on the batch: of these, every byte must come out the same."""


class Changed(NamedTuple):
    """The first answer that came out otherwise."""

    file: str
    line: int
    item: str
    field: str
    expected: JSON
    """As the run recorded it."""

    found: JSON
    """As the model says it now."""


class Replay(NamedTuple):
    """What asking again came to."""

    asked: Mapping[str, int]
    """Items that were asked again, by suite."""

    seed: int
    """Draws the same items again."""

    ops: str
    """What computed the answers, both times."""

    difference: Changed | None
    """None where every answer came out the same."""

    @property
    def same(self) -> bool:
        """Whether every answer came out the same."""
        return self.difference is None

    @property
    def exact(self) -> bool:
        """Whether that is to the last byte."""
        return _exact(self.ops)

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        difference = None if self.difference is None else self.difference._asdict()
        told = {"same": self.same, "exact": self.exact, "ops": self.ops, "asked": dict(self.asked)}
        return {**told, "seed": self.seed, "difference": difference}


class _Stored(NamedTuple):
    """An answer where it stands."""

    suite: str
    line: int
    sample: Mapping[str, JSON]


def replay(
    folder: Path | str,
    *,
    size: int,
    seed: int | None = None,
    model: str | None = None,
    ops: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> Replay:
    """Ask random items of a run again, with the model and the operations that its lock fixes.

    Args:
        folder: the run.
        size: how many items; all where there are fewer.
        seed: draws them; by default one that nobody could foresee.
        model: where the model is here; by default what the lock calls it, as a name of the catalog.
        ops: native or numpy; by default what the lock fixes.
        pull: fetch the model if it is not here.
        observer: told of each answer.

    Raises:
        LockError: the model, its template or its operations are not those of the lock.
        EvidenceError: the run is damaged, or has no answers.
    """
    folder = Path(folder)
    if size < 1:
        raise UsageError("nothing would be asked again", found=f"--slice {size}", do="ask for 1 item or more")
    lock = read_lock(folder / "lock.json")
    if lock["kind"] == "imported":
        raise LockError("an imported run was not asked here", where=str(folder), do="replay runs of greenlight assess")
    stored = _stored(folder, lock)
    number = secrets.randbelow(2**32) if seed is None else seed
    chosen = random.Random(f"{lock['id']}/{number}").sample(stored, min(size, len(stored)))  # noqa: S311
    participants = _participants(lock, model or model_reference(lock), ops, pull=pull, observer=observer)
    tasks = suites_of(locked_tasks(lock, places_of(folder, participants.policy)))
    exams = {exam.suite.name: exam for exam in exams_of(lock, tasks)}
    suites = [entry["suite"] for entry in lock["suites"]]
    computed = str(lock["settings"]["ops"])
    by_suite = {suite: [entry for entry in chosen if entry.suite == suite] for suite in suites}
    asked = {suite: len(entries) for suite, entries in by_suite.items() if entries}
    for suite in asked:
        again = _ask_again(exams[suite], participants, lock["id"], by_suite[suite], observer or Observer())
        for entry in sorted(by_suite[suite], key=lambda entry: entry.line):
            if difference := _difference(entry, again[entry.sample["index"]], exact=_exact(computed)):
                return Replay(asked, number, computed, difference)
    return Replay(asked, number, computed, None)


def _exact(ops: str) -> bool:
    return ops.partition("/")[0] == _INVARIANT


def _stored(folder: Path, lock: Mapping[str, JSON]) -> list[_Stored]:
    """Every answer of the candidate, checked against the lock; in an order that is the same wherever it was merged."""
    found = []
    for entry in lock["suites"]:
        read_suite(folder, entry, lock["id"])
        path = folder / "samples" / f"{entry['suite']}.jsonl"
        lines = read_lines(path, "samples")[1] if path.exists() else []
        numbered = (_Stored(entry["suite"], line, sample) for line, sample in enumerate(lines, start=2))
        found += sorted(numbered, key=lambda stored: int(stored.sample["index"]))
    if not found:
        raise EvidenceError("this run has no answers", where=str(folder), do="greenlight assess")
    return found


def _participants(
    lock: Mapping[str, JSON], model: str, ops: str | None, *, pull: bool, observer: Observer | None
) -> Participants:
    locked = name_of(str(lock["settings"]["ops"]))

    def find(name: str) -> Examinee:
        return find_examinee(name, pull=pull, ops=ops or (locked if locked in NAMES else None), observer=observer)

    candidate = find(model)
    check_examinee(candidate, lock)
    participants = Participants(candidate, policy_of(lock), find)
    participants.sit(lock)
    return participants


def _ask_again(
    exam: Exam, participants: Participants, lock_id: str, chosen: Sequence[_Stored], observer: Observer
) -> Mapping[int, Mapping[str, JSON]]:
    """Answers by their place in the exam's order; the run's own folder is not touched."""
    wanted = {int(entry.sample["index"]) for entry in chosen}
    with tempfile.TemporaryDirectory(prefix="greenlight-replay-") as place:
        samples, timings = open_journals(Path(place), exam.suite.name, lock_id)
        with samples, timings:
            runner = SuiteRunner(
                exam.suite,
                exam.items,
                participants.subject(None),
                journal=samples,
                timings=timings,
                watcher=_Only(wanted),
            )
            runner.run(on_progress=lambda progress: observer.progress(progress.suite, progress.n_done, len(wanted)))
        return runner.samples


class _Only:
    """What the runner is told: these places, and nothing is followed."""

    certain = False

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted = wanted

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Nothing is followed."""

    def wants(self, index: int) -> bool:
        """The chosen items."""
        return index in self._wanted


def _same(field: str, stored: JSON, again: JSON, exact: bool) -> bool:
    if exact or None in (stored, again) or field not in ("choice_logprobs", "confidence"):
        return canonical(stored) == canonical(again)
    if field == "confidence":
        return bool(abs(stored - again) <= CLOSE)
    pairs = [(left, right) for left, right in zip(stored, again, strict=False) if len(left) == len(right)]
    return len(pairs) == len(stored) == len(again) and all(
        abs(one - other) <= CLOSE for left, right in pairs for one, other in zip(left, right, strict=True)
    )


def _difference(stored: _Stored, again: Mapping[str, JSON], *, exact: bool) -> Changed | None:
    names = sorted({*again, *stored.sample}, key=[*again, *stored.sample].index)
    field = next((name for name in names if not _same(name, stored.sample.get(name), again.get(name), exact)), None)
    if field is None:
        return None
    return Changed(
        f"samples/{stored.suite}.jsonl",
        stored.line,
        str(again["item"]),
        field,
        stored.sample.get(field),
        again.get(field),
    )
