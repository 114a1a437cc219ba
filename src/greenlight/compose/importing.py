"""How does another tool's run become a run folder? Read, put under a policy after the fact, decided as what it is.

No lock came before these answers, so the folder says so everywhere, and its verdict is never better than HOLD.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from greenlight.assess.imports import (
    READERS,
    ForeignRun,
    ImportedSuite,
    Mapped,
    Wanted,
    default_mapping,
    lines_of,
    to_suite,
)
from greenlight.assess.imports.foreign import ForeignTask
from greenlight.compose.review import decide, report
from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, alone, canonical, sha256, sha256_json, write_atomic, write_json
from greenlight.gate.lock import draw_seed, make_lock
from greenlight.gate.policy import Policy, load_policy
from greenlight.measure.refusal import calibration


class Imported(NamedTuple):
    """An imported run, decided."""

    folder: Path
    decision: dict[str, JSON]
    tasks: tuple[Mapping[str, JSON], ...]
    """Each task: how many answers, which grader, how often it disagrees with the tool."""

    unused: tuple[str, ...]
    """Tasks that no row of the policy reads."""

    def to_json(self) -> dict[str, JSON]:
        """The same for programs."""
        return {
            **self.decision,
            "folder": str(self.folder),
            "tasks": [dict(task) for task in self.tasks],
            "unused": list(self.unused),
        }


def import_run(
    path: Path | str,
    tool: str,
    out: Path | str,
    *,
    policy: str | Path = "starter",
    mapping: Mapping[str, str] | None = None,
    wanted: Wanted | None = None,
    include_harmful: bool = False,
) -> Imported:
    """Judge a run of another tool under a policy, without running it again.

    Args:
        path: what the tool wrote.
        tool: lm-eval, inspect or every-eval-ever.
        out: the run folder; it must not exist.
        policy: the limits.
        mapping: task, or a pattern of tasks, to the assessment that it is read as, `NAME` or `NAME:GRADER`; a task that
            is not mapped is compete.TASK.
        wanted: which tasks, metric and filter are read.
        include_harmful: whether the text of harmful questions is kept.

    Raises:
        UsageError: an unknown tool or mapping, or no row of the policy reads a task of the run.
        FormatError, UnsupportedError: the file cannot be read.
        PolicyError: the policy cannot be read.
        EvidenceError: the output folder is not empty.
    """
    if tool not in READERS:
        raise UsageError("files of this tool cannot be read", found=tool, do=f"--as {', '.join(READERS)}")
    out, rules = Path(out), load_policy(policy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EvidenceError("evidence is never overwritten", where=str(out), do="choose another folder with --out")
    run = READERS[tool](Path(path), wanted or Wanted())
    read_as = _mapped(run, rules, mapping or {})
    tasks = write_imported_run(out, rules, run, read_as, include_harmful=include_harmful)
    decision = decide(out)
    report(out)
    used = {task.name for parts in read_as.values() for task, _ in parts}
    return Imported(out, decision, tasks, tuple(task.name for task in run.tasks if task.name not in used))


def write_imported_run(
    folder: Path,
    policy: Policy,
    run: ForeignRun,
    read_as: Mapping[str, Sequence[tuple[ForeignTask, str]]],
    *,
    include_harmful: bool = False,
) -> tuple[Mapping[str, JSON], ...]:
    """Write the folder of an imported run: everything that deciding and verifying read, and import.json.

    Args:
        folder: where; empty or not there.
        policy: the limits.
        run: what the tool's files say.
        read_as: for each assessment, in policy order, the tasks that are read as it, each with a grader or none.
        include_harmful: whether the text of harmful questions is kept.

    Returns:
        What import.json says of each task.
    """
    fixed = _fixed(run)
    pairs = [(assess, 0) for assess in read_as]
    seed = draw_seed(policy, suites=pairs, nonce=None, **fixed)
    suites = [to_suite(assess, parts, f"{seed:064x}") for assess, parts in read_as.items()]
    judges = {"refusal": calibration()}
    lock = make_lock(
        policy,
        suites=[suite.entry for suite in suites],
        kind="imported",
        nonce=None,
        calibrations={name: sha256_json(value) for name, value in judges.items()},
        **fixed,
    )
    tasks = tuple({**count, "assess": suite.entry["suite"]} for suite in suites for count in suite.counts)
    with alone(folder):
        write_json(folder / "lock.json", lock)
        write_atomic(folder / "policy.toml", policy.text.encode())
        write_json(folder / "judge.json", {"format": "greenlight.judge/1", "judges": judges})
        for suite in suites:
            _write_suite(folder, suite, lock["id"], include_harmful=include_harmful)
        data = {suite.entry["suite"]: _data(suite, include_harmful=include_harmful) for suite in suites}
        write_json(folder / "data.json", {"format": "greenlight.data/1", "suites": data})
        write_json(folder / "instrument.json", _instrument(run, lock["id"], suites))
        write_json(folder / "run.json", _run(run, lock))
        write_json(folder / "import.json", _source(run, lock["id"], tasks))
    return tasks


def _mapped(run: ForeignRun, policy: Policy, mapping: Mapping[str, str]) -> dict[str, list[tuple[ForeignTask, str]]]:
    """Tasks by the assessment that they are read as, in policy order; those that no row reads are left out."""
    for pattern in mapping:
        if not any(fnmatch.fnmatchcase(task.name, pattern) for task in run.tasks):
            names = ", ".join(task.name for task in run.tasks[:20])
            raise UsageError("no task of the run is called so", where="--map", found=pattern, do=f"there are {names}")
    found: dict[str, list[tuple[ForeignTask, str]]] = {assess: [] for assess in policy.suites()}
    wanted = {task.name: _read_as(task, mapping) for task in run.tasks}
    for task in run.tasks:
        assess, grader = wanted[task.name]
        if assess in found:
            found[assess].append((task, grader))
    if not any(found.values()):
        names = ", ".join(dict.fromkeys(read.assess for read in wanted.values()))
        raise UsageError(
            "no row of the policy reads a task of this run",
            where=f"policy {policy.name}",
            found=f"the run is read as {names}; the policy reads {', '.join(policy.suites())}",
            do="say what a task is read as with --map TASK=ASSESSMENT, or give another policy",
        )
    return {assess: parts for assess, parts in found.items() if parts}


def _read_as(task: ForeignTask, mapping: Mapping[str, str]) -> Mapped:
    for pattern, value in mapping.items():
        if fnmatch.fnmatchcase(task.name, pattern):
            assess, _, grader = value.partition(":")
            return Mapped(assess, grader)
    return default_mapping(task.name)


def _fixed(run: ForeignRun) -> dict[str, JSON]:
    """What a lock fixes, as far as the tool tells: the model's digest is of words, as its files are not known."""
    parameters = run.about_model.get("model_num_parameters")
    model: dict[str, JSON] = {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "-", run.model).strip("-.")[:100] or "model",
        "digest": sha256_json({"tool": run.tool, "model": run.model, "about": dict(run.about_model)}),
        "files": {},
        "family": None,
        "parameters": parameters if isinstance(parameters, int) else None,
    }
    settings = {
        "system": run.system,
        "sampling": dict(run.sampling),
        "ops": f"imported/{run.tool}",
        "imported": {"tool": run.tool, "version": run.version},
    }
    return {"model": model, "template_sha256": sha256(run.template.encode()), "settings": settings}


def _write_suite(folder: Path, suite: ImportedSuite, lock_id: str, *, include_harmful: bool) -> None:
    name, redacted = suite.entry["suite"], _redacted(suite, include_harmful=include_harmful)
    head = {
        "format": "greenlight.items/1",
        "suite": name,
        "version": suite.entry["version"],
        "redacted": redacted,
        "sha256": suite.entry["items_sha256"],
    }
    _write_lines(folder / "items" / f"{name}.jsonl", [head, *lines_of(suite, redacted=redacted)])
    head = {"format": "greenlight.samples/1", "lock": lock_id, "suite": name}
    _write_lines(folder / "samples" / f"{name}.jsonl", [head, *suite.samples])


def _write_lines(path: Path, lines: Sequence[Mapping[str, JSON]]) -> None:
    write_atomic(path, b"".join(canonical(line) + b"\n" for line in lines))


def _redacted(suite: ImportedSuite, *, include_harmful: bool) -> bool:
    return not include_harmful and any(item.harmful for item in suite.items)


def _data(suite: ImportedSuite, *, include_harmful: bool) -> dict[str, JSON]:
    datasets = [count["dataset"] for count in suite.counts]
    return {
        "version": suite.entry["version"],
        "licence": "not stated",
        "n": suite.entry["n"],
        "sha256": suite.entry["items_sha256"],
        "harmful_redacted": _redacted(suite, include_harmful=include_harmful),
        **({"dataset": datasets[0]} if len(datasets) == 1 and datasets[0] else {}),
    }


def _instrument(run: ForeignRun, lock_id: str, suites: Sequence[ImportedSuite]) -> dict[str, JSON]:
    own = f"{run.tool}'s own, not checked here"
    return {
        "format": "greenlight.instrument/1",
        "lock": lock_id,
        "imported": run.tool,
        "suites": {suite.entry["suite"]: dict(suite.instrument) for suite in suites if suite.instrument},
        "template": {"ok": None, "bos": 0, "text": own},
        "batch": {"items": 0, "identical": 0, "text": own},
    }


def _run(run: ForeignRun, lock: Mapping[str, JSON]) -> dict[str, JSON]:
    return {
        "format": "greenlight.run/1",
        "lock": lock["id"],
        "model": dict(lock["model"]),
        "engine": {
            "tool": run.tool,
            "version": run.version or "not said",
            "greenlight": metadata.version("greenlight-llm"),
        },
        "machine": {},
        "packages": dict(run.packages),
        "started": run.started,
        "ended": run.ended or None,
        "minutes": None,
        "wall_s": {},
        "resumed": [],
    }


def _source(run: ForeignRun, lock_id: str, tasks: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    return {
        "format": "greenlight.import/1",
        "lock": lock_id,
        "tool": run.tool,
        "version": run.version,
        "files": dict(run.files),
        "model": {"name": run.model, "about": dict(run.about_model)},
        "tasks": [dict(task) for task in tasks],
    }
