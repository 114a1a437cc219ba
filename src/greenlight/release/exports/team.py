"""What can only the people behind a model say? Its licence, origin and makers: a TOML file, read strictly."""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from greenlight.errors import ConfigError
from greenlight.release.exports.questions import questions

RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
"""What the evaluator can be to the model, as Every Eval Ever tells them apart."""

MAX_CHARACTERS = 1_000_000

_TABLES = ("datasets", "answers")
_LISTS = ("base_models", "languages", "tags")
_NOTHING = '""'

_MODEL_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_ADDRESS = re.compile(r"https?://[!-~]+")
_DATASET = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:#(?P<task>[\w.-]+))?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """Answers of the people behind a model; what is empty is left blank, never invented."""

    model_id: str = ""
    """Where it is published, as owner/name."""

    licence: str = ""
    """Licence of the weights, by its SPDX identifier."""

    licence_url: str = ""
    """Where its text is."""

    base_models: tuple[str, ...] = ()
    """Models that it was made from, as owner/name."""

    languages: tuple[str, ...] = ()
    """ISO 639 codes."""

    tags: tuple[str, ...] = ()
    """Further tags of the card."""

    developer: str = ""
    """Who made the model."""

    evaluator: str = ""
    """Who ran this evaluation."""

    evaluator_relationship: str = ""
    """first_party, third_party, collaborative or other."""

    version: str = ""
    """What this release of the model is called."""

    released: str = ""
    """Day of the release, ISO 8601."""

    download_url: str = ""
    """Where the weights are."""

    datasets: Mapping[str, str] = field(default_factory=dict)
    """Assessments that are benchmark data sets of the Hub: name to owner/name or owner/name#task."""

    answers: Mapping[str, str] = field(default_factory=dict)
    """Answers to the questions of the documentation form, by key."""

    def __post_init__(self) -> None:
        for value in filter(None, (self.model_id, *self.base_models)):
            if not _MODEL_ID.fullmatch(value):
                raise ConfigError("a model is published as owner/name", where="model_id, base_models", found=value)
        if self.evaluator_relationship and self.evaluator_relationship not in RELATIONSHIPS:
            raise ConfigError(
                "an evaluator has another relationship to the model",
                where="evaluator_relationship",
                found=repr(self.evaluator_relationship),
                do=f"use one of {', '.join(RELATIONSHIPS)}",
            )
        for value in filter(None, (self.licence_url, self.download_url)):
            if not _ADDRESS.fullmatch(value):
                raise ConfigError("an address begins with http", where="licence_url, download_url", found=value[:120])
        if self.released:
            _check_day(self.released)
        for name, value in self.datasets.items():
            if not _DATASET.fullmatch(value):
                raise ConfigError("a data set of the Hub is owner/name or owner/name#task", where=name, found=value)
        for key in self.answers:
            if key not in questions():
                raise _unknown(key, questions(), "answers")

    def dataset(self, assess: str) -> tuple[str, str] | None:
        """The benchmark of the Hub that an assessment is, and its task (`default` where none is named)."""
        found = _DATASET.fullmatch(self.datasets.get(assess, ""))
        return None if found is None else (found["id"], found["task"] or "default")


def read_team(text: str, where: str, **given: Any) -> Team:
    """A team's answers from a TOML file.

    Args:
        text: the file.
        where: its name, for errors.
        given: fields that were given otherwise; they win over the file, where they are not empty.

    Raises:
        ConfigError: not TOML, an unknown key (the nearest one is offered), a value of the wrong kind.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError("this is no file of answers", where=where, found=f"{len(text):,} characters")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError("the answers are not TOML", where=where, found=str(error)[:200]) from error
    known = [entry.name for entry in fields(Team)]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise _unknown(key, known, where)
        values[key] = _value(key, value, where)
    try:
        return replace(Team(**values), **{key: value for key, value in given.items() if value})
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{where}, {error.where}", found=error.found, do=error.do) from error


def team_template() -> str:
    """A file of answers to fill in."""
    lines = ["# What only the people behind a model can answer. Remove the lines that you leave blank."]
    empty = dict.fromkeys(_LISTS, "[]")
    lines += [
        f"{entry.name} = {empty.get(entry.name, _NOTHING)}" for entry in fields(Team) if entry.name not in _TABLES
    ]
    lines += ["", "[datasets]  # assessments that are benchmarks of the Hub", '# "compete.gsm8k" = "openai/gsm8k#main"']
    lines += ["", "[answers]  # of the documentation form; the card shows some of them"]
    lines += [f'# {entry.title}: {entry.ask}\n# {entry.key} = ""' for entry in questions().values()]
    return "\n".join(lines) + "\n"


def _value(key: str, value: object, where: str) -> Any:
    if key in _TABLES:
        if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
            return {name: text.strip() for name, text in value.items() if text.strip()}
        raise ConfigError(f"[{key}] holds names and texts", where=f"{where}, {key}", found=repr(value)[:80])
    if key in _LISTS:
        if isinstance(value, list) and all(isinstance(text, str) and text for text in value):
            return tuple(value)
        raise ConfigError(f"{key} is a list of texts", where=f"{where}, {key}", found=repr(value)[:80])
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value.strip()
    raise ConfigError(f"{key} is a text", where=f"{where}, {key}", found=repr(value)[:80])


def _check_day(text: str) -> None:
    try:
        datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("a day is written as 2026-01-31", where="released", found=repr(text)) from error


def _unknown(key: str, known: Collection[str], where: str) -> ConfigError:
    near = difflib.get_close_matches(key, known, n=1)
    return ConfigError(
        "no such answer is asked for",
        where=where,
        found=f"{key!r}; known are {', '.join(known)}",
        do=f"did you mean {near[0]!r}?" if near else "remove it",
    )
