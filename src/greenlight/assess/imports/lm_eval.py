"""What did lm-evaluation-harness ask, get and grade? Its results, and the samples that --log_samples wrote."""

from __future__ import annotations

import datetime
import hashlib
import math
import os.path
from collections.abc import Iterator, Mapping, Sequence
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

TOOL = "lm-eval"

_LOG = "run lm_eval with --log_samples and --output_path, and give the results file"
_TYPES = ("multiple_choice", "generate_until")


def read_lm_eval(path: Path, wanted: Wanted) -> ForeignRun:
    """A run from its results_*.json, or the folder that holds it, with the samples_*.jsonl beside.

    Raises:
        FormatError: a file is missing, damaged, or not what the harness writes; the line is named.
        UnsupportedError: a task of a kind that has no answers to judge, or several answers a question.
        UsageError: a task, metric or filter must be named, or is not there.
    """
    results = _results_file(path)
    data = read_whole(results)
    value = table_of(parse(data, str(results)), "a results file", str(results))
    configs = table_of(value.get("configs"), "'configs'", str(results))
    files = {results.name: sha256(data)}
    budget = Budget(str(path))
    tasks = []
    for name in _chosen(sorted(configs), wanted, str(results)):
        where = f"{results}, configs.{name}"
        samples = _samples_file(results, name)
        digest = hashlib.sha256()
        reader = _Task(name, table_of(configs[name], "a task's configuration", where), wanted, where)
        tasks.append(reader.read(samples, digest, budget, _version(value, name)))
        files[samples.name] = digest.hexdigest()
    return _run(value, str(results), files, tasks)


def _results_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.rglob("results_*.json"))
    must_be(bool(found), "the folder holds no results of lm-eval", str(path), do=_LOG)
    must_be(
        len(found) == 1, "the folder holds several runs", str(path), f"{len(found)} results files", "name one of them"
    )
    return found[0]


def _samples_file(results: Path, task: str) -> Path:
    must_be("/" not in task and "\\" not in task, "a task's name is no name of a file", str(results), task)
    stamp = results.name.removeprefix("results_").removesuffix(".json")
    path = results.with_name(f"samples_{task}_{stamp}.jsonl")
    must_be(path.is_file(), "the answers of a task are not there", str(path), do=_LOG)
    return path


def _chosen(names: Sequence[str], wanted: Wanted, where: str) -> Sequence[str]:
    for task in wanted.tasks:
        if task not in names:
            raise UsageError(
                "the file holds no task of this name", where=where, found=task, do=f"there are {_list(names)}"
            )
    must_be(bool(names), "the file holds no task", where)
    return [name for name in names if not wanted.tasks or name in wanted.tasks]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _version(value: Mapping[str, JSON], task: str) -> str:
    versions = value.get("versions")
    return str(versions.get(task, "")) if isinstance(versions, dict) else ""


def _run(value: Mapping[str, JSON], where: str, files: Mapping[str, str], tasks: list[ForeignTask]) -> ForeignRun:
    config = table_of(value.get("config"), "'config'", where)
    arguments = config.get("model_args")
    known = ("model", "model_args", "model_revision", "model_sha", "model_dtype", "model_num_parameters")
    name = value.get("model_name") or (arguments.get("pretrained") if isinstance(arguments, dict) else None)
    template, system = value.get("chat_template"), value.get("system_instruction")
    generation = config.get("gen_kwargs")
    return ForeignRun(
        tool=TOOL,
        version=str(value.get("lm_eval_version") or ""),
        model=str(name or config.get("model") or "unknown"),
        about_model={key: config[key] for key in known if config.get(key) is not None},
        system=system if isinstance(system, str) else None,
        sampling=generation if isinstance(generation, dict) else {},
        template=template if isinstance(template, str) else "",
        started=_time(value.get("date")),
        packages={"lm-eval": str(value.get("lm_eval_version") or "")},
        files=files,
        tasks=tuple(tasks),
    )


def _time(value: JSON) -> str:
    try:
        seconds = float(value)
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


class _Task:
    """Reads the answers of one task."""

    def __init__(self, name: str, config: Mapping[str, JSON], wanted: Wanted, where: str) -> None:
        self._name, self._config, self._wanted, self._where = name, config, wanted, where
        self._metric = ""
        kind = config.get("output_type")
        if kind not in _TYPES:
            raise UnsupportedError(
                "a task of this kind has no answers that could be judged",
                where=where,
                found=f"output_type {short(kind)}; known are {', '.join(_TYPES)}",
                do="choose other tasks with --task",
            )
        self._scored = kind == "multiple_choice"

    def read(self, path: Path, digest: hashlib._Hash, budget: Budget, version: str) -> ForeignTask:
        samples = list(self._samples(path, digest, budget))
        must_be(bool(samples), "the file holds no answer", str(path), do=_LOG)
        return ForeignTask(
            name=self._name, version=version, metric=self._metric, samples=tuple(samples), dataset=self._dataset()
        )

    def _dataset(self) -> dict[str, str] | None:
        path = self._config.get("dataset_path")
        if not isinstance(path, str) or path.count("/") != 1:
            return None
        task = self._config.get("dataset_name")
        return {"id": path, "task_id": task if isinstance(task, str) and task else "default"}

    def _samples(self, path: Path, digest: hashlib._Hash, budget: Budget) -> Iterator[ForeignSample]:
        names = self._filters()
        chosen = self._filter(names)
        seen: set[str] = set()
        for where, value in read_lines(path, digest):
            line = table_of(value, "a line", where)
            name = text_of(line, "filter", where) if "filter" in line else chosen
            must_be(name in names, "an answer was read through a filter that the task does not name", where, name)
            if name != chosen:
                continue
            sample = self._sample(line, where)
            must_be(sample.id not in seen, "a question is answered twice", where, f"doc_id {sample.id}")
            seen.add(sample.id)
            budget.take(sample.output, *sample.choices, *(message.content for message in sample.messages))
            yield sample

    def _filters(self) -> list[str]:
        """The task's filters: it writes one line for each question and filter."""
        listed = self._config.get("filter_list")
        parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
        return [str(part.get("name")) for part in parts] or ["none"]

    def _filter(self, names: Sequence[str]) -> str:
        """The one whose reading is taken."""
        if len(names) == 1:
            return names[0]
        if self._wanted.filter not in names:
            raise UsageError(
                "the task was read through several filters",
                where=self._where,
                found=", ".join(names),
                do="choose one with --filter NAME",
            )
        return self._wanted.filter

    def _sample(self, line: Mapping[str, JSON], where: str) -> ForeignSample:
        doc_id = line.get("doc_id")
        must_be(isinstance(doc_id, int | str), "an answer has no doc_id", where, doc_id)
        metric = self._graded_by(line, where)
        common = {
            "id": str(doc_id),
            "question": str(doc_id),
            "targets": _targets(line.get("target")),
            "score": score_of(line.get(metric), where, metric),
            "place": where,
        }
        return self._scored_sample(line, where, common) if self._scored else self._generated(line, where, common)

    def _graded_by(self, line: Mapping[str, JSON], where: str) -> str:
        names = list_of(line.get("metrics"), "'metrics'", where)
        must_be(all(isinstance(name, str) for name in names), "a metric's name is no text", where, names)
        if self._wanted.metric and self._wanted.metric not in names:
            raise UsageError(
                "the task has no metric of this name",
                where=where,
                found=self._wanted.metric,
                do=f"there are {', '.join(names)}",
            )
        metric: str = self._wanted.metric or names[0]
        must_be(metric in line, f"the grade {metric!r} is missing", where)
        self._metric = metric
        return metric

    def _generated(self, line: Mapping[str, JSON], where: str, common: Mapping[str, JSON]) -> ForeignSample:
        [(prompt, _)] = self._arguments(line, where, least=1, most=1)
        replies = self._replies(line, where, 1)[0]
        if len(replies) > 1:
            raise UnsupportedError(
                "the task asks each question several times",
                where=where,
                found=f"{len(replies)} answers (repeats)",
                do="run it with repeats: 1",
            )
        must_be(isinstance(replies[0], str), "an answer is no text", where, replies[0])
        filtered = line.get("filtered_resps")
        reading = filtered[0] if isinstance(filtered, list) and len(filtered) == 1 else ""
        return ForeignSample(
            messages=(Message("user", prompt),),
            output=replies[0],
            finish="unknown",
            reading=reading if isinstance(reading, str) else "",
            **common,
        )

    def _scored_sample(self, line: Mapping[str, JSON], where: str, common: Mapping[str, JSON]) -> ForeignSample:
        pairs = self._arguments(line, where, least=2, most=1000)
        replies = self._replies(line, where, len(pairs))
        logprobs = tuple(_logprob(reply, where) for reply in replies)
        contexts, texts = [pair[0] for pair in pairs], []
        shared = os.path.commonprefix(contexts)  # noqa: RUF071 (texts, not paths)
        for context, continuation in pairs:
            must_be(isinstance(continuation, str), "a choice is no text", where, continuation)
            texts.append(context[len(shared) :] + continuation)
        return ForeignSample(
            messages=(Message("user", shared),),
            output="",
            finish="scored",
            choices=tuple(texts),
            choice_logprobs=logprobs,
            **common,
        )

    def _arguments(self, line: Mapping[str, JSON], where: str, *, least: int, most: int) -> list[tuple[str, JSON]]:
        """Context and continuation, or context and settings, of each request."""
        value = line.get("arguments")
        if isinstance(value, dict):
            value = [
                [part.get("arg_0"), part.get("arg_1")] if isinstance(part, dict) else part for part in value.values()
            ]
        requests = list_of(value, "what was asked", where)
        must_be(least <= len(requests) <= most, "an answer has another number of requests", where, f"{len(requests)}")
        pairs = []
        for part in requests:
            good = isinstance(part, list) and len(part) >= 2 and isinstance(part[0], str)
            must_be(good, "an answer does not say what was asked", where, part)
            pairs.append((part[0], part[1]))
        return pairs

    @staticmethod
    def _replies(line: Mapping[str, JSON], where: str, n: int) -> list[list[JSON]]:
        replies = list_of(line.get("resps"), "'resps'", where)
        must_be(len(replies) == n, f"an answer should hold {n} replies", where, f"{len(replies)}")
        return [list_of(part, "a reply", where) for part in replies]


def _logprob(reply: list[JSON], where: str) -> tuple[float, ...]:
    """The log-likelihood of one choice; written as a text by the harness. Empty where it is no finite number."""
    pair = reply[0]
    must_be(isinstance(pair, list) and len(pair) >= 1, "a choice has no log-likelihood", where, pair)
    try:
        value = float(pair[0])
    except (TypeError, ValueError, OverflowError):
        must_be(False, "a choice has no log-likelihood", where, pair[0])
    return (value,) if math.isfinite(value) else ()


def _targets(value: JSON) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(str(entry) for entry in values if isinstance(entry, str | int | float))
