"""What must hold before a model is released? A TOML file with limits, reasons and sources, read strictly and hashed."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import get_args

from greenlight.errors import PolicyError
from greenlight.evidence import JSON, sha256
from greenlight.gate.criterion import (
    LEVELS,
    OWN,
    RULES,
    Criterion,
    JudgeKind,
    JudgeSpec,
    Level,
    Reference,
    Reopen,
    Statement,
    TaskSpec,
    Track,
    WaiverRule,
)
from greenlight.gate.tables import Table, named, nearest, one_table, rows
from greenlight.measure.metrics import Direction, Metric, metric_of
from greenlight.measure.statistics.judged import MIN_YOUDEN

__all__ = ["Criterion", "Level", "Policy", "Statement", "load_policy", "parse_policy", "shipped"]

_TABLES = ("policy", *LEVELS, "statement", "reference", "judge", "task", "waiver", "reopen")
_POLICY = ("name", "alpha", "attempts", "review_days", "repeats", "fail_closed", "about")
_CRITERION = (
    *("assess", "metric", "direction", "limit", "compare", "margin", "judge", "judge_min_youden"),
    *("condition", "why", "source"),
)
_STATEMENT = ("assess", "text", "why", "source")
_REFERENCE = ("model", "sha256", "public", "why")
_JUDGE = ("kind", "model", "rubric", "calibration")
_DISPLAYED = ("contrast", "ece", "aurc")
_MAX_BYTES = 1_000_000


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

    references: tuple[Reference, ...] = ()
    """Models that rows compare with."""

    judges: tuple[JudgeSpec, ...] = ()
    """Judges besides the rules."""

    tasks: tuple[TaskSpec, ...] = ()
    """Tests of the user's own."""

    waiver: WaiverRule | None = None
    """Who may set a row aside; None where nobody may."""

    reopen: tuple[Reopen, ...] = ()
    """What makes a past decision due again."""

    repeats: int = 1
    """How often each question is answered; more than once only where answers are drawn (temperature above 0)."""

    about: str = ""
    """For whom the policy is meant."""

    folder: Path | None = None
    """Where it lies: files that it names are looked for there. None where only its text is known."""

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the exact bytes of the text."""
        return sha256(self.text.encode())

    @property
    def row_alpha(self) -> float:
        """What one row of one attempt may use: all musts must pass, so rows share nothing; attempts do (Bonferroni)."""
        return self.alpha / self.attempts

    def assessments(self) -> tuple[str, ...]:
        """Every assessment that a row reads, in policy order."""
        return tuple(dict.fromkeys(criterion.assess for criterion in self.criteria))

    def suites(self) -> tuple[str, ...]:
        """The assessments that put items to the model, in policy order."""
        put = (criterion.assess for criterion in self.criteria if criterion.metric.kind not in ("resource", "record"))
        return tuple(dict.fromkeys(put))

    def folder_needed(self, what: str) -> Path:
        """Where files beside the policy are; refused where only its text is known."""
        if self.folder is None:
            raise PolicyError(
                "a policy names a file, and it is not known where the policy lies",
                where=f"policy {self.name}, {what}",
                do="give the policy as a file",
            )
        return self.folder

    def rows_of(self, assess: str) -> tuple[Criterion, ...]:
        """The rows that read one assessment."""
        return tuple(criterion for criterion in self.criteria if criterion.assess == assess)

    def tracks(self, assess: str) -> tuple[Track, ...]:
        """Whose answers the rows of one assessment read, and who reads them; the candidate's own first."""
        found = dict.fromkeys(criterion.track for criterion in self.rows_of(assess))
        return tuple(sorted(found, key=lambda track: track != OWN))

    def reference(self, name: str) -> Reference:
        """The reference of a name that a row uses."""
        return next(reference for reference in self.references if reference.name == name)


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
        return parse_policy(path.read_bytes().decode(), name, folder=path.resolve().parent)
    except FileNotFoundError as error:
        near = nearest(name, shipped())
        raise PolicyError(
            "there is no such policy",
            where=name,
            do=f"give a TOML file or a shipped policy ({', '.join(shipped())})"
            + (f"; did you mean {near}?" if near else ""),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError("a policy cannot be read", where=name, found=str(error)) from error


def parse_policy(text: str, where: str = "policy", *, folder: Path | None = None) -> Policy:
    """A policy from its text.

    Raises:
        PolicyError: not TOML, an unknown key (the nearest one is offered), a missing reason, an impossible limit.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of whole numbers too long to be read, of brackets in brackets
        raise PolicyError("a policy is not TOML", where=where, found=str(error)[:200]) from error
    Table(data, where, _TABLES)
    head = one_table(data, "policy", where, _POLICY)
    references, judges = tuple(_references(data, where)), tuple(_judges(data, where))
    criteria = tuple(criterion for level in LEVELS for criterion in _criteria(data, level, where))
    _check_names(criteria, references, judges, where)
    _check_closed(criteria, head)
    return Policy(
        name=head.text("name"),
        text=text,
        alpha=head.number("alpha", 0.05, 1e-6, 0.5),
        attempts=head.whole("attempts", 1, 1, 1000),
        review_days=head.whole("review_days", 14, 1, 3650),
        repeats=head.whole("repeats", 1, 1, 64),
        about=head.words("about"),
        criteria=criteria,
        statements=tuple(_statements(data, where)),
        references=references,
        judges=judges,
        tasks=tuple(
            TaskSpec(name=name, path=table.text("path")) for name, table in named(data, "task", where, ("path",))
        ),
        waiver=_waiver(data, where),
        reopen=tuple(_reopen(data, where)),
        folder=folder,
    )


def _criteria(data: Mapping[str, JSON], level: Level, where: str) -> Iterator[Criterion]:
    for table in rows(data, level, where, _CRITERION):
        metric = metric_of(table.text("assess"), table.text("metric"), table.where)
        table.where = f"{table.where} ({metric.assess}.{metric.name})"
        if level != "should" and "condition" in table:
            raise PolicyError("only a [[should]] has a condition", where=table.where, do="move or remove it")
        direction = _direction(table, metric)
        yield Criterion(
            level=level,
            metric=metric,
            direction=direction,
            limit=_margin(table, level, metric, direction) if "compare" in table else _limit(table, level, metric),
            why=table.text("why"),
            source=table.text("source") if level != "disclose" else table.words("source"),
            condition=table.text("condition") if level == "should" else None,
            compare=table.text("compare") if "compare" in table else None,
            judge=_judge(table, metric),
            judge_min_youden=table.number("judge_min_youden", MIN_YOUDEN, MIN_YOUDEN, 1.0),
        )


def _statements(data: Mapping[str, JSON], where: str) -> Iterator[Statement]:
    for table in rows(data, "statement", where, _STATEMENT):
        assess, text, why, source = (table.text(field) for field in _STATEMENT)
        yield Statement(assess=assess, text=text, why=why, source=source)


def _references(data: Mapping[str, JSON], where: str) -> Iterator[Reference]:
    for name, table in named(data, "reference", where, _REFERENCE):
        digest = table.words("sha256")
        if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise PolicyError("a digest is not a SHA-256 in lower-case hex", where=table.where, found=digest)
        yield Reference(
            name=name,
            model=table.text("model"),
            sha256=digest or None,
            public=table.flag("public", False),
            why=table.text("why"),
        )


def _judges(data: Mapping[str, JSON], where: str) -> Iterator[JudgeSpec]:
    for name, table in named(data, "judge", where, _JUDGE):
        kind = next((known for known in get_args(JudgeKind) if known == table.text("kind")), None)
        if kind is None or name == RULES:
            raise PolicyError(
                "a judge of this kind or name is not known",
                where=table.where,
                found=f"{name}, kind {table.text('kind')!r}; kinds are {', '.join(get_args(JudgeKind))}",
                do="choose a kind, and another name than rules: that is the judge that comes with a metric",
            )
        yield JudgeSpec(
            name=name,
            kind=kind,
            model=table.text("model") if kind == "model" else None,
            rubric=table.words("rubric", "refusal"),
            calibration=table.text("calibration"),
        )


def _waiver(data: Mapping[str, JSON], where: str) -> WaiverRule | None:
    if "waiver" not in data:
        return None
    table = one_table(data, "waiver", where, ("who", "max_days"))
    return WaiverRule(who=table.texts("who"), max_days=table.whole("max_days", None, 1, 3650))


def _reopen(data: Mapping[str, JSON], where: str) -> Iterator[Reopen]:
    for table in rows(data, "reopen", where, ("when", "on")):
        on = table.get("on")
        if on is not None and not isinstance(on, datetime.date):
            raise PolicyError("a date is not a date", where=table.where, found=repr(on), do="write on = 2026-03-01")
        yield Reopen(when=table.text("when"), on=None if on is None else on.isoformat()[:10])


def _direction(table: Table, metric: Metric) -> Direction:
    found = table.get("direction")
    if found not in (None, metric.direction):
        raise PolicyError(
            f"{metric.assess}.{metric.name} is held {'below' if metric.direction == 'max' else 'above'} its limit",
            where=f"{table.where}, direction",
            found=repr(found),
            do=f'set direction = "{metric.direction}", or leave it out',
        )
    return metric.direction


def _judge(table: Table, metric: Metric) -> str:
    found = table.words("judge", RULES)
    if found != RULES and metric.judge is None:
        raise PolicyError(
            f"{metric.assess}.{metric.name} is not judged: its answers are read by exact rules",
            where=f"{table.where}, judge",
            found=found,
            do="leave judge out",
        )
    return found


def _margin(table: Table, level: Level, metric: Metric, direction: Direction) -> float | None:
    """How much worse than the reference is allowed, with the sign of a limit on the difference."""
    if "limit" in table:
        raise PolicyError("a row has a limit or a reference, not both", where=table.where, do="write two rows")
    if level == "disclose":
        if "margin" in table:
            raise PolicyError("a disclosure has no margin", where=table.where, do="make it a [[should]]")
        return None
    if metric.kind not in ("mean", "judged"):
        raise PolicyError(
            f"{metric.assess}.{metric.name} cannot be compared with a reference, item by item",
            where=f"{table.where}, compare",
            do="hold it against a limit, or disclose it",
        )
    width = metric.high - metric.low
    margin = table.number("margin", None, 0.0, width)
    if not 0 < margin < width:
        raise PolicyError(
            "no number of answers could show this margin",
            where=f"{table.where}, margin",
            found=f"{margin:g}, must lie strictly between 0 and {width:g}",
            do="choose a difference that an interval can lie clear of",
        )
    return margin if direction == "max" else -margin


def _limit(table: Table, level: Level, metric: Metric) -> float | None:
    if "margin" in table:
        raise PolicyError("a margin needs a reference", where=table.where, do='add compare = "..." or write limit')
    if level == "disclose":
        if "limit" in table:
            raise PolicyError(
                "a disclosure has no limit", where=table.where, do="make it a [[should]], or remove the limit"
            )
        return None
    if metric.kind in _DISPLAYED or metric.name == "s_dis":
        raise PolicyError(
            f"{metric.assess}.{metric.name} is for disclosure: no bound of it can carry a verdict",
            where=table.where,
            do="move it to [[disclose]]",
        )
    if "limit" not in table:
        raise PolicyError(
            f"a [[{level}]] needs a limit", where=table.where, do="add limit = ..., or make it a [[disclose]]"
        )
    low = 0.0 if metric.kind == "balance" else metric.low
    limit = table.number("limit", None, float("-inf"), float("inf"))
    # A recorded fact may reach its limit: it has no interval that must lie clear of it.
    inside = low <= limit <= metric.high if metric.kind == "record" else low < limit < metric.high
    if not inside:
        raise PolicyError(
            "no number of answers could show this limit",
            where=f"{table.where}, limit",
            found=f"{limit:g}, must lie strictly between {low:g} and {metric.high:g}",
            do="choose a limit that an interval can lie clear of",
        )
    return limit


def _check_names(
    criteria: tuple[Criterion, ...], references: tuple[Reference, ...], judges: tuple[JudgeSpec, ...], where: str
) -> None:
    """Refuse rows that occur twice, and rows that use a reference or judge that is not there."""
    names = [criterion.name for criterion in criteria]
    for name in names:
        if names.count(name) > 1:
            raise PolicyError("a row occurs twice", where=where, found=name, do="keep one of the two")
    there = {"compare": {reference.name for reference in references}, "judge": {RULES} | {j.name for j in judges}}
    for criterion in criteria:
        for field, known in there.items():
            used = getattr(criterion, field)
            if used is not None and used not in known:
                table = "reference" if field == "compare" else "judge"
                near = nearest(used, known)
                raise PolicyError(
                    f"a row uses a {table} that is not there",
                    where=f"{where}, {criterion.name}",
                    found=f"{used!r}, there are {', '.join(sorted(known)) or 'none'}",
                    do=f"did you mean {near!r}?" if near else f"add [{table}.{used}]",
                )


def _check_closed(criteria: tuple[Criterion, ...], head: Table) -> None:
    if not any(criterion.level == "must" for criterion in criteria):
        raise PolicyError("a policy without a [[must]] would let anything pass", where=head.where, do="add a [[must]]")
    if not head.flag("fail_closed", True):
        raise PolicyError(
            "missing evidence always counts against a release",
            where=f"{head.where}, fail_closed",
            found="false",
            do="set fail_closed = true, or leave it out",
        )
