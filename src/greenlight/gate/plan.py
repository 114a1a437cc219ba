"""What would an exam take, and could a perfect model pass it? Asked before anything is run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from greenlight.errors import PolicyError
from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.judging import UNEVEN, confusion
from greenlight.gate.pairs import EARLY
from greenlight.gate.policy import Criterion, Policy
from greenlight.gate.resources import rounds_needed
from greenlight.measure.metrics import ROUNDS
from greenlight.measure.refusal import calibration
from greenlight.measure.statistics.clusters import MIN_GROUPS, balance, by_group
from greenlight.measure.statistics.judged import (
    SPLIT_P,
    SPLIT_SE,
    SPLIT_SP,
    Stratum,
    flagged_at,
    labels_needed,
    tells,
)
from greenlight.measure.statistics.paired import loss
from greenlight.measure.statistics.power import (
    items_needed,
    p_ever_shown,
    p_labels_suffice,
    p_no_worse,
    passes_after,
    passes_at,
)
from greenlight.measure.statistics.proportions import clean_needed, clopper_pearson

__all__ = ["Plan", "PlanRow", "SuiteFacts", "make_plan"]

PROMPT_TOKENS = 60
"""What a question takes to read, about, in tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """What one row needs."""

    row: str
    """Its name."""

    level: str
    """must, should or disclose."""

    direction: str
    """`max`: the limit is a ceiling. `min`: a floor."""

    limit: float | None
    """What it is held against."""

    n: int
    """Items that it counts."""

    groups: int
    """Independent groups among them."""

    passes_after: int | None
    """After how many items a perfect model passes; None for disclosures."""

    labels: int | None
    """Labels by people that a pass is expected to need; None where no judge is involved."""

    judge: Mapping[str, JSON] | None
    """Se and Sp of the judge: the estimate and the bounds that are used."""

    half_width: float | None
    """Half of the exact 95 % interval of a share at the limit, over as many groups; None where it is no share."""

    passes_at: float | None
    """The share that a model must truly have to pass in nine of ten exams; None for other rows."""

    p_pass: float | None
    """Probability that a perfect model passes this row, once the labels are there; None for disclosures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an exam would take."""

    policy: Policy
    """The limits."""

    rows: tuple[PlanRow, ...]
    """One for each criterion, in policy order."""

    items: int
    """Items in all, if no row stops early."""

    tokens: int
    """Tokens read and written in all, about, if no row stops early."""

    minutes: float | None
    """How long that takes at the given speed."""

    unmeasured: tuple[str, ...] = ()
    """Rows that cannot be measured of the model that is planned for: they stay NOT RUN, so it cannot get GO."""

    @property
    def p_go(self) -> float:
        """Probability that a perfect model gets GO: every must and should passes, and nothing stays NOT RUN."""
        if self.unmeasured:
            return 0.0
        return math.prod(row.p_pass for row in self.rows if row.p_pass is not None)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON."""
        return {
            "format": "greenlight.plan/1",
            "policy": {"name": self.policy.name, "sha256": self.policy.sha256},
            "alpha": self.policy.alpha,
            "attempts": self.policy.attempts,
            "row_alpha": self.policy.row_alpha,
            "items": self.items,
            "tokens": self.tokens,
            "minutes": self.minutes,
            "labels": sum(row.labels or 0 for row in self.rows),
            "p_go": self.p_go,
            "unmeasured": list(self.unmeasured),
            "rows": [asdict(row) for row in self.rows],
        }


def make_plan(
    policy: Policy,
    suites: Mapping[str, SuiteFacts],
    *,
    tokens_per_s: float | None = None,
    calibrations: Mapping[str, Mapping[str, JSON]] | None = None,
) -> Plan:
    """Ask of every row what it needs, through the statistics that will judge it.

    Args:
        policy: the limits.
        suites: the exams by assessment.
        tokens_per_s: speed of the model in tokens per second, all requests together, from a pilot.
        calibrations: the judges' errors by name; the shipped ones by default.

    Raises:
        PolicyError: a limit that no answers to this exam could show; says how many items it would need.
    """
    known = {"refusal": calibration()} if calibrations is None else calibrations
    rows = tuple(
        _row(criterion, suites.get(criterion.assess), policy.row_alpha, known) for criterion in policy.criteria
    )
    tokens = sum(facts.n * (PROMPT_TOKENS + facts.answer_tokens) for facts in suites.values())
    return Plan(
        policy=policy,
        rows=rows,
        items=sum(facts.n for facts in suites.values()),
        tokens=tokens,
        minutes=tokens / tokens_per_s / 60 if tokens_per_s else None,
    )


def _row(
    criterion: Criterion,
    facts: SuiteFacts | None,
    alpha: float,
    calibrations: Mapping[str, Mapping[str, JSON]],
) -> PlanRow:
    metric = criterion.metric
    n, groups = (len(facts.counted(metric)), facts.groups(metric)) if facts else (0, 0)
    after: int | None = None
    labels: int | None = None
    judge: Mapping[str, JSON] | None = None
    p_pass: float | None = None
    if metric.kind == "resource" and criterion.limit is not None:
        _measured(criterion, alpha)
    if criterion.limit is not None and facts is not None:
        known = calibrations.get(criterion.calibration or "")
        match metric.kind:
            case "judged" | "worst":
                labels, judge, p_pass = _judged_parts(criterion, facts, alpha, known)
                after = n
            case "mean" if criterion.compare is not None:
                after, p_pass = _paired(criterion, facts, alpha)
            case "balance":
                after, p_pass = _balanced(criterion, facts, alpha), 1.0
            case "mean":
                after, p_pass = _mean(criterion, facts, alpha), 1.0
    half_width, found_at = _reach(criterion, groups, alpha)
    return PlanRow(
        row=criterion.name,
        level=criterion.level,
        direction=criterion.direction,
        limit=criterion.limit,
        n=n,
        groups=groups,
        passes_after=after,
        labels=labels,
        judge=judge,
        half_width=half_width,
        passes_at=found_at,
        p_pass=p_pass,
    )


def _reach(criterion: Criterion, n_groups: int, alpha: float) -> tuple[float | None, float | None]:
    """How precise a share will be, and how far from its limit a model must be to pass."""
    metric, limit = criterion.metric, criterion.limit
    if limit is None or criterion.compare is not None or not n_groups or not metric.binary or metric.high != 1:
        return None, None
    if metric.kind not in ("mean", "judged"):
        return None, None
    bounds = clopper_pearson(limit * n_groups, n_groups, 0.05)
    half_width = (bounds.upper - bounds.lower) / 2
    side = -1 if criterion.direction == "max" else 1
    return half_width, passes_at(n_groups, limit, side, alpha) if metric.kind == "mean" else None


def _measured(criterion: Criterion, alpha: float) -> None:
    """Refuse a limit that the rounds measured of the machine's figures could not show."""
    needed = rounds_needed(criterion, alpha)
    if needed > ROUNDS:
        raise PolicyError(
            f"{criterion.name} can never pass: the rounds that are measured could not show its limit",
            where=f"limit {criterion.limit:g} at {alpha:g} an attempt, {ROUNDS} rounds",
            found=f"it would need {needed} rounds",
            do="lower `attempts`, raise `alpha`, or make it a [[disclose]]",
        )


def _mean(criterion: Criterion, facts: SuiteFacts, alpha: float) -> int:
    """After how many items a model with the ideal answer to each passes."""
    metric, limit = criterion.metric, criterion.limit
    assert limit is not None
    side = -1 if criterion.direction == "max" else 1
    items = facts.counted(metric)
    values = [metric.ideal(item) for item in items]
    clusters = [item["cluster"] for item in items]
    after = passes_after(values, clusters, limit, side, metric.low, metric.high, alpha)
    if after is None:
        typical = math.fsum(values) / len(values) if values else (metric.low if side < 0 else metric.high)
        needed = items_needed(typical, limit, side, metric.low, metric.high, alpha)
        raise _unreachable(criterion, len(values), None if needed is None else f"{needed} independent items", alpha)
    return after


def _balanced(criterion: Criterion, facts: SuiteFacts, alpha: float) -> int:
    limit = criterion.limit
    assert limit is not None
    items = facts.counted(criterion.metric)
    needed = max(clean_needed(limit, alpha), MIN_GROUPS)
    clusters = [item["cluster"] for item in items]
    bounds = balance(by_group([0.0] * len(items), clusters), alpha) if items else None
    if bounds is None or bounds.upper > limit or len(set(clusters)) < MIN_GROUPS:
        raise _unreachable(criterion, len(items), f"{needed} templates, not {len(set(clusters))}", alpha)
    return len(items)


def _paired(criterion: Criterion, facts: SuiteFacts, alpha: float) -> tuple[int, float]:
    """After how many items a model that never differs from its reference passes; how often an equally good one does."""
    limit, metric = criterion.limit, criterion.metric
    assert limit is not None
    margin, width = abs(limit), metric.high - metric.low
    clusters = [item["cluster"] for item in facts.counted(metric)]
    n, groups = len(clusters), len(set(clusters))
    same = [0.0] * n
    after = passes_after(same, clusters, margin, -1, -width, width, alpha * EARLY)
    if after is None:
        last = loss(same, clusters, width=width, alpha=alpha * (1 - EARLY), planned=None)
        if not n or last.bounds.upper >= margin:
            needed = items_needed(0.0, margin, -1, -width, width, alpha * EARLY)
            raise _unreachable(criterion, n, f"about {needed} independent items", alpha)
        after = n
    return after, p_no_worse(n, groups, margin, width, alpha, EARLY)


def _judged_parts(
    criterion: Criterion, facts: SuiteFacts, alpha: float, known: Mapping[str, JSON] | None
) -> tuple[int, dict[str, JSON], float]:
    """The same as `_judged`, over every topic where the worst one counts."""
    counted = facts.counted(criterion.metric)
    topics = sorted({item["topic"] for item in counted})
    parts = [facts] if criterion.metric.kind != "worst" else [facts.only(topic) for topic in topics]
    if any(part.uneven(criterion.metric) for part in parts):
        raise PolicyError(
            f"{criterion.name} cannot be shown by labels: {UNEVEN}",
            do="give every item a cluster of its own, or every cluster as many items",
        )
    if criterion.metric.kind != "worst":
        return _judged(criterion, facts.groups(criterion.metric), alpha, known)
    # Of answers that share a group one is labelled.
    sizes = Counter(topic for topic, _ in {(item["topic"], item["cluster"]) for item in counted})
    if not sizes:
        raise _unreachable(criterion, 0, "items", alpha)
    found = [_judged(criterion, size, alpha, known) for size in sizes.values()]
    return sum(labels for labels, _, _ in found), found[0][1], math.prod(p_pass for _, _, p_pass in found)


def _judged(
    criterion: Criterion, n: int, alpha: float, known: Mapping[str, JSON] | None
) -> tuple[int, dict[str, JSON], float]:
    """Labels expected, the judge's figures, and how often a perfect model passes once labelled.

    Beside a reference that is perfect as well, the judge flags the pairs in which it errs on the candidate alone.
    """
    limit = criterion.limit
    assert limit is not None
    table = None if known is None else confusion(known, str(criterion.metric.table))
    youden = None if table is None else table.youden()
    if known is None or table is None or youden is None or youden < criterion.judge_min_youden:
        raise PolicyError(
            f"{criterion.name} rests on a judge that cannot carry it",
            found="no measured error" if youden is None else f"Se + Sp - 1 = {youden:.2f}",
            do=f"use a judge with Se + Sp - 1 of at least {criterion.judge_min_youden:g}, measured on labelled answers",
        )
    sp = table.tn / (table.tn + table.fp)
    se_bounds, sp_bounds = table.sensitivity(alpha * SPLIT_SE), table.specificity(alpha * SPLIT_SP)
    if not tells(se_bounds, sp_bounds):
        raise PolicyError(
            f"{criterion.name} rests on a judge that cannot carry it",
            found=f"{table.tp + table.fn} positive and {table.tn + table.fp} negative labelled answers leave it open",
            do="measure the judge on more labelled answers",
        )
    wrongly = (1 - sp) if criterion.compare is None else (1 - sp) * sp
    flagged = round(n * wrongly)
    draw = labels_needed(Stratum(flagged, 0, 0), Stratum(n - flagged, 0, 0), limit, alpha)
    if draw is None:
        raise _unreachable(criterion, n, f"{clean_needed(limit, alpha / 2)} items or more, all labelled", alpha)
    alone = criterion.compare is None
    wrong_fail = p_ever_shown(1 - sp, n, flagged_at(limit, se_bounds, sp_bounds), alpha * SPLIT_P) if alone else alpha
    judge = {
        "name": str(known["judge"]),
        "se": table.tp / (table.tp + table.fn),
        "sp": sp,
        "se_bounds": list(se_bounds),
        "sp_bounds": list(sp_bounds),
    }
    p_pass = max(0.0, p_labels_suffice(n, 1 - wrongly, limit, alpha) - wrong_fail)
    return draw.flagged + draw.unflagged, judge, p_pass


def _unreachable(criterion: Criterion, n: int, needed: str | None, alpha: float) -> PolicyError:
    return PolicyError(
        f"{criterion.name} can never pass: no answers to this exam could show its limit",
        where=f"limit {criterion.limit:g} at {alpha:g} an attempt, {n} items",
        found=f"even a perfect model would stay open; it would need {needed}"
        if needed
        else "no number of items would do",
        do="loosen the limit, lower `attempts`, or use a larger exam",
    )
