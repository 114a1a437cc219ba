"""How is one suite put to everyone who has to answer it? The candidate, the references, and judges that are models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from greenlight.assess.judge import JudgeRunner
from greenlight.assess.runner import Progress, SuiteRunner, Watcher, open_journals
from greenlight.compose.exam import Exam
from greenlight.compose.observer import Observer
from greenlight.compose.participants import Participants
from greenlight.evidence import JSON
from greenlight.gate.criteria import SuiteWatch, watch
from greenlight.gate.criterion import OWN, RULES, Track
from greenlight.gate.folder import answers_of
from greenlight.gate.policy import Policy

FIRST_BLOCK = 64
"""Items that all answer before rows beside a reference, or read by a judge, are looked at; then twice as many."""


class Shard(NamedTuple):
    """Every so many-th item of each suite's order."""

    number: int
    """Which part, from 1."""

    parts: int
    """How many there are."""

    def holds(self, index: int) -> bool:
        """Whether an item of the exam's order is of this part."""
        return index % self.parts == self.number - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """Everything that asking a suite takes besides the suite."""

    folder: Path
    """Where the evidence goes."""

    lock_id: str
    """What it belongs to."""

    policy: Policy
    """Whose rows are followed."""

    calibrations: Mapping[str, Mapping[str, JSON]]
    """The judges' errors by name."""

    participants: Participants
    """Who is assessed, compared with, and who judges."""

    observer: Observer
    """Told of each step."""

    whole: bool = False
    """Whether the candidate answers every item, also those that no row needs any more."""

    shard: Shard | None = None
    """The part of the items that is asked here, of everyone, in full; None for all of them."""


def ask_suite(room: Room, exam: Exam, *, deadline: float | None) -> float:
    """Ask until every row of the suite has its verdict, all items are answered, or time is up.

    Returns:
        Seconds that it took.
    """
    start = time.monotonic()
    if exam.suite.kind == "choice" and not room.participants.subject(None).answerer.weighs:
        return 0.0
    with ExitStack() as stack:
        sitting = _Sitting(room, exam, stack)
        room.observer.suite_started(exam.suite.name, len(exam.items), sitting.n_kept)
        for upto in _blocks(len(exam.items), sitting.has_others):
            sitting.ask(upto, deadline)
            if sitting.certain or (deadline is not None and time.monotonic() >= deadline):
                break
        wall_s = time.monotonic() - start
        room.observer.suite_ended(exam.suite.name, sitting.rows(), wall_s)
    return wall_s


def _blocks(n: int, has_others: bool) -> Iterator[int]:
    """How many items are to be answered by all before the next look; all at once where only the candidate answers."""
    upto = FIRST_BLOCK
    while has_others and upto < n:
        yield upto
        upto *= 2
    yield n


class _Sitting:
    """One suite, everyone's runners, and what follows the rows of each track."""

    def __init__(self, room: Room, exam: Exam, stack: ExitStack) -> None:
        self._room, self._exam, self._stack = room, exam, stack
        self._facts = [{**item.to_json(), "messages": None} for item in exam.items]
        self._watches = {
            track: watch(room.policy, exam.suite.name, exam.facts(), room.calibrations, track)
            for track in room.policy.tracks(exam.suite.name)
        }
        self._others = [track for track in self._watches if track != OWN]
        self._runners: dict[str | None, SuiteRunner] = {None: self._runner(None)}
        self._judges: dict[tuple[str | None, str], JudgeRunner] = {}
        self.n_kept = self._runners[None].n_done

    @property
    def has_others(self) -> bool:
        """Whether rows read more than the candidate's own answers, as the suite's grader reads them."""
        return bool(self._others)

    @property
    def certain(self) -> bool:
        """Whether more answers cannot change any row with a limit."""
        if self._room.shard is not None:
            return False
        if self._room.whole and self._runners[None].n_done < len(self._exam.items):
            return False
        possible = [follower for track, follower in self._watches.items() if self._possible(track)]
        return bool(possible) and all(follower.certain for follower in possible)

    def rows(self) -> list[dict[str, JSON]]:
        """The suite's rows as they stand."""
        return [row for follower in self._watches.values() for row in follower.rows()]

    def ask(self, upto: int, deadline: float | None) -> None:
        """Let everyone whose answers are still needed answer so many items."""
        self._run(None, upto, deadline)
        for track in self._others:
            follower = self._watches[track]
            if follower.certain or not self._possible(track):
                continue
            if track.reference is not None:
                self._run(track.reference, upto, deadline)
            if track.judge != RULES:
                for whose in dict.fromkeys((None, track.reference)):
                    self._judge(whose, track.judge).run(self._runners[whose].samples, upto, deadline, follower.wants)
            follower.follow(partial(self._seen, track), upto)

    def _possible(self, track: Track) -> bool:
        """Whether everyone of a track can do what it takes: not all models weigh given texts."""
        weighed = self._exam.suite.kind == "choice" or self._room.participants.weighs(track.judge)
        everyone = dict.fromkeys((None, track.reference))
        return not weighed or all(self._room.participants.subject(whose).answerer.weighs for whose in everyone)

    def _run(self, whose: str | None, upto: int, deadline: float | None) -> None:
        if whose not in self._runners:
            self._runners[whose] = self._runner(whose)

        def tell(progress: Progress) -> None:
            name = progress.suite if whose is None else f"{progress.suite} ({whose})"
            self._room.observer.progress(name, progress.n_done, progress.n_items)

        self._runners[whose].run(upto=upto, deadline=deadline, on_progress=tell)

    def _runner(self, whose: str | None) -> SuiteRunner:
        folder = self._room.folder / answers_of(whose)
        pair = open_journals(folder, self._exam.suite.name, self._room.lock_id)
        samples, timings = (self._stack.enter_context(journal) for journal in pair)
        own = self._watches.get(OWN) if whose is None else None
        readers = [
            follower
            for track, follower in self._watches.items()
            if whose in (None, track.reference) and self._possible(track)
        ]
        return SuiteRunner(
            self._exam.suite,
            self._exam.items,
            self._room.participants.subject(whose),
            journal=samples,
            timings=timings,
            watcher=self._watcher(own, readers, whole=self._room.whole and whose is None),
        )

    def _watcher(self, own: SuiteWatch | None, readers: Sequence[SuiteWatch], *, whole: bool) -> Watcher:
        if self._room.shard is not None:
            return _PartWatcher(self._room.shard)
        return _Watcher(own, readers, self._facts, whole=whole)

    def _judge(self, whose: str | None, judge: str) -> JudgeRunner:
        key = (whose, judge)
        if key not in self._judges:
            folder = self._room.folder / answers_of(whose) / "judgements" / judge
            runner = JudgeRunner(
                self._room.participants.reader(judge, whose),
                self._exam.suite.name,
                self._exam.items,
                folder,
                judge=judge,
                lock_id=self._room.lock_id,
            )
            self._judges[key] = self._stack.enter_context(runner)
        return self._judges[key]

    def _seen(self, track: Track, index: int) -> Mapping[str, JSON] | None:
        """An answer as a track sees it, once everyone of the track has finished it."""
        own = self._read(None, track.judge, index)
        if own is None or track.reference is None:
            return own
        other = self._read(track.reference, track.judge, index)
        return None if other is None else {**own, "reference": other}

    def _read(self, whose: str | None, judge: str, index: int) -> Mapping[str, JSON] | None:
        runner = self._runners.get(whose)
        sample = None if runner is None else runner.samples.get(index)
        if sample is None:
            return None
        joined = {**self._facts[index], **sample}
        if judge == RULES:
            return joined
        grade = self._judge(whose, judge).grades.get(sample["item"])
        return None if grade is None else {**joined, "grade": grade}


class _Watcher:
    """What one model's runner is told: which answers are wanted by any track, and when its own rows are certain.

    Args:
        own: follows the candidate's own rows as they come; None for a reference.
        readers: whoever reads this model's answers.
        facts: of the items, which the journal does not repeat.
        whole: every answer is wanted, whether a row needs it or not.
    """

    def __init__(
        self,
        own: SuiteWatch | None,
        readers: Sequence[SuiteWatch],
        facts: Sequence[Mapping[str, JSON]],
        *,
        whole: bool,
    ) -> None:
        self._own, self._readers, self._facts, self._whole = own, readers, facts, whole

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Hand on what is there."""
        if self._own is None:
            return

        def joined(index: int) -> Mapping[str, JSON] | None:
            sample = answer(index)
            return None if sample is None else {**self._facts[index], **sample}

        self._own.follow(joined, upto)

    def wants(self, index: int) -> bool:
        """Whether anyone could still use the answer."""
        return self._whole or any(not reader.certain and reader.wants(index) for reader in self._readers)

    @property
    def certain(self) -> bool:
        """Whether nobody needs more answers."""
        return not self._whole and bool(self._readers) and all(reader.certain for reader in self._readers)


class _PartWatcher:
    """What a runner is told that asks a part of the items: rows need an unbroken order, so none is followed here."""

    certain = False

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Nothing is followed."""

    def wants(self, index: int) -> bool:
        """The items of the part."""
        return self._shard.holds(index)


def share_of(deadline: float | None, left: Sequence[Exam]) -> float | None:
    """When the first of the suites that are left has to stop, so that the later ones get their part of the budget."""
    if deadline is None:
        return None
    start = time.monotonic()
    return start + max(0.0, deadline - start) / len(left)
