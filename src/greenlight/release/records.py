"""Do the records beside the answers agree with the lock? Run, data, judge, instrument, resources, timings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from greenlight.evidence import JSON, sha256, sha256_json
from greenlight.gate.lock import policy_of
from greenlight.measure.given import GIVEN, disagree
from greenlight.measure.openness import classify, read_release
from greenlight.release.difference import DifferenceError, quoted, same
from greenlight.release.files import read_journal, read_record

OPTIONAL = {
    "instrument.json": "instrument",
    "resources.json": "resources",
    "run.json": "run",
    "import.json": "import",
    "contamination.json": "contamination",
}
"""Records that a run which was cut short may lack; the decision says what that costs."""

KNOWN = frozenset(
    {"lock.json", "policy.toml", "judge.json", "data.json", "decision.json", "report.html", "manifest.json"}
    | {"timings.jsonl", "labels.jsonl", "openness.yml", "openness.json", "waivers.jsonl", *OPTIONAL}
    | {"other-policy.toml"}
)
"""Files of a run beside its items and samples."""


def check_judges(folder: Path, lock: Mapping[str, JSON]) -> None:
    """Check that the judges' confusion counts are those whose digests were locked.

    Raises:
        DifferenceError: naming the judge.
    """
    judges = read_record(folder, "judge.json", "judge")["judges"]
    if set(judges) != set(lock["calibrations"]):
        raise DifferenceError(f"judge.json: holds {sorted(judges)}, the lock fixes {sorted(lock['calibrations'])}")
    for name, digest in lock["calibrations"].items():
        if sha256_json(judges[name]) != digest:
            raise DifferenceError(f"judge.json, {name}: the judge's counts are not those that were locked")


def check_records(folder: Path, lock: Mapping[str, JSON]) -> list[str]:
    """Check what the other records repeat of the lock.

    Returns:
        What is odd without being wrong.

    Raises:
        DifferenceError: naming the file and the field.
    """
    optional = {
        **OPTIONAL,
        **{f"references/{name}/instrument.json": "instrument" for name in lock.get("references", ())},
    }
    found = {name: read_record(folder, name, kind) for name, kind in optional.items() if (folder / name).exists()}
    for name in found:
        if found[name]["lock"] != lock["id"]:
            raise DifferenceError(
                f"{name}: lock is {quoted(found[name]['lock'])}, the lock here is {quoted(lock['id'])}"
            )
    if "run.json" in found and found["run.json"]["model"]["digest"] != lock["model"]["digest"]:
        raise DifferenceError("run.json: model.digest is not that of the locked model")
    for whose in ("", *(f"references/{name}/" for name in lock.get("references", ()))):
        if (folder / f"{whose}timings.jsonl").exists():
            read_journal(folder, f"{whose}timings.jsonl", "timings")
    _check_data(folder, lock)
    _check_openness(folder)
    _check_tasks(folder, lock)
    if lock["kind"] == "imported":
        return _check_import(folder, lock, found.get("import.json"))
    return _odd_times(lock, found.get("run.json"))


def _check_data(folder: Path, lock: Mapping[str, JSON]) -> None:
    suites = read_record(folder, "data.json", "data")["suites"]
    names = [entry["suite"] for entry in lock["suites"]]
    if sorted(suites) != sorted(names):
        raise DifferenceError(f"data.json: names {sorted(suites)}, the lock {sorted(names)}")
    for entry in lock["suites"]:
        header, _ = read_journal(folder, f"items/{entry['suite']}.jsonl", "items")
        expected = {
            "version": entry["version"],
            "n": entry["n"],
            "sha256": entry["items_sha256"],
            "harmful_redacted": header["redacted"],
        }
        for field, value in expected.items():
            stored = suites[entry["suite"]][field]
            if not same(stored, value):
                raise DifferenceError(
                    f"data.json, {entry['suite']}: {field} is {quoted(stored)}, expected {quoted(value)}"
                )


def _check_tasks(folder: Path, lock: Mapping[str, JSON]) -> None:
    """Check that the user's own tests are the files that were locked, and that rows ask of them what they measure."""
    for name, entry in lock.get("tasks", {}).items():
        if sha256(str(entry["toml"]).encode()) != entry["toml_sha256"]:
            raise DifferenceError(f"lock.json, tasks.{name}: its text has another digest")
        for kind in ("toml", "jsonl"):
            path = folder / "tasks" / f"{name}.{kind}"
            # Harmful items are kept out of a run unless they are asked for.
            if (kind == "toml" or path.exists()) and sha256(path.read_bytes()) != entry[f"{kind}_sha256"]:
                raise DifferenceError(f"tasks/{name}.{kind}: not the file that was locked")
    for row in policy_of(lock).criteria:
        measured = lock.get("tasks", {}).get(row.assess.removeprefix("task."), {}).get("metrics")
        if row.assess.startswith("task.") and measured is not None and row.metric.name not in measured:
            raise DifferenceError(f"{row.name}: the task measures {', '.join(measured)}")


def _check_openness(folder: Path) -> None:
    """Derive the class of the release again from what its author says is released."""
    if not (folder / "openness.json").exists():
        return
    if not (folder / "openness.yml").exists():
        raise DifferenceError("openness.json: openness.yml, from which it was made, is missing")
    stored = read_record(folder, "openness.json", "openness")
    again = classify(read_release((folder / "openness.yml").read_bytes().decode(), "openness.yml")).to_json()
    if not same(stored, again):
        raise DifferenceError("openness.json: does not follow from openness.yml")


def _check_import(folder: Path, lock: Mapping[str, JSON], source: Mapping[str, JSON] | None) -> list[str]:
    """Count again how often our graders disagree with the tool, and say what of its grades cannot be recomputed."""
    if source is None:
        raise DifferenceError("import.json: an imported run must say where it comes from")
    notes = [f"imported from {source['tool']}: the answers were there before the lock"]
    for entry in lock["suites"]:
        _, samples = read_journal(folder, f"samples/{entry['suite']}.jsonl", "samples")
        tasks = [task for task in source["tasks"] if task["assess"] == entry["suite"]]
        if entry["grader"] == GIVEN:
            notes.append(f"{entry['suite']}: the grades are {source['tool']}'s own, not recomputable here")
            continue
        counted = sum(disagree(sample["given"], sample["grade"]) for sample in samples)
        stored = sum(task["disagree"] for task in tasks)
        if counted != stored:
            raise DifferenceError(f"import.json, {entry['suite']}: disagree is {stored}, counted again {counted}")
        notes.append(f"{entry['suite']}: {counted:,} of {len(samples):,} answers are graded otherwise than by the tool")
    return notes


def _odd_times(lock: Mapping[str, JSON], run: Mapping[str, JSON] | None) -> list[str]:
    """A run that started before its lock was made: clocks differ, or the lock came second."""
    return [f"run.json says that it {older}"] if (older := older_than_lock(lock, run)) else []


def older_than_lock(lock: Mapping[str, JSON], run: Mapping[str, JSON] | None) -> str:
    """That a run started before its lock was made, in words; empty where it did not.

    Both times are their author's word. An exam's questions come from a nonce that nobody knew before its lock: where
    they are drawn, answers cannot be older. Of a fixed public set they can, and the limits were chosen knowing them.
    """
    if run is None:
        return ""
    started = min(str(start["started"]) for start in (run, *run.get("resumed", ())))
    if started >= str(lock["created"]):
        return ""
    return (
        f"started {started}, before the lock was made ({lock['created']}): threshold changed after results, "
        "unless two clocks differ"
    )


def check_names(names: frozenset[str], lock: Mapping[str, JSON]) -> list[str]:
    """Check that there are no answers or questions of another exam.

    Args:
        names: every file of the folder.
        lock: names the suites.

    Returns:
        Files that this version reads nothing from.

    Raises:
        DifferenceError: naming a file of a suite that the lock does not name.
    """
    suites = [f"{entry['suite']}.jsonl" for entry in lock["suites"]]
    tasks = {f"tasks/{name}.{kind}" for name in lock.get("tasks", ()) for kind in ("toml", "jsonl")}
    ours = KNOWN | tasks | {f"items/{suite}" for suite in suites}
    for whose in ("", *(f"references/{name}/" for name in lock.get("references", ()))):
        parts = ("samples", *(f"judgements/{judge}" for judge in lock.get("judges", ())))
        ours |= {f"{whose}{part}/{suite}" for part in parts for suite in suites}
        ours |= {f"{whose}timings.jsonl", f"{whose}instrument.json"}
    strange = sorted(names - ours)
    for name in strange:
        if name.startswith(("items/", "samples/", "references/", "judgements/", "tasks/")):
            raise DifferenceError(f"{name}: the lock names no suite, task, reference or judge that it could be of")
    return strange
