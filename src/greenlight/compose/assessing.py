"""How is a locked exam put to a model? Suite by suite, then the instrument's checks, then what the model costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from greenlight.assess.instrument import check_grader
from greenlight.assess.own import suites_of
from greenlight.compose.asking import Room, Shard, ask_suite, share_of
from greenlight.compose.exam import Exam, calibrations_of, check_only, exams_of
from greenlight.compose.observer import Observer
from greenlight.compose.participants import Participants, check_examinee
from greenlight.compose.run_folder import check_free, open_folder, start_run
from greenlight.compose.tasks import locked_tasks, places_of
from greenlight.evidence import JSON, alone, now, write_json
from greenlight.gate.folder import answers_of
from greenlight.gate.lock import policy_of


def assess(
    participants: Participants,
    lock: Mapping[str, JSON],
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    minutes: float | None = None,
    include_harmful: bool = False,
    whole: bool = False,
    shard: Shard | None = None,
    observer: Observer | None = None,
) -> None:
    """Put the exam of a lock to the model it names, resuming whatever the folder already holds.

    Args:
        participants: the model, whose digest, template and operations must be those of the lock; and those that it is
            compared with or judged by.
        lock: what was fixed.
        folder: where the evidence goes.
        only: names of assessments to run; the others stay as they are.
        minutes: time budget over everything that is left to do.
        include_harmful: keep the text of harmful items in the folder, not only their id and hash.
        whole: ask every item, also those that no row needs any more: for comparing, which pairs them.
        shard: ask this part of each suite alone; `merge` joins the parts.
        observer: told of each step.

    Raises:
        LockError: the model or the folder is not the lock's.
    """
    check_only(policy_of(lock), only)
    check_examinee(participants.candidate, lock)
    participants.sit(lock)
    tasks = locked_tasks(lock, places_of(folder, participants.policy))
    exams = exams_of(lock, suites_of(tasks))
    check_free(folder)
    with alone(folder):
        open_folder(folder, lock, exams, tasks, include_harmful=include_harmful)
        chosen = [exam for exam in exams if only is None or exam.suite.name in only]
        watch = observer or Observer()
        _Work(participants, lock, folder, exams, watch, whole=whole, shard=shard).run(
            chosen, only=only, minutes=minutes
        )


class _Work:
    """One run, or one more sitting of it; `run.json` is up to date after each suite."""

    def __init__(
        self,
        participants: Participants,
        lock: Mapping[str, JSON],
        folder: Path,
        exams: Sequence[Exam],
        observer: Observer,
        *,
        whole: bool,
        shard: Shard | None,
    ) -> None:
        self._whole, self._shard = whole, shard
        self._participants, self._lock, self._folder, self._exams = participants, lock, folder, exams
        self._observer, self._policy = observer, policy_of(lock)

    def run(self, chosen: Sequence[Exam], *, only: Sequence[str] | None, minutes: float | None) -> None:
        """Ask the chosen suites, then check and measure."""
        self._observer.locked(self._lock, self._folder)
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        run = start_run(self._folder, self._participants.candidate, self._lock, minutes)
        try:
            room = self._room()
            for position, exam in enumerate(chosen):
                wall_s = ask_suite(room, exam, deadline=share_of(deadline, chosen[position:]))
                run["wall_s"][exam.suite.name] = run["wall_s"].get(exam.suite.name, 0.0) + wall_s
                write_json(self._folder / "run.json", run)
            self._check_instruments()
            if "resources" in self._policy.assessments() and (only is None or "resources" in only):
                self._measure()
        finally:
            run["ended"] = now()
            write_json(self._folder / "run.json", run)

    def _room(self) -> Room:
        return Room(
            folder=self._folder,
            lock_id=self._lock["id"],
            policy=self._policy,
            calibrations=calibrations_of(self._lock),
            participants=self._participants,
            observer=self._observer,
            whole=self._whole,
            shard=self._shard,
        )

    def _check_instruments(self) -> None:
        """Of the candidate, and of each reference that was asked."""
        generated = [exam for exam in self._exams if exam.suite.kind == "generate"]
        some = [item for exam in generated for item in exam.items[:5]]
        for whose in (None, *self._participants.present):
            examinee, subject = self._participants.examinee(whose), self._participants.subject(whose)
            value = {
                "format": "greenlight.instrument/1",
                "lock": self._lock["id"],
                "suites": {exam.suite.name: check_grader(exam.suite, exam.items) for exam in self._exams},
                **examinee.check(subject, some),
            }
            write_json(self._folder / answers_of(whose) / "instrument.json", value)

    def _measure(self) -> None:
        found = self._participants.candidate.measure()
        if found is not None:
            write_json(self._folder / "resources.json", {**found, "lock": self._lock["id"]})
