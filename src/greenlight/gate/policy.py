"""What must hold before a model is released? A TOML file with limits, reasons and sources, read strictly and hashed."""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from greenlight.errors import PolicyError
from greenlight.evidence import JSON, sha256
from greenlight.measure.metrics import Direction, Metric, metric_of
from greenlight.measure.statistics.judged import MIN_YOUDEN

Level = Literal["must", "should", "disclose"]

LEVELS: tuple[Level, ...] = ("must", "should", "disclose")

_TABLES = ("policy", *LEVELS, "statement")
_POLICY = ("name", "alpha", "attempts", "review_days", "fail_closed", "about")
_CRITERION = ("assess", "metric", "direction", "limit", "judge_min_youden", "condition", "why", "source")
_STATEMENT = ("assess", "text", "why", "source")
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One row of a policy: a number, what it may be, and why."""

    level: Level
    """`must`: without it no release. `should`: without it a condition. `disclose`: said, never a bar by its value."""

    metric: Metric
    """What is measured."""

    direction: Direction
    """`max`: the limit is a ceiling. `min`: a floor."""

    limit: float | None
    """What the number is held against; None for disclosures."""

    why: str
    """Why this limit, in plain words."""

    source: str
    """What supports the choice, or that it is the author's."""

    condition: str | None = None
    """What a release without this row has to say, for `should`."""

    judge_min_youden: float = MIN_YOUDEN
    """Se + Sp - 1 that a judge must reach to count at all."""

    @property
    def name(self) -> str:
        """Assessment and metric, such as refuse.non_refusal."""
        return f"{self.metric.assess}.{self.metric.name}"

    @property
    def assess(self) -> str:
        """The assessment whose evidence it reads."""
        return self.metric.assess


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Something the policy says of a risk that is not measured here."""

    assess: str
    """The risk, such as dangerous_capability."""

    text: str
    """What is said of it."""

    why: str
    """Why it is not measured."""

    source: str
    """Where a reader finds more."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Limits fixed before the first answer."""

    name: str
    """What it is called."""

    text: str
    """The exact TOML text."""

    alpha: float
    """Probability of a wrong GO, over all attempts together."""

    attempts: int
    """How many candidates it may judge: alpha is shared among them."""

    review_days: int
    """Days after which a verdict that was not GO is looked at again."""

    criteria: tuple[Criterion, ...]
    """Rows: musts, shoulds, disclosures, each in the order of the file."""

    statements: tuple[Statement, ...]
    """Risks that are named and not measured."""

    about: str = ""
    """For whom the policy is meant."""

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the exact bytes of the text."""
        return sha256(self.text.encode())

    @property
    def row_alpha(self) -> float:
        """What one row of one attempt may use: all musts must pass, so rows share nothing; attempts do (Bonferroni)."""
        return self.alpha / self.attempts

    def assessments(self) -> tuple[str, ...]:
        """Every assessment that a row reads, `resources` included, in policy order."""
        return tuple(dict.fromkeys(criterion.assess for criterion in self.criteria))

    def suites(self) -> tuple[str, ...]:
        """The assessments that put items to the model, in policy order."""
        return tuple(name for name in self.assessments() if name != "resources")

    def rows_of(self, assess: str) -> tuple[Criterion, ...]:
        """The rows that read one assessment."""
        return tuple(criterion for criterion in self.criteria if criterion.assess == assess)


def shipped() -> tuple[str, ...]:
    """Names of the policies inside the package."""
    folder = files("greenlight.gate").joinpath("policies")
    return tuple(sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")))


def load_policy(source: Path | str) -> Policy:
    """A policy from a file, or a shipped one by name.

    Raises:
        PolicyError: there is no such file or name, or it cannot be read as a policy.
    """
    name = str(source)
    if isinstance(source, str) and name in shipped():
        return parse_policy(files("greenlight.gate").joinpath("policies", f"{name}.toml").read_text("utf-8"), name)
    path = Path(source)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PolicyError("a policy is too long to be one", where=name, found=f"{path.stat().st_size:,} bytes")
        # Bytes, not text: line endings are part of what is hashed.
        return parse_policy(path.read_bytes().decode(), name)
    except FileNotFoundError as error:
        near = _near(name, shipped())
        raise PolicyError(
            "there is no such policy",
            where=name,
            do=f"give a TOML file or a shipped policy ({', '.join(shipped())})"
            + (f"; did you mean {near}?" if near else ""),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError("a policy cannot be read", where=name, found=str(error)) from error


def parse_policy(text: str, where: str = "policy") -> Policy:
    """A policy from its text.

    Raises:
        PolicyError: not TOML, an unknown key (the nearest one is offered), a missing reason, an impossible limit.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of whole numbers too long to be read, of brackets in brackets
        raise PolicyError("a policy is not TOML", where=where, found=str(error)[:200]) from error
    _only(data, _TABLES, where)
    head = _table(data, "policy", where)
    _only(head, _POLICY, f"{where}, [policy]")
    criteria = tuple(criterion for level in LEVELS for criterion in _criteria(data, level, where))
    _unique([criterion.name for criterion in criteria], where)
    if not any(criterion.level == "must" for criterion in criteria):
        raise PolicyError("a policy without a [[must]] would let anything pass", where=where, do="add a [[must]]")
    if head.get("fail_closed", True) is not True:
        raise PolicyError(
            "missing evidence always counts against a release",
            where=f"{where}, policy.fail_closed",
            found=repr(head["fail_closed"]),
            do="set fail_closed = true, or leave it out",
        )
    return Policy(
        name=_text(head, "name", f"{where}, [policy]"),
        text=text,
        alpha=_number(head, "alpha", 0.05, 1e-6, 0.5, where),
        attempts=int(_number(head, "attempts", 1, 1, 1000, where, whole=True)),
        review_days=int(_number(head, "review_days", 14, 1, 3650, where, whole=True)),
        about=str(head.get("about", "")),
        criteria=criteria,
        statements=tuple(_statements(data, where)),
    )


def _criteria(data: Mapping[str, JSON], level: Level, where: str) -> Iterator[Criterion]:
    for number, table in enumerate(_tables(data, level, where), start=1):
        place = f"{where}, [[{level}]] number {number}"
        _only(table, _CRITERION, place)
        metric = metric_of(_text(table, "assess", place), _text(table, "metric", place), place)
        place = f"{place} ({metric.assess}.{metric.name})"
        if level != "should" and "condition" in table:
            raise PolicyError("only a [[should]] has a condition", where=place, do="move or remove it")
        yield Criterion(
            level=level,
            metric=metric,
            direction=_direction(table, metric, place),
            limit=_limit(table, level, metric, place),
            why=_text(table, "why", place),
            source=_text(table, "source", place) if level != "disclose" else str(table.get("source", "")),
            condition=_text(table, "condition", place) if level == "should" else None,
            judge_min_youden=_number(table, "judge_min_youden", MIN_YOUDEN, MIN_YOUDEN, 1.0, place),
        )


def _statements(data: Mapping[str, JSON], where: str) -> Iterator[Statement]:
    for number, table in enumerate(_tables(data, "statement", where), start=1):
        place = f"{where}, [[statement]] number {number}"
        _only(table, _STATEMENT, place)
        assess, text, why, source = (_text(table, field, place) for field in _STATEMENT)
        yield Statement(assess=assess, text=text, why=why, source=source)


def _direction(table: Mapping[str, JSON], metric: Metric, where: str) -> Direction:
    found = table.get("direction", metric.direction)
    if found != metric.direction:
        raise PolicyError(
            f"{metric.assess}.{metric.name} is held {'below' if metric.direction == 'max' else 'above'} its limit",
            where=f"{where}, direction",
            found=repr(found),
            do=f'set direction = "{metric.direction}", or leave it out',
        )
    return metric.direction


def _limit(table: Mapping[str, JSON], level: Level, metric: Metric, where: str) -> float | None:
    if level == "disclose":
        if "limit" in table:
            raise PolicyError("a disclosure has no limit", where=where, do="make it a [[should]], or remove the limit")
        return None
    if metric.kind in ("contrast", "ece") or metric.name == "s_dis":
        raise PolicyError(
            f"{metric.assess}.{metric.name} is for disclosure: no bound of it can carry a verdict",
            where=where,
            do="move it to [[disclose]]",
        )
    if "limit" not in table:
        raise PolicyError(f"a [[{level}]] needs a limit", where=where, do="add limit = ..., or make it a [[disclose]]")
    low = 0.0 if metric.kind == "balance" else metric.low
    limit = _number(table, "limit", None, float("-inf"), float("inf"), where)
    if not low < limit < metric.high:
        raise PolicyError(
            "no number of answers could show this limit",
            where=f"{where}, limit",
            found=f"{limit:g}, must lie strictly between {low:g} and {metric.high:g}",
            do="choose a limit that an interval can lie clear of",
        )
    return limit


def _only(table: Mapping[str, JSON], known: Collection[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = _near(key, known)
            raise PolicyError(
                f"a policy has no key {key!r}",
                where=where,
                found=f"{key!r}, known are {', '.join(known)}",
                do=f"did you mean {near!r}?" if near else "remove it",
            )


def _near(name: str, known: Collection[str]) -> str | None:
    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else None


def _table(data: Mapping[str, JSON], name: str, where: str) -> Mapping[str, JSON]:
    table = data.get(name)
    if not isinstance(table, dict):
        raise PolicyError(f"a policy needs a table [{name}]", where=where, do=f"add [{name}] with a name")
    return table


def _tables(data: Mapping[str, JSON], name: str, where: str) -> list[Mapping[str, JSON]]:
    tables = data.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PolicyError(f"{name} rows are written as [[{name}]]", where=where, do="use double brackets")
    return tables


def _text(table: Mapping[str, JSON], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(
            f"a policy needs {key!r} here, in words", where=where, found=repr(value), do=f'add {key} = "..."'
        )
    return re.sub(r"\s+", " ", value.strip())


def _number(
    table: Mapping[str, JSON],
    key: str,
    default: float | None,
    low: float,
    high: float,
    where: str,
    *,
    whole: bool = False,
) -> float:
    value = table.get(key, default)
    kinds = (int,) if whole else (int, float)
    # A whole number may be longer than any float: it is bounded before it is compared with the infinities of `limit`.
    long = isinstance(value, int) and abs(value) > sys.float_info.max
    if isinstance(value, bool) or not isinstance(value, kinds) or long or not low <= value <= high:
        raise PolicyError(
            f"{key!r} is not a number that it can be",
            where=where,
            found=f"{_short(value)}, must be {'a whole number' if whole else 'a number'} from {low:g} to {high:g}",
            do=f"change {key}",
        )
    return float(value)


def _short(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _unique(names: list[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PolicyError("a row occurs twice", where=where, found=name, do="keep one of the two")
