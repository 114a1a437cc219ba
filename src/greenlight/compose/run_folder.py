"""What lies in a run folder before the first answer? Policy, questions, data, judges' counts, and the lock last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from greenlight.assess.own import Task
from greenlight.compose.exam import Exam, calibrations_of
from greenlight.compose.examinee import Examinee
from greenlight.compose.machine import machine
from greenlight.compose.tasks import FOLDER, keep_tasks
from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import JSON, canonical, now, read_json, write_atomic, write_json
from greenlight.gate.lock import read_lock

RUN_PACKAGES = ("greenlight-llm", "numpy", "scipy", "tokenizers", "jinja2")
"""Packages whose versions a run records: those that touch a number."""


def open_folder(
    folder: Path, lock: Mapping[str, JSON], exams: Sequence[Exam], tasks: Sequence[Task] = (), *, include_harmful: bool
) -> None:
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
    keep_tasks(folder, tasks, include_harmful=include_harmful)
    for exam in exams:
        _write_items(folder / "items" / f"{exam.suite.name}.jsonl", exam, include_harmful=include_harmful)
    write_json(folder / "data.json", {"format": "greenlight.data/1", "suites": _data(exams, include_harmful)})
    write_json(folder / "judge.json", {"format": "greenlight.judge/1", "judges": calibrations_of(lock)})
    # The lock comes last: a folder with a lock is complete up to the first sample.
    write_json(path, lock)


def check_free(folder: Path) -> None:
    """Refuse a folder with anything in it that a run does not write; what a run left before its lock is its own."""
    if (folder / "lock.json").exists() or not folder.exists():
        return
    ours = {"policy.toml", "data.json", "judge.json", "items", FOLDER}
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


def start_run(folder: Path, examinee: Examinee, lock: Mapping[str, JSON], minutes: float | None) -> dict[str, JSON]:
    """Record where and with what a run starts, or is carried on; returns what run.json holds."""
    path = folder / "run.json"
    start = {
        "engine": {**examinee.engine(), "greenlight": metadata.version("greenlight-llm")},
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
        "model": examinee.identity(),
        **start,
        "ended": None,
        "wall_s": {},
        "resumed": [],
    }
    write_json(path, run)
    return run
