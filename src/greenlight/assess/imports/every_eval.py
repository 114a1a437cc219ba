"""What does a record of Every Eval Ever hold? Its JSON and the answers in the JSON Lines file that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from greenlight.assess.imports.bounded import Budget, parse, read_lines, read_whole
from greenlight.assess.imports.foreign import (
    ForeignRun,
    ForeignSample,
    ForeignTask,
    Wanted,
    list_of,
    must_be,
    score_of,
    short,
    table_of,
    text_of,
)
from greenlight.assess.suites.item import Message
from greenlight.errors import UnsupportedError, UsageError
from greenlight.evidence import JSON, sha256

TOOL = "every-eval-ever"


def read_every_eval(path: Path, wanted: Wanted) -> ForeignRun:
    """A run from its record, with the answers beside it.

    Raises:
        FormatError: a file is missing, damaged, or not what the format says; the line is named.
        UnsupportedError: the record has no answers.
        UsageError: a task or result must be named, or is not there.
    """
    data = read_whole(path)
    record = table_of(parse(data, str(path)), "a record", str(path))
    version = text_of(record, "schema_version", str(path))
    must_be(version.startswith("0."), "the record is of another version", str(path), version, "0.x is known")
    if not isinstance(record.get("detailed_evaluation_results"), dict):
        raise UnsupportedError(
            "the record holds numbers without answers, so there is nothing to judge",
            where=str(path),
            do="take a record with detailed_evaluation_results",
        )
    details = table_of(record["detailed_evaluation_results"], "'detailed_evaluation_results'", str(path))
    answers = path.with_name(Path(text_of(details, "file_path", str(path))).name)
    digest = hashlib.sha256()
    reader = _Reader(text_of(record, "evaluation_id", str(path)), wanted)
    tasks = reader.tasks(answers, digest)
    if details.get("hash_algorithm") == "sha256" and details.get("checksum"):
        same = details["checksum"] == digest.hexdigest()
        must_be(same, "the answers are not those of the record", str(answers), digest.hexdigest(), "take both again")
    return _run(record, str(path), {path.name: sha256(data), answers.name: digest.hexdigest()}, tasks)


def _run(
    record: Mapping[str, JSON], where: str, files: Mapping[str, str], tasks: tuple[ForeignTask, ...]
) -> ForeignRun:
    library = table_of(record.get("eval_library"), "'eval_library'", where)
    model = table_of(record.get("model_info"), "'model_info'", where)
    name, version = text_of(library, "name", where), text_of(library, "version", where)
    return ForeignRun(
        tool=TOOL,
        version=text_of(record, "schema_version", where),
        model=text_of(model, "name", where),
        about_model=dict(model),
        packages={name: version},
        files=files,
        tasks=tasks,
    )


class _Reader:
    """Reads the answers of one record."""

    def __init__(self, evaluation: str, wanted: Wanted) -> None:
        self._evaluation, self._wanted = evaluation, wanted

    def tasks(self, path: Path, digest: hashlib._Hash) -> tuple[ForeignTask, ...]:
        found: dict[str, dict[str, ForeignSample]] = {}
        metrics: dict[str, str] = {}
        for task, metric, sample in self._samples(path, digest):
            known = metrics.setdefault(task, metric)
            if known != metric:
                raise UsageError(
                    "the answers of a task carry several results",
                    where=sample.place,
                    found=f"{task}: {known}, {metric}",
                    do="choose one with --metric NAME",
                )
            samples = found.setdefault(task, {})
            must_be(sample.id not in samples, "a sample occurs twice", sample.place, sample.id)
            samples[sample.id] = sample
        for task in self._wanted.tasks:
            if task not in found:
                raise UsageError("the record holds no task of this name", where=str(path), found=task)
        must_be(bool(found), "the record holds no answer that was asked for", str(path), do="leave --metric out")
        return tuple(
            ForeignTask(name=task, version="", metric=metrics[task], samples=tuple(samples.values()))
            for task, samples in found.items()
        )

    def _samples(self, path: Path, digest: hashlib._Hash) -> Iterator[tuple[str, str, ForeignSample]]:
        budget = Budget(str(path))
        for where, value in read_lines(path, digest):
            line = table_of(value, "a line", where)
            must_be(line.get("evaluation_id") == self._evaluation, "an answer is of another record", where)
            task = text_of(line, "evaluation_name", where)
            result = line.get("evaluation_result_id")
            metric = result if isinstance(result, str) else "score"
            if (self._wanted.tasks and task not in self._wanted.tasks) or (
                self._wanted.metric and metric != self._wanted.metric
            ):
                continue
            sample = _sample(line, where)
            budget.take(sample.output, *(message.content for message in sample.messages))
            yield task, metric, sample


def _sample(line: Mapping[str, JSON], where: str) -> ForeignSample:
    given = table_of(line.get("input"), "'input'", where)
    evaluation = table_of(line.get("evaluation"), "'evaluation'", where)
    name = text_of(line, "sample_id", where)
    messages, output = _conversation(line, given, where)
    reference = given.get("reference")
    usage = line.get("token_usage")
    tokens = usage if isinstance(usage, dict) else {}
    return ForeignSample(
        id=name,
        question=name,
        messages=messages,
        output=output,
        finish="unknown",
        targets=tuple(text for text in reference if isinstance(text, str)) if isinstance(reference, list) else (),
        score=score_of(evaluation.get("score"), where, "score"),
        reading=_reading(line.get("answer_attribution")),
        n_prompt=_count(tokens.get("input_tokens")),
        n_output=_count(tokens.get("output_tokens")),
        place=where,
    )


def _conversation(line: Mapping[str, JSON], given: Mapping[str, JSON], where: str) -> tuple[tuple[Message, ...], str]:
    if line.get("interaction_type") == "single_turn":
        raw = list_of(table_of(line.get("output"), "'output'", where).get("raw"), "'output.raw'", where)
        must_be(len(raw) == 1 and isinstance(raw[0], str), "an answer should be one text", where, raw)
        prompt = given.get("formatted")
        text = prompt if isinstance(prompt, str) else text_of(given, "raw", where)
        return (Message("user", text),), raw[0]
    turns = list_of(line.get("messages"), "'messages'", where)
    said = []
    for turn in turns:
        table = table_of(turn, "a message", where)
        content = table.get("content")
        said.append(Message(text_of(table, "role", where), content if isinstance(content, str) else ""))
    must_be(
        said[-1].role == "assistant" and len(said) > 1,
        "a conversation does not end in an answer",
        where,
        short(said[-1].role),
    )
    return tuple(said[:-1]), said[-1].content


def _reading(value: JSON) -> str:
    last = value[-1] if isinstance(value, list) and value else None
    found = last.get("extracted_value") if isinstance(last, dict) else None
    return found if isinstance(found, str) else ""


def _count(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
