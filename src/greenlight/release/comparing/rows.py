"""Row by row, how much worse is one run than another? Paired losses with bounds, McNemar, Holm over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from greenlight.evidence import JSON
from greenlight.gate.criterion import RULES, Criterion
from greenlight.gate.policy import Policy
from greenlight.measure.statistics.paired import Discordant, Loss, discordant, holm, loss
from greenlight.measure.statistics.proportions import Interval
from greenlight.release.comparing.pairs import Pairs, pairs_of
from greenlight.release.comparing.sides import Side

_PAIRED = ("mean", "judged", "balance")
"""Kinds of metrics of which each answer has a value of its own."""


@dataclass(frozen=True, kw_only=True)
class PairedRow:
    """One metric of two runs."""

    row: str
    """Assessment and metric."""

    second: str
    """The run beside the first."""

    direction: str
    """`max`: less is better. `min`: more is better. `zero`: neither way is better."""

    n: int
    """Items that both answered, and that are used."""

    n_planned: int
    """Items in all."""

    clusters: int
    """Groups among those used."""

    first_value: float
    """Mean of the first run on these items."""

    second_value: float
    """Mean of the second."""

    difference: float
    """Second minus first."""

    lower: float
    """Bound of the difference, alone at alpha."""

    upper: float
    """Likewise."""

    method: str
    """How the bounds were made."""

    judged: bool
    """Whether a fallible judge read the answers: its error is not in the bounds."""

    worse_items: int
    """Items on which the second did worse; 0 where neither way is better."""

    better_items: int
    """Items on which it did better."""

    mcnemar_p: float | None
    """Two-sided exact McNemar, for yes-or-no values that are complete; it takes items for independent."""

    p_worse: float | None
    """One-sided, that the second is worse; None where neither way is better."""

    p_better: float | None
    """Likewise, better."""

    holm_worse: float | None = None
    """`p_worse` adjusted for every row that was looked at."""

    holm_better: float | None = None
    """`p_better` likewise."""

    outcome: str = "no difference shown"
    """`worse`, `better` or that no difference is shown, after Holm."""

    loss_upper: float | None = None
    """How much worse it may be, at most."""

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Unpaired:
    """A row that cannot be compared item by item."""

    row: str
    second: str
    reason: str


def compared_rows(
    policy: Policy, first: Side, others: Sequence[tuple[Side, tuple[str, ...]]]
) -> tuple[list[PairedRow], list[Unpaired]]:
    """Every row of a policy that can be paired, of each other run beside the first; and those that cannot.

    Args:
        policy: its rows; limits play no part here.
        first: what the others are compared with.
        others: each with the suites that it shares.
    """
    paired: list[PairedRow] = []
    unpaired: list[Unpaired] = []
    for second, shared in others:
        for criterion in _own(policy):
            reason = _unpairable(criterion, first, second, shared)
            if reason:
                unpaired.append(Unpaired(row=criterion.name, second=second.name, reason=reason))
                continue
            found = pairs_of(first, second, criterion)
            if reason := _unusable(found, first, second, criterion.assess):
                unpaired.append(Unpaired(row=criterion.name, second=second.name, reason=reason))
            else:
                paired.append(_row(criterion, second, found, policy.alpha))
    return _adjusted(paired, policy.alpha), unpaired


def _own(policy: Policy) -> Iterator[Criterion]:
    """Each metric of a policy once, as a row without a reference."""
    seen = set()
    for criterion in policy.criteria:
        alone = replace(criterion, compare=None, limit=None)
        if alone.name not in seen:
            seen.add(alone.name)
            yield alone


def _unpairable(criterion: Criterion, first: Side, second: Side, shared: Sequence[str]) -> str:
    if criterion.metric.kind in ("resource", "record"):
        return "a figure of the machine or of a record: see the rows under the policy"
    if criterion.metric.kind not in _PAIRED:
        return "a statistic of all answers together, not a mean of single ones: see the rows under the policy"
    if criterion.assess not in shared:
        return f"the suite is not in {'both runs' if criterion.assess not in first.suites else second.name}"
    if criterion.judge == RULES:
        return ""
    one, other = (side.lock.get("judges", {}).get(criterion.judge) for side in (first, second))
    if one is None or other is None:
        return f"the judge {criterion.judge} did not read both runs"
    return "" if one == other else f"the judge {criterion.judge} is another instrument in {second.name}"


def _unusable(found: Pairs, first: Side, second: Side, suite: str) -> str:
    one, other = (list(side.items[suite]) for side in (first, second))
    if not found.complete and one != other:
        return "stopped early, and the two exams have their items in different orders: no bound would hold"
    return "" if found.pairs else "no item from the exam's first on that both have answered"


def _row(criterion: Criterion, second: Side, found: Pairs, alpha: float) -> PairedRow:
    metric, pairs = criterion.metric, found.pairs
    neither = metric.kind == "balance"
    sign = 1.0 if metric.direction == "max" or neither else -1.0
    losses = [sign * (pair.second - pair.first) for pair in pairs]
    planned = None if found.complete else (found.n_planned, found.n_groups)
    lost = loss(losses, [pair.cluster for pair in pairs], width=metric.high - metric.low, alpha=alpha, planned=planned)
    split = Discordant(0, 0) if neither else discordant(losses)
    bounds = lost.bounds if sign > 0 else Interval(-lost.bounds.upper, -lost.bounds.lower)
    n = len(pairs)
    return PairedRow(
        row=criterion.name,
        second=second.name,
        direction="zero" if neither else metric.direction,
        n=n,
        n_planned=found.n_planned,
        clusters=len({pair.cluster for pair in pairs}),
        first_value=sum(pair.first for pair in pairs) / n,
        second_value=sum(pair.second for pair in pairs) / n,
        difference=sign * lost.value + 0.0,  # no minus before a zero
        lower=bounds.lower,
        upper=bounds.upper,
        method=lost.method,
        judged=metric.kind == "judged",
        worse_items=split.worse,
        better_items=split.better,
        mcnemar_p=split.p if metric.binary and not neither and found.complete else None,
        p_worse=_p(lost, neither, worse=True),
        p_better=_p(lost, neither, worse=False),
        loss_upper=None if neither else lost.bounds.upper,
    )


def _p(lost: Loss, neither: bool, *, worse: bool) -> float | None:
    return None if neither else lost.p_worse if worse else lost.p_better


def _adjusted(rows: list[PairedRow], alpha: float) -> list[PairedRow]:
    """Holm over every row with a direction: of regressions as one list, of gains as another."""
    told = [row for row in rows if row.p_worse is not None and row.p_better is not None]
    worse = dict(zip(map(id, told), holm([row.p_worse or 0.0 for row in told]), strict=True))
    better = dict(zip(map(id, told), holm([row.p_better or 0.0 for row in told]), strict=True))
    return [_told(row, worse.get(id(row)), better.get(id(row)), alpha) for row in rows]


def _told(row: PairedRow, worse: float | None, better: float | None, alpha: float) -> PairedRow:
    if worse is None or better is None:
        return replace(row, outcome="a lean: neither way is better")
    outcome = "worse" if worse <= alpha else "better" if better <= alpha else "no difference shown"
    return replace(row, holm_worse=worse, holm_better=better, outcome=outcome)
