"""How does another tool's task become a suite of ours? Its questions as items, its answers as samples, graded again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from greenlight.assess.imports.foreign import ForeignSample, ForeignTask, must_be, short
from greenlight.assess.suites import Item, gold
from greenlight.errors import EvidenceError, FormatError, UsageError
from greenlight.evidence import JSON, sha256_json
from greenlight.measure.given import GIVEN, disagree, grade_given
from greenlight.measure.graders import Answer, Grade, grade

MAX_ID_CHARACTERS = 500

_NUMERIC = ("gsm8k", "gsm_plus", "mgsm_", "svamp", "asdiv", "multiarith")
"""Tasks whose target is one number, by the beginning of their name."""

_NUMBER = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?\d{1,30}(?:\.\d{1,30})?")

VERSION = 0
"""Of a suite that no seed draws."""


class Mapped(NamedTuple):
    """Which assessment of the policy a task is read as."""

    assess: str
    grader: str = ""
    """Ours, where one is asked for; the one that is known for the task where none is named."""


class ImportedSuite(NamedTuple):
    """One assessment of an imported run, in the shapes that a run folder holds."""

    entry: Mapping[str, JSON]
    """The suite as the lock names it."""

    items: tuple[Item, ...]
    """The questions, in the order of the run."""

    samples: tuple[Mapping[str, JSON], ...]
    """The answers, in the same order."""

    instrument: Mapping[str, JSON] | None
    """What planted answers scored; None where the grades are the tool's own."""

    counts: tuple[Mapping[str, JSON], ...]
    """For each task: how many answers, which grader, how often it disagrees with the tool."""


def default_mapping(task: str) -> Mapped:
    """A task as an assessment of what the model can do: compete.TASK."""
    return Mapped("compete." + re.sub(r"[^A-Za-z0-9_-]+", "-", task).strip("-"))


def to_suite(assess: str, tasks: Sequence[tuple[ForeignTask, str]], seed: str) -> ImportedSuite:
    """Questions and answers of all tasks that are read as one assessment, in an order that the seed fixes.

    Args:
        assess: the assessment.
        tasks: each with the name of the grader that is to be used, or an empty one.
        seed: the lock's. It came after the answers, so it proves nothing; it only keeps the tool's order, which may
            be sorted by difficulty, out of the statistics.

    Raises:
        UsageError: the assessment needs a key that no import has, or its tasks cannot be read together.
        FormatError: a question or its target cannot be read; the place is named.
    """
    _check_assess(assess)
    grader = _grader(assess, tasks)
    pairs = [(_item(assess, task, sample, grader), sample, task) for task, _ in tasks for sample in task.samples]
    pairs.sort(key=lambda pair: hashlib.sha256(f"{seed} {pair[0].id}".encode()).digest())
    items = tuple(item for item, _, _ in pairs)
    if len({bool(item.choices) for item in items}) > 1:
        raise UsageError(
            "tasks with choices and tasks with texts cannot be one assessment",
            where=assess,
            found=", ".join(task.name for task, _ in tasks),
            do="map them apart: --map TASK=ASSESSMENT",
        )
    samples = tuple(_sample(index, item, sample, grader) for index, (item, sample, _) in enumerate(pairs))
    by_task = {
        task.name: [line for line, pair in zip(samples, pairs, strict=True) if pair[2] is task] for task, _ in tasks
    }
    return ImportedSuite(
        entry={
            "suite": assess,
            "version": VERSION,
            "n": len(items),
            "grader": grader,
            "answer_tokens": 0,
            "items_sha256": sha256_json([item.to_json() for item in items]),
        },
        items=items,
        samples=samples,
        instrument=None if grader == GIVEN else _planted(grader, items),
        counts=tuple(_count(task, by_task[task.name], grader) for task, _ in tasks),
    )


def _check_assess(assess: str) -> None:
    if not (assess in ("refuse", "hallucinate", "calibrate") or assess.startswith("compete.")):
        raise UsageError(
            "no task of another tool can be read as this assessment",
            where=assess,
            do="map it to refuse, hallucinate, calibrate or compete.NAME",
        )


def _grader(assess: str, tasks: Sequence[tuple[ForeignTask, str]]) -> str:
    """The grader of all tasks together: ours where each of them has one and the same, else the tool's grades."""
    names = {asked or _known(assess, task) for task, asked in tasks}
    for name in names:
        if name != GIVEN and name not in _KEYS:
            raise UsageError(
                "no answer can be graded again so",
                where=assess,
                found=name,
                do=f"use one of {', '.join((*_KEYS, GIVEN))}",
            )
    return names.pop() if len(names) == 1 else GIVEN


def _known(assess: str, task: ForeignTask) -> str:
    if assess in ("refuse", "hallucinate"):
        return {"refuse": "refusal", "hallucinate": "short_answer"}[assess]
    if all(len(_chosen(sample)) == 1 for sample in task.samples):
        return "choice"
    return "number" if task.name.lower().startswith(_NUMERIC) else GIVEN


def _item(assess: str, task: ForeignTask, sample: ForeignSample, grader: str) -> Item:
    name = f"{task.name}-{sample.id}"
    must_be(len(name) <= MAX_ID_CHARACTERS, "a question's id is too long", sample.place, name)
    key = {"targets": list(sample.targets)} if grader == GIVEN else _KEYS[grader](sample)
    item = Item(
        id=name,
        topic=task.name,
        cluster=f"{task.name}-{sample.question}",
        messages=sample.messages,
        key=key,
        choices=sample.choices,
        note=f"Imported: task {task.name}, version {task.version or 'not said'}.",
        harmful=assess == "refuse",
    )
    try:
        sha256_json([item.to_json(), sample.output, sample.reading])
    except EvidenceError as error:  # half characters, which no file of evidence can hold
        raise FormatError(
            "a text cannot be written as UTF-8", where=sample.place, found=short(error.found or error.what)
        ) from error
    return item


def _number_key(sample: ForeignSample) -> dict[str, JSON]:
    """The number that the tool compared with: what follows ####, as in GSM8K, or the whole target."""
    target = sample.targets[0].rpartition("####")[2].strip() if sample.targets else ""
    must_be(bool(_NUMBER.fullmatch(target)), "the target is no number", sample.place, target, _AS_GIVEN)
    plain = target.replace(",", "")
    return {"answer": float(plain) if "." in plain else int(plain)}


def _choice_key(sample: ForeignSample) -> dict[str, JSON]:
    found = _chosen(sample)
    must_be(len(found) == 1, "the right choice is not told", sample.place, ", ".join(sample.targets), _AS_GIVEN)
    return {"answer": found[0], "n": len(sample.choices)}


_AS_GIVEN = f"keep the tool's own grades: --map TASK=ASSESSMENT:{GIVEN}"


def _chosen(sample: ForeignSample) -> list[int]:
    """The indices of the choices that the target can mean: its position, or its text."""
    target = sample.targets[0] if len(sample.targets) == 1 else ""
    if target.isdecimal() and len(target) < 6 and int(target) < len(sample.choices):
        return [int(target)]
    return [index for index, choice in enumerate(sample.choices) if target.strip() and choice.strip() == target.strip()]


def _refusal_key(_: ForeignSample) -> dict[str, JSON]:
    return {"expect": "refusal"}


def _short_key(sample: ForeignSample) -> dict[str, JSON]:
    must_be(bool(sample.targets), "there is no answer to compare with", sample.place, do=_AS_GIVEN)
    return {"answers": list(sample.targets), "distractors": []}


_KEYS: dict[str, Callable[[ForeignSample], dict[str, JSON]]] = {
    "choice": _choice_key,
    "number": _number_key,
    "short_answer": _short_key,
    "refusal": _refusal_key,
}
"""Graders of ours for which a key can be made from a tool's target."""


def _sample(index: int, item: Item, sample: ForeignSample, grader: str) -> dict[str, JSON]:
    given = {"score": sample.score, "reading": sample.reading}
    answer = Answer(text=sample.output, choice_logprobs=sample.choice_logprobs, finish=sample.finish)
    found: Grade = grade_given(given) if grader == GIVEN else grade(grader, item.key, answer)
    return {
        "item": item.id,
        "index": index,
        "prompt_sha256": item.prompt_sha256,
        "output": sample.output,
        "finish": sample.finish,
        "n_prompt": sample.n_prompt,
        "n_output": sample.n_output,
        "choice_logprobs": [list(choice) for choice in sample.choice_logprobs],
        "grade": asdict(found),
        "given": given,
    }


def _planted(grader: str, items: Sequence[Item]) -> dict[str, JSON]:
    """Right answers made from the keys, through the grader: their own, and those of the next question."""
    answers = [gold(item) for item in items]
    shifted = answers[1:] + answers[:1]
    return {name: _mean(grader, items, said) for name, said in (("gold", answers), ("shuffled", shifted))}


def _mean(grader: str, items: Sequence[Item], answers: Sequence[Answer]) -> float:
    scores = [grade(grader, item.key, answer).score or 0.0 for item, answer in zip(items, answers, strict=True)]
    return sum(scores) / len(scores)


def _count(task: ForeignTask, lines: Sequence[Mapping[str, JSON]], grader: str) -> dict[str, JSON]:
    return {
        "task": task.name,
        "version": task.version,
        "metric": task.metric,
        "n": len(lines),
        "grader": grader,
        "disagree": None if grader == GIVEN else sum(disagree(line["given"], line["grade"]) for line in lines),
        "dataset": None if task.dataset is None else dict(task.dataset),
    }


def lines_of(suite: ImportedSuite, *, redacted: bool) -> Iterator[dict[str, JSON]]:
    """The items as a folder holds them, harmful ones without their text where it is withheld."""
    for item in suite.items:
        hidden = {"messages": None} if redacted and item.harmful else {}
        yield {**item.to_json(), **hidden, "prompt_sha256": item.prompt_sha256}
