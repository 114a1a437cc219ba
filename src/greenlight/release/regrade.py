"""Do the stored questions and grades hold? Digests against the lock, and every answer graded again from its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from greenlight.evidence import JSON, sha256_json
from greenlight.gate.folder import answers_of, read_judgements, read_suite
from greenlight.measure.given import GIVEN, grade_given
from greenlight.measure.graders import Answer, Grade, grade
from greenlight.measure.verdicts import read_judgement
from greenlight.release.difference import DifferenceError, quoted, same
from greenlight.release.files import read_journal


def prompt_digest(item: Mapping[str, JSON]) -> str:
    """What the model saw of an item, as a digest: its messages and choices."""
    turns = [[turn["role"], turn["content"]] for turn in item["messages"]]
    return sha256_json({"choices": item["choices"], "messages": turns})


def check_items(folder: Path, entry: Mapping[str, JSON]) -> bool:
    """Check the questions of one suite against the lock.

    Returns:
        Whether all of them are there in full, so that their digest could be derived.

    Raises:
        DifferenceError: naming the file and the item.
    """
    name = f"items/{entry['suite']}.jsonl"
    header, items = read_journal(folder, name, "items")
    redacted = header["redacted"]
    for line, item in enumerate(items, start=2):
        where = f"{name}, line {line}, {item['id']}"
        if (item["messages"] is None) != (redacted and item["harmful"]):
            raise DifferenceError(f"{where}: its text should be {'left out' if item['messages'] else 'there'}")
        if item["messages"] is not None and prompt_digest(item) != item["prompt_sha256"]:
            raise DifferenceError(f"{where}: prompt_sha256 is not the digest of its prompt")
    if not redacted and sha256_json([full_item(item) for item in items]) != entry["items_sha256"]:
        raise DifferenceError(f"{name}: the items are not those that were locked")
    return not redacted


def full_item(item: Mapping[str, JSON]) -> dict[str, JSON]:
    """An item as its suite drew it, without the digest that the folder adds."""
    return {key: value for key, value in item.items() if key != "prompt_sha256"}


def check_samples(folder: Path, entry: Mapping[str, JSON], lock_id: str, reference: str | None = None) -> int:
    """Grade every stored answer of one suite again.

    Args:
        folder: the bundle.
        entry: the suite as the lock names it.
        lock_id: what the samples must carry.
        reference: whose answers; None for the candidate's.

    Returns:
        How many there are.

    Raises:
        DifferenceError: an answer belongs to another question or lock, or its label, score or reading is another.
    """
    read_suite(folder, entry, lock_id, reference=reference)  # lock, order, prompts, no answer twice
    name = f"{answers_of(reference)}samples/{entry['suite']}.jsonl"
    if not (folder / name).exists():
        return 0
    _, items = read_journal(folder, f"items/{entry['suite']}.jsonl", "items")
    _, samples = read_journal(folder, name, "samples")
    for line, sample in enumerate(samples, start=2):
        item = items[sample["index"]]
        again = asdict(_graded(entry, item, sample))
        for field, value in again.items():
            stored = sample["grade"][field]
            if not same(stored, value):
                raise DifferenceError(
                    f"{name}, line {line}, {item['id']}: {field} is {quoted(stored)}, graded again {quoted(value)}"
                )
        if set(sample["grade"]) != set(again):
            raise DifferenceError(f"{name}, line {line}, {item['id']}: a grade holds label, score and parsed alone")
    return len(samples)


def check_judgements(
    folder: Path, entry: Mapping[str, JSON], lock: Mapping[str, JSON], judge: str, reference: str | None
) -> int:
    """Read every stored verdict of one judge on one suite again.

    Returns:
        How many there are.

    Raises:
        DifferenceError: a verdict is about another answer, or comes to another grade.
    """
    name = f"{answers_of(reference)}judgements/{judge}/{entry['suite']}.jsonl"
    if not (folder / name).exists():
        return 0
    evidence = read_suite(folder, entry, lock["id"], reference=reference)
    read_judgements(folder, judge, evidence, lock["id"], reference=reference)
    _, said = read_journal(folder, name, "judgements")
    for line, judgement in enumerate(said, start=2):
        again = asdict(read_judgement(lock["judges"][judge], judgement))
        if not same(judgement["grade"], again):
            raise DifferenceError(
                f"{name}, line {line}, {judgement['item']}: grade is {quoted(judgement['grade'])}, read again "
                f"{quoted(again)}"
            )
    return len(said)


def _graded(entry: Mapping[str, JSON], item: Mapping[str, JSON], sample: Mapping[str, JSON]) -> Grade:
    """Our grader's reading of the stored answer; of grades that another tool gave, what they come to."""
    if entry["grader"] == GIVEN:
        return grade_given(sample["given"])
    return grade(entry["grader"], item["key"], _answer(sample))


def _answer(sample: Mapping[str, JSON]) -> Answer:
    text, finish = sample["output"], sample["finish"]
    if not (isinstance(text, str) and isinstance(finish, str)):
        raise TypeError(f"output and finish are text, not {quoted(text)} and {quoted(finish)}")
    logprobs = tuple(tuple(float(value) for value in choice) for choice in sample["choice_logprobs"])
    return Answer(text=text, choice_logprobs=logprobs, finish=finish)


def check_drawn(folder: Path, entry: Mapping[str, JSON], drawn: Sequence[Mapping[str, JSON]]) -> None:
    """Check that the lock's seed draws the questions that the folder holds; of withheld ones, all but their text.

    Raises:
        DifferenceError: naming the first item that another seed or suite must have drawn.
    """
    name = f"items/{entry['suite']}.jsonl"
    _, items = read_journal(folder, name, "items")
    if len(drawn) != len(items):
        raise DifferenceError(f"{name}: holds {len(items)} items, the lock's seed draws {len(drawn)}")
    for line, (item, again) in enumerate(zip(items, drawn, strict=True), start=2):
        expected = {**again, "prompt_sha256": prompt_digest(again)}
        if item["messages"] is None:
            expected["messages"] = None
        if not same(item, expected):
            raise DifferenceError(f"{name}, line {line}, {item['id']}: not what the lock's seed draws")
    if sha256_json(list(drawn)) != entry["items_sha256"]:
        raise DifferenceError(f"{name}: the items that the lock's seed draws have another digest than the lock's")
