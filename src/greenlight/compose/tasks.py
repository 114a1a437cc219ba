"""Where are the tests of the user's own that a policy names? Read, tried and held to what a lock says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from greenlight.assess.own import Task, read_task, self_test, suites_of
from greenlight.assess.suites import Suite
from greenlight.errors import LockError, PolicyError, TaskError
from greenlight.evidence import JSON, sha256, write_atomic
from greenlight.gate.criterion import TaskSpec
from greenlight.gate.lock import policy_of
from greenlight.gate.policy import Policy

FOLDER = "tasks"
"""The part of a run folder that keeps them."""


def tasks_of(policy: Policy) -> tuple[Task, ...]:
    """The policy's own tests, each tried before it may count.

    Raises:
        TaskError: one cannot be read, or fails its self-test.
        PolicyError: a row asks of one what it does not measure, or it is not known where the policy lies.
    """
    found = []
    for spec in policy.tasks:
        task = read_task(policy.folder_needed(f"[task.{spec.name}]") / spec.path)
        _must_fit(spec, task, policy)
        self_test(task)
        found.append(task)
    return tuple(found)


def _must_fit(spec: TaskSpec, task: Task, policy: Policy) -> None:
    if task.name != spec.name:
        raise PolicyError(
            "a task has another name in its file",
            where=f"policy {policy.name}, [task.{spec.name}]",
            found=f"{task.name!r} in {spec.path}",
            do=f"call the table [task.{task.name}]",
        )
    for row in policy.rows_of(task.suite.name):
        if row.metric.name not in task.metrics:
            raise PolicyError(
                "a row asks of a task what it does not measure",
                where=f"policy {policy.name}, {row.name}",
                found=f"its grader measures {', '.join(task.metrics)}",
                do=f'set metric = "{task.metrics[0]}"',
            )


def locked_tasks(lock: Mapping[str, JSON], places: Sequence[tuple[Path, bool]]) -> tuple[Task, ...]:
    """The tests of a lock, from the first place that has the files that were locked.

    Args:
        lock: what was fixed.
        places: folders, and whether each is the `tasks` of a run, which has its own names for the files; otherwise
            the policy says where they are below it.

    Raises:
        LockError: no place has them.
    """
    wanted: Mapping[str, Mapping[str, JSON]] = lock.get("tasks", {})
    paths = {spec.name: spec.path for spec in policy_of(lock).tasks} if wanted else {}
    return tuple(_locked(name, paths[name], entry, places) for name, entry in wanted.items())


def _locked(name: str, path: str, entry: Mapping[str, JSON], places: Sequence[tuple[Path, bool]]) -> Task:
    seen = []
    for folder, ours in places:
        place = folder / (f"{name}.toml" if ours else path)
        try:
            task = read_task(place, items=folder / f"{name}.jsonl" if ours else None)
        except TaskError as error:
            seen.append(f"{place}: {error.what}")
            continue
        if (sha256(task.toml), sha256(task.jsonl)) == (entry["toml_sha256"], entry["jsonl_sha256"]):
            return task
        seen.append(f"{place}: other bytes")
    raise LockError(
        "the files of a task are not those that were locked",
        where=f"task {name}",
        found="; ".join(seen) or "no place to look in",
        do="put the files that were locked beside the policy or the lock",
    )


def places_of(folder: Path, policy: Policy) -> list[tuple[Path, bool]]:
    """Where the files of a lock's tests may be: in the run, if it has begun, then beside the policy or the lock."""
    beside = [] if policy.folder is None else [(policy.folder, False)]
    return [(folder / FOLDER, True), *beside]


def run_tasks(folder: Path, lock: Mapping[str, JSON]) -> dict[str, Suite]:
    """The tests that a run folder keeps; those whose items were withheld are left out."""
    found: dict[str, Suite] = {}
    for name, entry in lock.get("tasks", {}).items():
        try:
            found |= suites_of(locked_tasks({**lock, "tasks": {name: entry}}, [(folder / FOLDER, True)]))
        except LockError:
            continue
    return found


def keep_tasks(folder: Path, tasks: Sequence[Task], *, include_harmful: bool) -> None:
    """Write the tests into a run folder; harmful items stay out of it unless they are asked for."""
    for task in tasks:
        write_atomic(folder / FOLDER / f"{task.name}.toml", task.toml)
        if include_harmful or not any(item.harmful for item in task.items):
            write_atomic(folder / FOLDER / f"{task.name}.jsonl", task.jsonl)
