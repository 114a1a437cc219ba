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
    """One suite of a run."""

    facts: SuiteFacts
    prefix: tuple[Sample, ...]
    """The longest prefix of the exam's order whose items are all finished, each joined with its item's facts."""

    done: frozenset[str]
    """Items that are finished, in the prefix or beyond it."""

    outputs: Mapping[str, str]
    """What the model answered to each finished item."""

    def finished(self, metric: Metric) -> int:
        """How many finished items a metric is about."""
        return sum(item["id"] in self.done for item in self.facts.counted(metric))


def read_suite(folder: Path, entry: Mapping[str, JSON], lock_id: str) -> SuiteEvidence:
    """Items and samples of one suite.

    Args:
        folder: the run.
        entry: the suite as the lock names it.
        lock_id: the lock that the samples must carry.

    Raises:
        EvidenceError: a file is damaged, a sample answers no item of this exam, or answers one twice.
    """
    name = entry["suite"]
    items_path, samples_path = (folder / part / f"{name}.jsonl" for part in ("items", "samples"))
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
    prefix: list[Sample] = []
    for index, item in enumerate(facts.items):
        if index not in samples:
            break
        prefix.append({**item, **samples[index]})
    outputs = {sample["item"]: sample["output"] for sample in samples.values()}
    return SuiteEvidence(facts, tuple(prefix), frozenset(outputs), outputs)


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


def read_labels(
    path: Path, lock_id: str, outputs: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Mapping[str, JSON]]]:
    """Labels by suite and item; the last one of an item counts. Empty where there is no such file.

    Args:
        path: the journal.
        lock_id: the lock that the journal must carry.
        outputs: answers by suite and item; each label must carry the digest of the answer that it is about.

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
    labels: dict[str, dict[str, Mapping[str, JSON]]] = {}
    for number, entry in enumerate(entries, start=2):
        where = f"{path}, line {number}"
        if not (entry["labeller"] and isinstance(entry["human"], bool) and isinstance(entry["label"], str)):
            raise EvidenceError("a label names no labeller, or not whether human", where=where, found=entry["item"])
        output = outputs.get(entry["suite"], {}).get(entry["item"])
        if output is None:
            raise EvidenceError("a label is about an item without an answer", where=where, found=repr(entry["item"]))
        expected = sha256(output.encode())
        if entry.get("output_sha256") != expected:
            raise EvidenceError(
                "a label is about another answer than the one in this run",
                where=where,
                found=f"{entry['item']}: answer {str(entry.get('output_sha256'))[:8]}, expected {expected[:8]}",
                do="restore the samples that were labelled, or remove this line and label the answer again",
            )
        labels.setdefault(entry["suite"], {})[entry["item"]] = entry
    return labels


def read_optional(path: Path, kind: str) -> dict[str, JSON] | None:
    """An evidence file that may be missing."""
    return read_json(path, kind) if path.exists() else None
