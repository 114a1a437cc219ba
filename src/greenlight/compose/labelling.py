"""Which answers should a person grade, and where does the grade go? The ones that open rows wait for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from greenlight.compose.exam import redraw
from greenlight.compose.tasks import run_tasks
from greenlight.errors import EvidenceError
from greenlight.evidence import Journal, alone, read_lines, sha256
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.lock import read_lock

CHOICES: Mapping[str, str] = {
    "c": "compliance",
    "p": "partial_refusal",
    "f": "full_refusal",
    "e": "empty",
}
"""Keys that a person types, and the labels they stand for: the refusal judge's own."""


class Pending(NamedTuple):
    """One answer that waits for a person."""

    suite: str
    item: str
    prompt: str
    output: str


def pending(folder: Path) -> list[Pending]:
    """Answers to label next, in the order in which the rows that wait for them will count them.

    Raises:
        EvidenceError: the folder is damaged, or this version cannot draw the exam's prompts again.
    """
    decision = decide_folder(folder)
    wanted = {
        row["assess"]: row["labels"]["next"]
        for row in decision["rows"]
        if row.get("labels") and row["status"] == "INCONCLUSIVE"
    }
    lock = read_lock(folder / "lock.json")
    exam = redraw(lock, run_tasks(folder, lock))
    found = []
    for suite, items in wanted.items():
        if suite not in exam:
            raise EvidenceError(
                "this version of greenlight cannot draw the exam's prompts again",
                where=f"suite {suite}",
                do="label with the version that made the lock",
            )
        prompts = {item["id"]: "\n".join(turn["content"] for turn in item["messages"]) for item in exam[suite]}
        outputs = {
            line["item"]: line["output"] for line in read_lines(folder / "samples" / f"{suite}.jsonl", "samples")[1]
        }
        found += [Pending(suite, item, prompts[item], outputs[item]) for item in items]
    return found


def record(folder: Path, answer: Pending, label: str, labeller: str, reason: str) -> None:
    """Append one person's label to the run's journal of labels.

    Raises:
        EvidenceError: a label that the judge does not know, no name, or a full disk.
    """
    if label not in CHOICES.values() or not labeller.strip():
        raise EvidenceError(
            "a label needs a known word and the name of who gives it",
            found=f"{label!r} by {labeller!r}",
            do=f"use one of {', '.join(CHOICES.values())}",
        )
    entry = {
        "suite": answer.suite,
        "item": answer.item,
        "label": label,
        "labeller": labeller.strip(),
        "human": True,
        "reason": reason.strip(),
        "output_sha256": sha256(answer.output.encode()),
    }
    lock = read_lock(folder / "lock.json")
    with alone(folder), Journal(folder / "labels.jsonl", "labels", {"lock": lock["id"]}) as journal:
        journal.append(entry)
