"""What did Inspect ask, get and grade? Its .eval log, a zip of JSON, or the same log as one JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from greenlight.assess.imports.bounded import Archive, Budget, file_sha256, parse, read_whole
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
from greenlight.evidence import JSON

TOOL = "inspect"

_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Inspect's grades in letters: correct, incorrect, partial, no answer."""

_CUT = ("max_tokens", "model_length")
_RETRY = "finish the run: inspect eval-retry LOG"
_ATTACHMENT = "attachment://"


def read_inspect(path: Path, wanted: Wanted) -> ForeignRun:
    """A run from its log; one log is one task.

    Raises:
        FormatError: the log is damaged, unfinished, or not what Inspect writes; the member is named.
        UnsupportedError: images and sounds, or a compression that cannot be read here.
        UsageError: a task or scorer must be named, or is not there.
    """
    if path.suffix == ".json":
        log = table_of(parse(read_whole(path), str(path)), "a log", str(path))
        samples = enumerate(list_of(log.get("samples"), "'samples'", str(path)), start=1)
        return _read(path, log, ((f"{path}, samples, number {n}", value) for n, value in samples), wanted)
    archive = Archive(path)
    names = {member.name for member in archive.members()}
    must_be("header.json" in names, "the log has no header: its run did not finish", str(path), do=_RETRY)
    log = table_of(archive.json("header.json"), "a log", f"{path}, header.json")
    members = [member for member in archive.members() if member.name.startswith("samples/")]
    return _read(path, log, ((member.where, archive.json(member.name)) for member in members), wanted)


def _read(path: Path, log: Mapping[str, JSON], samples: Iterator[tuple[str, JSON]], wanted: Wanted) -> ForeignRun:
    status = log.get("status")
    must_be(status == "success", "the run did not finish", str(path), f"status {short(status)}", _RETRY)
    about = table_of(log.get("eval"), "'eval'", str(path))
    task = text_of(about, "task", str(path))
    if wanted.tasks and task not in wanted.tasks:
        raise UsageError(
            "the log is of another task", where=str(path), found=task, do=f"leave --task out, or name {task}"
        )
    reader = _Reader(wanted, epochs=_epochs(about))
    answers = tuple(reader.samples(path, samples))
    must_be(bool(answers), "the log holds no samples", str(path), do="log with samples: --log-samples")
    packages = about.get("packages")
    stats = log.get("stats")
    times = stats if isinstance(stats, dict) else {}
    generation = about.get("model_generate_config")
    return ForeignRun(
        tool=TOOL,
        version=str(packages.get("inspect_ai", "")) if isinstance(packages, dict) else "",
        model=text_of(about, "model", str(path)),
        about_model={key: about[key] for key in ("model", "model_base_url") if about.get(key) is not None},
        sampling=generation if isinstance(generation, dict) else {},
        started=_utc(times.get("started_at")),
        ended=_utc(times.get("completed_at")),
        packages={str(key): str(value) for key, value in packages.items()} if isinstance(packages, dict) else {},
        files={path.name: file_sha256(path)},
        tasks=(
            ForeignTask(name=task, version=str(about.get("task_version", "")), metric=reader.scorer, samples=answers),
        ),
    )


def _epochs(about: Mapping[str, JSON]) -> int:
    config = about.get("config")
    epochs = config.get("epochs") if isinstance(config, dict) else None
    return epochs if isinstance(epochs, int) else 1


def _utc(value: JSON) -> str:
    """A time as Inspect writes it, to the second; empty where there is none in UTC."""
    text = value if isinstance(value, str) else ""
    return f"{text[:19]}Z" if text.endswith(("+00:00", "Z")) and len(text) >= 20 else ""


class _Reader:
    """Reads the samples of one log."""

    def __init__(self, wanted: Wanted, *, epochs: int) -> None:
        self._name, _, self._part = wanted.metric.partition("/")
        self._epochs = epochs
        self.scorer = ""

    def samples(self, path: Path, values: Iterator[tuple[str, JSON]]) -> Iterator[ForeignSample]:
        budget, seen = Budget(str(path)), set()
        for where, value in values:
            sample = self._sample(table_of(value, "a sample", where), where)
            must_be(sample.id not in seen, "a sample occurs twice", where, sample.id)
            seen.add(sample.id)
            budget.take(sample.output, *(message.content for message in sample.messages))
            yield sample

    def _sample(self, value: Mapping[str, JSON], where: str) -> ForeignSample:
        name, epoch = value.get("id"), value.get("epoch", 1)
        must_be(isinstance(name, int | str) and not isinstance(name, bool), "a sample has no id", where, name)
        must_be(isinstance(epoch, int), "a sample has no epoch", where, epoch)
        output = table_of(value.get("output"), "'output'", where)
        score, reading = self._grade(value, where)
        usage = output.get("usage")
        tokens = usage if isinstance(usage, dict) else {}
        return ForeignSample(
            id=f"{name}/epoch-{epoch}" if self._epochs > 1 else str(name),
            question=str(name),
            messages=_prompt(value, where),
            output=_completion(output, value, where),
            finish=_finish(output, value),
            targets=_targets(value.get("target")),
            score=score,
            reading=reading,
            n_prompt=_count(tokens.get("input_tokens")),
            n_output=_count(tokens.get("output_tokens")),
            place=where,
        )

    def _grade(self, value: Mapping[str, JSON], where: str) -> tuple[float | None, str]:
        """The scorer's grade and reading; none where the sample ended in an error, which is no zero."""
        scores = value.get("scores") or {}
        found = table_of(scores, "'scores'", where)
        if not found:
            must_be(
                value.get("error") is not None, "a sample has no score", where, do="score the log: inspect score LOG"
            )
            return None, ""
        name = self._name or self.scorer or next(iter(found))
        if not self._name and len(found) > 1:
            raise UsageError(
                "the samples were scored by several scorers",
                where=where,
                found=", ".join(found),
                do="choose one with --metric NAME",
            )
        if name not in found:
            raise UsageError(
                "a sample has no score of this scorer", where=where, found=name, do=f"there are {', '.join(found)}"
            )
        self.scorer = name
        score = table_of(found[name], "a score", where)
        answer = score.get("answer")
        return self._share(score.get("value"), where), answer if isinstance(answer, str) else ""

    def _share(self, value: JSON, where: str) -> float | None:
        if isinstance(value, dict):
            if self._part not in value:
                raise UsageError(
                    "the scorer gives several numbers",
                    where=where,
                    found=", ".join(map(str, value)),
                    do=f"choose one with --metric {self.scorer}/NAME",
                )
            value = value[self._part]
        return score_of(_LETTERS.get(value, value) if isinstance(value, str) else value, where, self.scorer)


def _prompt(value: Mapping[str, JSON], where: str) -> tuple[Message, ...]:
    """What the model was given: the conversation up to its last answer, or else the sample's input."""
    messages = value.get("messages")
    if isinstance(messages, list) and messages:
        turns = [table_of(turn, "a message", where) for turn in messages]
        last = next((at for at in reversed(range(len(turns))) if turns[at].get("role") == "assistant"), len(turns))
        turns = turns[:last]
    else:
        given = value.get("input")
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else []
        if isinstance(given, list):
            turns = [table_of(turn, "a message", where) for turn in given]
    must_be(bool(turns), "a sample does not say what was asked", where)
    return tuple(Message(text_of(turn, "role", where), _content(turn.get("content"), value, where)) for turn in turns)


def _completion(output: Mapping[str, JSON], value: Mapping[str, JSON], where: str) -> str:
    choices = output.get("choices")
    if isinstance(choices, list) and choices:
        message = table_of(table_of(choices[0], "a choice", where).get("message"), "a message", where)
        return _content(message.get("content"), value, where)
    completion = output.get("completion", "")
    must_be(isinstance(completion, str), "an answer is no text", where, completion)
    return str(completion)


def _content(content: JSON, value: Mapping[str, JSON], where: str) -> str:
    """A message's text; reasoning is no part of the answer, and what is no text cannot be judged."""
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "reasoning":
            continue
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
        if isinstance(part, dict) and not isinstance(text, str):
            raise UnsupportedError(
                "a message holds something other than text", where=where, found=short(part.get("type"))
            )
        must_be(isinstance(text, str), "a message's content is no text", where, part)
        texts.append(_attached(str(text), value, where))
    return "\n".join(texts)


def _attached(text: str, value: Mapping[str, JSON], where: str) -> str:
    if not text.startswith(_ATTACHMENT):
        return text
    attachments = value.get("attachments")
    found = attachments.get(text.removeprefix(_ATTACHMENT)) if isinstance(attachments, dict) else None
    must_be(isinstance(found, str), "a text that was put aside is missing", where, text)
    return str(found)


def _finish(output: Mapping[str, JSON], value: Mapping[str, JSON]) -> str:
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    reason = first.get("stop_reason") if isinstance(first, dict) else None
    if reason in _CUT or value.get("limit") is not None:
        return "length"
    return "stop" if reason == "stop" else "unknown"


def _targets(value: JSON) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(entry for entry in values if isinstance(entry, str) and entry)


def _count(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
