"""What do runs of other tools have in common? Questions, answers and grades as the tool gave them, with their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from greenlight.assess.suites.item import Message
from greenlight.errors import FormatError
from greenlight.evidence import JSON


class Wanted(NamedTuple):
    """What of a file is read."""

    tasks: tuple[str, ...] = ()
    """Names of tasks; all where none is given."""

    metric: str = ""
    """The metric or scorer whose grade is taken; the only one there is where none is given."""

    filter: str = ""
    """lm-eval's filter whose reading is taken; the only one there is where none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignSample:
    """One answer of another tool's run."""

    id: str
    """Unique within its task; the same question asked again has an id of its own."""

    question: str
    """What is the same for every answer to one question."""

    messages: tuple[Message, ...]
    """What the model was given."""

    output: str
    """What it answered; empty where choices were scored."""

    finish: str
    """`stop`, `length` where it was cut, `scored`, or `unknown` where the tool does not say."""

    choices: tuple[str, ...] = ()
    """Continuations whose log-probability was scored."""

    choice_logprobs: tuple[tuple[float, ...], ...] = ()
    """One log-probability a choice, nats; an empty tuple for one that is no number."""

    targets: tuple[str, ...] = ()
    """What the tool compared with."""

    score: float | None
    """The tool's grade, 0 to 1; None where it gave none."""

    reading: str = ""
    """What the tool read out of the answer."""

    n_prompt: int = 0
    """Tokens of the prompt, where the tool says."""

    n_output: int = 0
    """Tokens of the answer, where the tool says."""

    place: str
    """File and line, or member, for errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTask:
    """All answers of one task."""

    name: str
    """What the tool calls it."""

    version: str
    """Its version, as the tool says."""

    metric: str
    """What the grade is called."""

    samples: tuple[ForeignSample, ...]
    """In the tool's order."""

    dataset: Mapping[str, str] | None = None
    """The data set of the Hub that it was made from: id, task_id, revision; None where that is not said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignRun:
    """A run of another tool."""

    tool: str
    """lm-eval, inspect or every-eval-ever."""

    version: str
    """Of the tool; empty where it does not say."""

    model: str
    """What the tool calls the model."""

    about_model: Mapping[str, JSON]
    """Everything that the tool says of the model: no digest of its files is known."""

    system: str | None = None
    """The system prompt, where one was set for all."""

    sampling: Mapping[str, JSON] = field(default_factory=dict)
    """Temperature and its like, as the tool says."""

    template: str = ""
    """The chat template, where the tool kept it."""

    started: str = ""
    """UTC, ISO 8601; empty where it is not said."""

    ended: str = ""
    """The same for the end."""

    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions that the tool recorded."""

    files: Mapping[str, str]
    """Name to SHA-256 of every file that was read."""

    tasks: tuple[ForeignTask, ...]
    """What was asked."""


def must_be(ok: bool, what: str, where: str, found: JSON = None, do: str | None = None) -> None:
    """Refuse a file that does not hold what its tool writes.

    Raises:
        FormatError: with what is wrong, where, and what was found.
    """
    if not ok:
        raise FormatError(what, where=where, found=None if found is None else short(found), do=do or _AGAIN)


_AGAIN = "export the run again with the tool that made it"


def short(value: JSON) -> str:
    """A value as an error quotes it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def text_of(table: Mapping[str, JSON], key: str, where: str) -> str:
    """A field that must be a text.

    Raises:
        FormatError: it is missing or something else.
    """
    value = table.get(key)
    must_be(isinstance(value, str), f"{key!r} should be a text", where, value)
    return str(value)


def table_of(value: JSON, what: str, where: str) -> Mapping[str, JSON]:
    """A value that must be an object.

    Raises:
        FormatError: it is something else.
    """
    must_be(isinstance(value, dict), f"{what} should be an object", where, value)
    found: Mapping[str, JSON] = value
    return found


def list_of(value: JSON, what: str, where: str) -> list[JSON]:
    """A value that must be a list with something in it.

    Raises:
        FormatError: it is something else, or empty.
    """
    must_be(isinstance(value, list) and bool(value), f"{what} should be a list", where, value)
    found: list[JSON] = value
    return found


def score_of(value: JSON, where: str, metric: str) -> float | None:
    """A tool's grade as a share, 0 to 1; None where there is none.

    Raises:
        FormatError: it is no number, or none of that range.
    """
    if value is None:
        return None
    must_be(isinstance(value, bool | int | float), f"the grade {metric!r} is no number", where, value, _OTHER)
    score = float(value)
    must_be(0 <= score <= 1, f"the grade {metric!r} is no share of 0 to 1", where, value, _OTHER)
    return score


_OTHER = "name another metric with --metric"
