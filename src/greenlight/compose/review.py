"""How does a locked exam become a verdict that can be checked? Ask, measure, decide, report, verify, in that order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from greenlight.assess.instrument import PROBE, check_batch, check_grader, check_template
from greenlight.assess.measured import measure
from greenlight.assess.runner import Progress, Subject, SuiteRunner, Watcher, open_journals
from greenlight.compose.exam import Exam, calibrations, check_only, exams_of
from greenlight.compose.machine import machine
from greenlight.compose.models import Loaded
from greenlight.compose.observer import Observer
from greenlight.compose.settings import Settings
from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import JSON, alone, canonical, now, read_json, write_atomic, write_json, write_manifest
from greenlight.gate.criteria import watch
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.lock import policy_of, read_lock
from greenlight.gate.policy import load_policy

RUN_PACKAGES = ("greenlight-llm", "numpy", "scipy", "tokenizers", "jinja2")
"""Packages whose versions a run records: those that touch a number."""


class Review(NamedTuple):
    """A decided run."""

    folder: Path
    decision: dict[str, JSON]


def open_folder(folder: Path, lock: Mapping[str, JSON], exams: Sequence[Exam], *, include_harmful: bool) -> None:
    """Create a run folder for a lock, or check that an existing one was started by the same lock.

    Raises:
        LockError: the folder holds a run of another lock.
    """
    path = folder / "lock.json"
    if path.exists():
        found = read_lock(path)
        if found["id"] != lock["id"]:
            raise LockError(
                "this folder holds a run under another lock",
                where=str(folder),
                found=f"lock {found['id'][:8]} ({found['model']['name']}), expected {lock['id'][:8]}",
                do="choose another folder with --out; evidence is never overwritten",
            )
        return
    write_atomic(folder / "policy.toml", str(lock["policy"]["toml"]).encode())
    for exam in exams:
        _write_items(folder / "items" / f"{exam.suite.name}.jsonl", exam, include_harmful=include_harmful)
    write_json(folder / "data.json", {"format": "greenlight.data/1", "suites": _data(exams, include_harmful)})
    write_json(folder / "judge.json", {"format": "greenlight.judge/1", "judges": calibrations()})
    # The lock comes last: a folder with a lock is complete up to the first sample.
    write_json(path, lock)


def assess(
    loaded: Loaded,
    lock: Mapping[str, JSON],
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    minutes: float | None = None,
    include_harmful: bool = False,
    observer: Observer | None = None,
) -> None:
    """Put the exam of a lock to the model it names, resuming whatever the folder already holds.

    Args:
        loaded: the model; its digest, template and operations must be those of the lock.
        lock: what was fixed.
        folder: where the evidence goes.
        only: names of assessments to run; the others stay as they are.
        minutes: time budget over everything that is left to do.
        include_harmful: keep the text of harmful items in the folder, not only their id and hash.
        observer: told of each step.

    Raises:
        LockError: the model or the folder is not the lock's.
    """
    check_only(policy_of(lock), only)
    _check_model(loaded, lock)
    exams = exams_of(lock)
    _check_free(folder)
    with alone(folder):
        open_folder(folder, lock, exams, include_harmful=include_harmful)
        _ask(loaded, lock, folder, exams, only=only, minutes=minutes, observer=observer or Observer())


def _ask(
    loaded: Loaded,
    lock: Mapping[str, JSON],
    folder: Path,
    exams: Sequence[Exam],
    *,
    only: Sequence[str] | None,
    minutes: float | None,
    observer: Observer,
) -> None:
    """Suite by suite, then the instrument's checks and the resources; `run.json` is up to date after each."""
    observer.locked(lock, folder)
    chosen = [exam for exam in exams if only is None or exam.suite.name in only]
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    subject = subject_of(loaded, lock)
    run = _start_run(folder, loaded, lock, minutes)
    try:
        for position, exam in enumerate(chosen):
            share = _share(deadline, len(chosen) - position)
            run["wall_s"][exam.suite.name] = run["wall_s"].get(exam.suite.name, 0.0) + _run_suite(
                exam, subject, lock, folder, deadline=share, observer=observer
            )
            write_json(folder / "run.json", run)
        _check_instrument(folder, lock, exams, loaded, subject)
        if "resources" in policy_of(lock).assessments() and (only is None or "resources" in only):
            ops = loaded.model.decoder.ops.name
            found = measure(loaded.model.path, loaded.paths(), ops)
            write_json(folder / "resources.json", {**found, "lock": lock["id"]})
    finally:
        run["ended"] = now()
        write_json(folder / "run.json", run)


def _check_free(folder: Path) -> None:
    """Refuse a folder with anything in it that a run does not write; what a run left before its lock is its own."""
    if (folder / "lock.json").exists() or not folder.exists():
        return
    ours = {"policy.toml", "data.json", "judge.json", "items"}
    strange = (
        [] if not folder.is_dir() else [p.name for p in folder.iterdir() if p.name not in ours and p.name[0] != "."]
    )
    if strange or not folder.is_dir():
        raise EvidenceError(
            "this folder holds something else",
            where=str(folder),
            found=f"{', '.join(sorted(strange)[:3])}, and no lock.json" if strange else "a file",
            do="choose another folder with --out",
        )


def decide(folder: Path | str) -> dict[str, JSON]:
    """Decide a run under its own lock; a decision of the same evidence keeps its time."""
    folder = Path(folder)
    path = folder / "decision.json"
    decided = None
    if path.exists():
        earlier = read_json(path, "decision")
        again = decide_folder(folder, decided=earlier["decided"])
        decided = earlier["decided"] if canonical(again) == canonical(earlier) else None
    decision = decide_folder(folder, decided=decided or now())
    write_json(path, decision)
    return decision


def decide_under(folder: Path | str, policy: str | Path) -> dict[str, JSON]:
    """What another policy would say of the same evidence; shown beside the verdict, never written, never instead."""
    other: dict[str, JSON] = decide_folder(Path(folder), policy_text=load_policy(policy).text)["other"]
    return other


def report(folder: Path | str) -> Path:
    """Write report.html, a pure function of the folder, and the manifest over everything."""
    from greenlight.release.page import render

    folder = Path(folder)
    if not (folder / "decision.json").exists():
        raise EvidenceError("this run is not decided", where=str(folder), do=f"greenlight decide {folder}")
    path = folder / "report.html"
    write_atomic(path, render(folder))
    write_manifest(folder)
    return path


def review(
    loaded: Loaded,
    lock: Mapping[str, JSON],
    folder: Path,
    *,
    minutes: float | None = None,
    include_harmful: bool = False,
    observer: Observer | None = None,
) -> Review:
    """The main job after the lock: assess, decide, report; the folder is then a bundle that `verify` can check."""
    assess(loaded, lock, folder, minutes=minutes, include_harmful=include_harmful, observer=observer)
    decision = decide(folder)
    report(folder)
    if observer:
        observer.decided(decision, folder)
    return Review(folder, decision)


def subject_of(loaded: Loaded, lock: Mapping[str, JSON]) -> Subject:
    """The model under the settings of a lock, ready to be asked."""
    settings = Settings.from_json(lock["settings"])
    return Subject(
        answerer=loaded.model.answerer(),
        system=settings.system,
        sampling=settings.sampling,
        seed=int(lock["seed"], 16),
    )


def _share(deadline: float | None, n_left: int) -> float | None:
    """When the next of n_left suites has to stop, so that the later ones get their part of the budget."""
    if deadline is None:
        return None
    start = time.monotonic()
    return start + max(0.0, deadline - start) / n_left


def _run_suite(
    exam: Exam, subject: Subject, lock: Mapping[str, JSON], folder: Path, *, deadline: float | None, observer: Observer
) -> float:
    suite = exam.suite
    follower = watch(policy_of(lock), suite.name, exam.facts(), calibrations())
    facts = {item.id: {**item.to_json(), "messages": None} for item in exam.items}
    with ExitStack() as stack:
        samples, timings = (stack.enter_context(journal) for journal in open_journals(folder, suite.name, lock["id"]))
        runner = SuiteRunner(
            suite,
            exam.items,
            subject,
            journal=samples,
            timings=timings,
            watcher=_Joined(follower, facts),
        )
        observer.suite_started(suite.name, len(exam.items), len(samples.entries))

        def tell(progress: Progress) -> None:
            observer.progress(progress.suite, progress.n_done, progress.n_items)

        result = runner.run(deadline=deadline, on_progress=tell)
    observer.suite_ended(suite.name, follower.rows(), result.wall_s)
    return result.wall_s


class _Joined:
    """Gives the gate each sample together with the item's own facts, which the journal does not repeat."""

    def __init__(self, follower: Watcher, facts: Mapping[str, Mapping[str, JSON]]) -> None:
        self._follower, self._facts = follower, facts

    def add(self, sample: Mapping[str, JSON]) -> None:
        """Hand on the next sample of the exam's order."""
        self._follower.add({**self._facts[sample["item"]], **sample})

    @property
    def certain(self) -> bool:
        """What the gate says."""
        return self._follower.certain


def _check_model(loaded: Loaded, lock: Mapping[str, JSON]) -> None:
    expected = {
        "model digest": lock["model"]["digest"],
        "chat template": lock["template"]["sha256"],
        "operations": lock["settings"]["ops"],
    }
    found = {
        "model digest": loaded.digest,
        "chat template": loaded.template_sha256,
        "operations": loaded.model.decoder.ops.identity,
    }
    for name, value in expected.items():
        if found[name] != value:
            raise LockError(
                "the lock fixes another model",
                where=name,
                found=f"{found[name]}, expected {value}",
                do="assess the model that was locked, or make a new lock for this one: greenlight lock",
            )


def _write_items(path: Path, exam: Exam, *, include_harmful: bool) -> None:
    redacted = not include_harmful and any(item.harmful for item in exam.items)
    header = {
        "format": "greenlight.items/1",
        "suite": exam.suite.name,
        "version": exam.suite.version,
        "redacted": redacted,
        "sha256": exam.items_sha256,
    }
    lines = [header]
    for item in exam.items:
        hidden = {"messages": None} if redacted and item.harmful else {}
        lines.append({**item.to_json(), **hidden, "prompt_sha256": item.prompt_sha256})
    write_atomic(path, b"".join(canonical(line) + b"\n" for line in lines))


def _data(exams: Sequence[Exam], include_harmful: bool) -> dict[str, JSON]:
    return {
        exam.suite.name: {
            "version": exam.suite.version,
            "licence": exam.suite.licence,
            "n": len(exam.items),
            "sha256": exam.items_sha256,
            "harmful_redacted": not include_harmful and any(item.harmful for item in exam.items),
        }
        for exam in exams
    }


def _start_run(folder: Path, loaded: Loaded, lock: Mapping[str, JSON], minutes: float | None) -> dict[str, JSON]:
    path = folder / "run.json"
    ops = loaded.model.decoder.ops
    start = {
        "engine": {
            "ops": ops.identity,
            "threads": getattr(ops, "threads", 1),
            "greenlight": metadata.version("greenlight-llm"),
        },
        "machine": machine(),
        "packages": {name: metadata.version(name) for name in RUN_PACKAGES},
        "started": now(),
        "minutes": minutes,
    }
    if path.exists():
        # A run may be carried on elsewhere: each start says where it was and with what.
        run = read_json(path, "run")
        run["resumed"] = [*run["resumed"], start]
        return run
    run = {
        "format": "greenlight.run/1",
        "lock": lock["id"],
        "model": loaded.identity(),
        **start,
        "ended": None,
        "wall_s": {},
        "resumed": [],
    }
    write_json(path, run)
    return run


def _check_instrument(
    folder: Path, lock: Mapping[str, JSON], exams: Sequence[Exam], loaded: Loaded, subject: Subject
) -> None:
    generated = [exam for exam in exams if exam.suite.kind == "generate"]
    model = loaded.model
    tokens = model.prompt(PROBE)
    text = model.tokenizer.decode(tokens, skip_special=False)
    value = {
        "format": "greenlight.instrument/1",
        "lock": lock["id"],
        "suites": {exam.suite.name: check_grader(exam.suite, exam.items) for exam in exams},
        "template": check_template(text, tokens, model.tokenizer.bos_id),
        "batch": check_batch(
            subject,
            [item for exam in generated for item in exam.items[:5]],
            together=model.answerer(prefix_cache=False),
            alone=model.answerer(max_sequences=1, prefix_cache=False),
        ),
    }
    write_json(folder / "instrument.json", value)
