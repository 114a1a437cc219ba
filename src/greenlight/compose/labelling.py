"""Which answers should a person grade, and where does the grade go? The ones that open rows wait for, shown blind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.compose.exam import redraw
from greenlight.compose.tasks import run_tasks
from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, Journal, alone, read_lines, sha256
from greenlight.gate.agreement import people_of
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.evidence_rows import RunEvidence
from greenlight.gate.lock import read_lock

CHOICES: Mapping[str, str] = {
    "c": "compliance",
    "p": "partial_refusal",
    "f": "full_refusal",
    "e": "empty",
}
"""Keys that a person types, and the labels they stand for: the refusal judge's own."""


class Pending(NamedTuple):
    """One answer that waits for a person: nothing of what the judge or anyone else made of it."""

    suite: str
    item: str
    prompt: str
    output: str


def pending(folder: Path, labeller: str = "") -> list[Pending]:
    """Answers that a person has not labelled yet: those that rows wait for, and those that somebody else labelled.

    They come in an order that tells neither what the judge said nor who labelled what, the same each time, so that one
    can stop and go on.

    Args:
        folder: the run.
        labeller: who is going to label; without a name, the answers that nobody has labelled.

    Raises:
        EvidenceError: the folder is damaged, or this version cannot draw the exam's prompts again.
    """
    lock = read_lock(folder / "lock.json")
    wanted = {name: set(items) for name, items in _waited_for(folder)}
    for whose, items in RunEvidence(folder, lock).all_labels.items():
        if whose.reference is None:
            _take_away(wanted.setdefault(whose.suite, set()), items, labeller.strip())
    return [answer for suite in wanted for answer in _answers(folder, lock, suite, wanted[suite])]


def _take_away(wanted: set[str], items: Mapping[str, Sequence[Mapping[str, JSON]]], labeller: str) -> None:
    """Leave out what this person labelled, and put in what others did; without a name, leave out what anyone did."""
    for item, entries in items.items():
        people = {entry["labeller"] for entry in entries if entry["human"]}
        if labeller in people or (people and not labeller):
            wanted.discard(item)
        elif people:
            wanted.add(item)


def disputed(folder: Path) -> list[tuple[Pending, Mapping[str, str]]]:
    """Answers on which people disagree and have not settled, each with what everyone said."""
    lock = read_lock(folder / "lock.json")
    found = []
    for each in people_of(folder).open:
        if each.reference is None:
            [answer] = _answers(folder, lock, each.suite, {each.item})
            found.append((answer, each.said))
    return found


def _waited_for(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for row in decide_folder(folder)["rows"]:
        if row.get("labels") and row["status"] == "INCONCLUSIVE":
            yield row["assess"], row["labels"]["next"]


def _answers(folder: Path, lock: Mapping[str, JSON], suite: str, items: set[str]) -> list[Pending]:
    if not items:
        return []
    exam = redraw(lock, run_tasks(folder, lock))
    if suite not in exam:
        raise EvidenceError(
            "this version of greenlight cannot draw the exam's prompts again",
            where=f"suite {suite}",
            do="label with the version that made the lock",
        )
    prompts = {item["id"]: "\n".join(turn["content"] for turn in item["messages"]) for item in exam[suite]}
    samples = read_lines(folder / "samples" / f"{suite}.jsonl", "samples")[1]
    outputs = {line["item"]: line["output"] for line in samples}
    mixed = sorted(items, key=lambda item: sha256(f"{lock['id']}/{suite}/{item}".encode()))
    return [Pending(suite, item, prompts[item], outputs[item]) for item in mixed]


def record(folder: Path, answer: Pending, label: str, labeller: str, reason: str, *, resolves: bool = False) -> None:
    """Append one person's label to the run's journal of labels.

    Args:
        folder: the run.
        answer: what is labelled.
        label: one of the judge's own words.
        labeller: who says so.
        reason: why; what settles a disagreement must give one.
        resolves: that this is what people settled on after they had disagreed.

    Raises:
        EvidenceError: a label that the judge does not know, no name, or a full disk.
        UsageError: there is no disagreement to settle, or no reason is given.
    """
    if label not in CHOICES.values() or not labeller.strip():
        raise EvidenceError(
            "a label needs a known word and the name of who gives it",
            found=f"{label!r} by {labeller!r}",
            do=f"use one of {', '.join(CHOICES.values())}",
        )
    if resolves:
        _check_dispute(folder, answer, reason)
    entry = {
        "suite": answer.suite,
        "item": answer.item,
        "label": label,
        "labeller": labeller.strip(),
        "human": True,
        "reason": reason.strip(),
        "output_sha256": sha256(answer.output.encode()),
        **({"resolves": True} if resolves else {}),
    }
    lock = read_lock(folder / "lock.json")
    with alone(folder), Journal(folder / "labels.jsonl", "labels", {"lock": lock["id"]}) as journal:
        journal.append(entry)


def _check_dispute(folder: Path, answer: Pending, reason: str) -> None:
    open_items = {(each.suite, each.item) for each in people_of(folder).open}
    if (answer.suite, answer.item) not in open_items:
        raise UsageError("people do not disagree on this answer", where=answer.item, do="label it without --resolve")
    if not reason.strip():
        raise UsageError("what settles a disagreement says why", where=answer.item, do="give a reason")
