"""What can a policy ask for? One row: a number, what it may be or with what it is compared, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from greenlight.measure.metrics import Direction, Metric, difference
from greenlight.measure.statistics.judged import MIN_YOUDEN

Level = Literal["must", "should", "disclose"]

LEVELS: tuple[Level, ...] = ("must", "should", "disclose")

JudgeKind = Literal["model", "refusal_mass"]

RULES = "rules"
"""The judge that comes with a metric: rules on the answer's words."""


class Track(NamedTuple):
    """Whose answers a row reads, and who reads them: rows of one track are followed together."""

    reference: str | None
    """Beside the answers of this reference; None: the candidate's alone."""

    judge: str
    """The judge, or the rules."""


OWN = Track(None, RULES)
"""The candidate's answers, as their suite's own grader reads them."""


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
    """What the number is held against; None for disclosures. Compared with a reference, it is the difference allowed:
    the margin for a ceiling, minus the margin for a floor."""

    why: str
    """Why this limit, in plain words."""

    source: str
    """What supports the choice, or that it is the author's."""

    condition: str | None = None
    """What a release without this row has to say, for `should`."""

    compare: str | None = None
    """The reference that it is compared with on the same items; None where it is held against a limit."""

    judge: str = RULES
    """Who reads the answers of a judged metric: a judge that the policy names, or the rules that come with it."""

    judge_min_youden: float = MIN_YOUDEN
    """Se + Sp - 1 that a judge must reach to count at all."""

    @property
    def name(self) -> str:
        """Assessment and metric, such as refuse.non_refusal; `@` before a reference, `~` before a judge of its own."""
        against = f"@{self.compare}" if self.compare else ""
        return f"{self.metric.assess}.{self.metric.name}{against}{'' if self.judge == RULES else f'~{self.judge}'}"

    @property
    def assess(self) -> str:
        """The assessment whose evidence it reads."""
        return self.metric.assess

    @property
    def plain(self) -> str:
        """What the number says of the model, in a few words."""
        against = "" if self.compare is None else f", minus that of {self.compare}"
        return f"{self.metric.plain}{against}"

    @property
    def track(self) -> Track:
        """Whose answers it reads, and who reads them."""
        return Track(self.compare, self.judge)

    def as_read(self) -> Criterion:
        """The same row, whose metric is the difference from the reference where it is compared with one."""
        return self if self.compare is None else replace(self, metric=difference(self.metric))

    @property
    def calibration(self) -> str | None:
        """The name of the judge's measured error; None where no judge is involved."""
        return None if self.metric.judge is None else self.metric.judge if self.judge == RULES else self.judge


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A model that the candidate is compared with, on the same items, the same machine and the same settings."""

    name: str
    """What rows call it."""

    model: str
    """Where it is: a reference as on the command line; `?` where whoever locks says (`--reference NAME=REF`)."""

    sha256: str | None
    """The digest that it must have; None where any file of that name will do."""

    public: bool
    """Whether anyone can have it today: then the comparison is one of marginal risk, and is called so."""

    why: str
    """Why this model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSpec:
    """Who reads answers in place of the rules: a model with a rubric, or the log-probability of refusing."""

    name: str
    """What rows call it."""

    kind: JudgeKind
    """`model`: asked for a verdict on each answer. `refusal_mass`: how likely the assessed model is to begin a
    refusal."""

    model: str | None
    """Where a judge that is a model is: a reference as on the command line."""

    rubric: str
    """What it is asked: the name of a rubric that ships with greenlight."""

    calibration: str
    """File with its measured error, beside the policy (`greenlight judge` writes it)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSpec:
    """A test of the user's own."""

    name: str
    """Rows call it task.NAME."""

    path: str
    """Its TOML file, beside the policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverRule:
    """Who may set a row aside, and for how long. A waiver never covers a row that is INVALID."""

    who: tuple[str, ...]
    """Names; nobody else's waiver counts."""

    max_days: int
    """Days after which a waiver has no effect, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reopen:
    """What makes a past decision due again."""

    when: str
    """The event, in words."""

    on: str | None
    """A date, ISO 8601, where it is one."""
