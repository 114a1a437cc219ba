"""What does a run folder hold? Items and samples of a suite joined and checked against the lock; labels; the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, read_json, read_lines, sha256
from greenlight.gate.facts import SuiteFacts
from greenlight.measure.metrics import Metric, Sample


class SuiteEvidence(NamedTuple):
    """One suite of a run, as one model answered it and one judge read it."""

    facts: SuiteFacts
    samples: Mapping[int, Sample]
    """Finished items by their place in the exam's order, each joined with its item's facts."""

    @property
    def outputs(self) -> dict[str, str]:
        """What the model answered to each finished item."""
        return {sample["item"]: sample["output"] for sample in self.samples.values()}

    def finished(self, metric: Metric) -> int:
        """How many finished items a metric is about, in the prefix or beyond it."""
        return sum(metric.counts(sample) for sample in self.samples.values())

    def beside(self, reference: SuiteEvidence) -> SuiteEvidence:
        """Items that both have finished, with the other's answer under `reference`."""
        both = self.samples.keys() & reference.samples.keys()
        joined = {index: {**self.samples[index], "reference": reference.samples[index]} for index in sorted(both)}
        return SuiteEvidence(self.facts, joined)

    def read_by(self, judgements: Mapping[str, Mapping[str, JSON]]) -> SuiteEvidence:
        """Items that a judge has read, with its grade in place of the suite's own."""
        read = {
            index: {**sample, "grade": judgements[sample["item"]]["grade"]}
            for index, sample in self.samples.items()
            if sample["item"] in judgements
        }
        return SuiteEvidence(self.facts, read)


class Answers(NamedTuple):
    """Whose answers to which suite."""

    reference: str | None
    suite: str


def answers_of(reference: str | None) -> str:
    """The part of a run folder in which one model's answers lie: the candidate's own, or a reference's."""
    return "" if reference is None else f"references/{reference}/"


def read_suite(folder: Path, entry: Mapping[str, JSON], lock_id: str, *, reference: str | None = None) -> SuiteEvidence:
    """Items and samples of one suite.

    Args:
        folder: the run.
        entry: the suite as the lock names it.
        lock_id: the lock that the samples must carry.
        reference: whose answers; None for the candidate's.

    Raises:
        EvidenceError: a file is damaged, a sample answers no item of this exam, or answers one twice.
    """
    name = entry["suite"]
    items_path = folder / "items" / f"{name}.jsonl"
    samples_path = folder / answers_of(reference) / "samples" / f"{name}.jsonl"
    header, items = read_lines(items_path, "items")
    found = (header["suite"], header["version"], header["sha256"], len(items))
    expected = (name, entry["version"], entry["items_sha256"], entry["n"])
    if found != expected:
        raise EvidenceError(
            "these are not the items that were locked", where=str(items_path), found=f"{found}, not {expected}"
        )
    facts = SuiteFacts.of(
        name=name,
        version=entry["version"],
        kind="choice" if any(item["choices"] for item in items) else "generate",
        answer_tokens=entry["answer_tokens"],
        items=items,
    )
    samples = _samples(samples_path, items, name, lock_id) if samples_path.exists() else {}
    return SuiteEvidence(facts, {index: {**facts.items[index], **sample} for index, sample in samples.items()})


def _samples(
    path: Path, items: Sequence[Mapping[str, JSON]], suite: str, lock_id: str
) -> dict[int, Mapping[str, JSON]]:
    """Samples by their item's position."""
    header, entries = read_lines(path, "samples")
    if (header["lock"], header["suite"]) != (lock_id, suite):
        raise EvidenceError(
            "these samples were made under another lock",
            where=str(path),
            found=f"lock {str(header['lock'])[:8]}, suite {header['suite']}; expected {lock_id[:8]}, {suite}",
        )
    position = {item["id"]: index for index, item in enumerate(items)}
    samples: dict[int, Mapping[str, JSON]] = {}
    for number, entry in enumerate(entries, start=2):
        index = position.get(entry["item"])
        if index is None or index != entry["index"] or index in samples:
            raise EvidenceError(
                "a sample answers no item of this exam, or one that was answered before",
                where=f"{path}, line {number}",
                found=repr(entry["item"]),
            )
        if entry["prompt_sha256"] != items[index]["prompt_sha256"]:
            raise EvidenceError(
                "a sample answers another prompt than its item's", where=f"{path}, line {number}", found=entry["item"]
            )
        samples[index] = entry
    return samples


def read_judgements(
    folder: Path, judge: str, evidence: SuiteEvidence, lock_id: str, *, reference: str | None = None
) -> dict[str, Mapping[str, JSON]]:
    """What a judge made of one suite's answers, by item; empty where it was not asked.

    Raises:
        EvidenceError: damaged, made under another lock, about an answer that is not in this run, or twice about one.
    """
    path = folder / answers_of(reference) / "judgements" / judge / f"{evidence.facts.name}.jsonl"
    if not path.exists():
        return {}
    header, entries = read_lines(path, "judgements")
    if (header["lock"], header["judge"], header["suite"]) != (lock_id, judge, evidence.facts.name):
        raise EvidenceError("these judgements were made for something else", where=str(path), found=repr(header)[:160])
    outputs, found = evidence.outputs, dict[str, Mapping[str, JSON]]()
    for number, entry in enumerate(entries, start=2):
        output = outputs.get(entry["item"])
        if output is None or entry["output_sha256"] != sha256(output.encode()) or entry["item"] in found:
            raise EvidenceError(
                "a judgement is about no answer of this run, or about one that was judged before",
                where=f"{path}, line {number}",
                found=repr(entry["item"]),
            )
        found[entry["item"]] = entry
    return found


def read_labels(
    path: Path, lock_id: str, outputs: Mapping[Answers, Mapping[str, str]]
) -> dict[Answers, dict[str, tuple[Mapping[str, JSON], ...]]]:
    """Labels by whose answers, suite and item: the last word of each labeller, and what was settled on (`resolves`).

    Empty where there is no such file.

    Args:
        path: the journal.
        lock_id: the lock that the journal must carry.
        outputs: answers by whose they are, suite and item; each label must carry the digest of what it is about.

    Raises:
        EvidenceError: damaged, made under another lock, or about an answer that is not in this run.
    """
    if not path.exists():
        return {}
    header, entries = read_lines(path, "labels")
    if header.get("lock") != lock_id:
        raise EvidenceError(
            "these labels were made under another lock",
            where=f"{path}, line 1",
            found=f"lock {str(header.get('lock'))[:8]}, expected {lock_id[:8]}",
            do="remove the file, then label the answers of this run: greenlight label RUN",
        )
    said: dict[Answers, dict[str, dict[str | None, Mapping[str, JSON]]]] = {}
    for number, entry in enumerate(entries, start=2):
        whose = Answers(entry.get("reference"), entry["suite"])
        _check_label(entry, outputs.get(whose, {}).get(entry["item"]), f"{path}, line {number}")
        known = said.setdefault(whose, {}).setdefault(entry["item"], {})
        if entry.get("resolves"):
            _check_settling(entry, known, f"{path}, line {number}")
            known[None] = entry
        else:
            # Whoever says something else afterwards opens the question again.
            if None in known and known[None]["label"] != entry["label"]:
                del known[None]
            known[entry["labeller"]] = entry
    return {
        whose: {item: tuple(by_labeller.values()) for item, by_labeller in items.items()}
        for whose, items in said.items()
    }


def _check_settling(entry: Mapping[str, JSON], known: Mapping[str | None, Mapping[str, JSON]], where: str) -> None:
    """Refuse a label that settles what nobody disputed: it would overrule people with one line."""
    people = {label["label"] for label in known.values() if label["human"] and not label.get("resolves")}
    if not entry["human"] or not str(entry.get("reason") or "").strip() or len(people) < 2:
        raise EvidenceError(
            "a label settles a dispute that there is not, or says no reason, or was given by no person",
            where=where,
            found=repr(entry["item"]),
            do="remove this line; settle what two people see differently: greenlight label RUN --resolve",
        )


def _check_label(entry: Mapping[str, JSON], output: str | None, where: str) -> None:
    if not (entry["labeller"] and isinstance(entry["human"], bool) and isinstance(entry["label"], str)):
        raise EvidenceError("a label names no labeller, or not whether human", where=where, found=entry["item"])
    if not isinstance(entry.get("resolves", True), bool):
        raise EvidenceError("a label says neither that it resolves nor that it does not", where=where)
    if output is None:
        raise EvidenceError(
            "a label is about an item without an answer",
            where=where,
            found=repr(entry["item"]),
            do="remove this line; label answers of this run alone: greenlight label RUN",
        )
    expected = sha256(output.encode())
    if entry.get("output_sha256") != expected:
        raise EvidenceError(
            "a label is about another answer than the one in this run",
            where=where,
            found=f"{entry['item']}: answer {str(entry.get('output_sha256'))[:8]}, expected {expected[:8]}",
            do="restore the samples that were labelled, or remove this line and label the answer again",
        )


def read_optional(path: Path, kind: str) -> dict[str, JSON] | None:
    """An evidence file that may be missing."""
    return read_json(path, kind) if path.exists() else None
