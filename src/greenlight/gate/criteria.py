"""What does a row say, answer by answer? The same code follows a live run and judges a stored one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from greenlight.evidence import JSON
from greenlight.gate.checks import AnswerChecks, Check, first_failing
from greenlight.gate.criterion import OWN, Criterion, Track
from greenlight.gate.display import DisplayRule
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.judging import JudgedRule
from greenlight.gate.judging_pairs import PairedJudgedRule
from greenlight.gate.pairs import PairedMeanRule
from greenlight.gate.partners import Partners
from greenlight.gate.policy import Policy
from greenlight.gate.rules import NO_LABELS, BalanceRule, Finding, LabelsOf, MeanRule, Rule, Status
from greenlight.gate.scale import beside_the_mean
from greenlight.gate.words import Situation, change_of, next_of, reason_of
from greenlight.gate.worst import WorstRule
from greenlight.measure.metrics import Sample

SHOWN = 6
"""Samples that a row points to."""

DISCLOSED_ITEMS = 100
"""A disclosure beside a row that is certain early still gets this many answers: from ten it would say little."""

CONTRASTED_ITEMS = 200
"""A difference between two halves of a suite needs as many of each."""

FEWEST_ITEMS = 30
"""A row that is certain after a handful of answers takes as many as are in flight anyway: what stands beside the
verdict, by how much and in which topics, is worth the second that it costs."""

_DIGITS = 10


class Watch:
    """Follows one row through the answers of its suite, in the exam's order.

    Args:
        criterion: the row.
        facts: the exam.
        alpha: what this row may use.
        calibration: the judge's error, for a judged row.
    """

    def __init__(
        self,
        criterion: Criterion,
        facts: SuiteFacts,
        alpha: float,
        calibration: Mapping[str, JSON] | None = None,
    ) -> None:
        self.criterion, self._facts, self._alpha = criterion, facts, alpha
        self._read = criterion.as_read()
        self._n_planned = len(facts.counted(criterion.metric))
        self._n_groups = facts.groups(criterion.metric)
        self._rule = _rule(self._read, facts, alpha, calibration)
        self._checks = AnswerChecks(facts, self._n_planned)
        self._partners = Partners() if criterion.metric.partnered else None
        self._samples: list[Sample] = []
        self._ended = self._untold = False

    def add(self, sample: Sample) -> None:
        """Take the next answer of the exam's order; once the row is certain, further ones are not used."""
        if self._ended:
            return
        if self._partners is not None:
            for joined in self._partners.add(sample):
                self._take(joined)
        else:
            self._take(sample)

    def _take(self, sample: Sample) -> None:
        if not self.criterion.metric.counts(sample):
            return
        if not self.criterion.metric.told(sample):
            # One model answers all: what it does not tell of this answer it tells of none.
            self._ended = self._untold = True
            return
        self._samples.append(sample)
        self._rule.add(sample)
        self._checks.add(sample)
        # An instrument that seems broken may recover: only all answers make sure of that.
        enough = len(self._samples) >= min(FEWEST_ITEMS, self._n_planned)
        self._ended = enough and self._rule.verdict is not None and self._checks.ok

    @property
    def certain(self) -> bool:
        """Whether more answers cannot change the row."""
        return self._ended or len(self._samples) >= self._n_planned

    @property
    def shown_enough(self) -> bool:
        """Whether a disclosure has as many answers as it asks for by itself."""
        wanted = CONTRASTED_ITEMS if self.criterion.metric.kind == "contrast" else DISCLOSED_ITEMS
        return self.certain or len(self._samples) >= wanted

    def reads(self, item: Mapping[str, JSON]) -> bool:
        """Whether the row counts an item, or needs it beside one that it counts."""
        return self._partners is not None or self.criterion.metric.counts(item)

    @property
    def n_used(self) -> int:
        """Counted answers that the row uses."""
        return len(self._samples)

    @property
    def status(self) -> Status:
        """What the row comes to as it stands, without labels."""
        return _status(self._rule.finding(NO_LABELS), self._checks.found(), len(self._samples))

    def row(
        self,
        *,
        labels: LabelsOf = NO_LABELS,
        instrument: Sequence[Check] = (),
        n_finished: int | None = None,
    ) -> dict[str, JSON]:
        """The row as decision.json holds it.

        Args:
            labels: by item.
            instrument: checks made beside the answers.
            n_finished: counted answers that are stored, used or not.
        """
        finding = self._rule.finding(labels)
        finding = replace(finding, details={**finding.details, **beside_the_mean(self.criterion, self._samples)})
        checks = [*self._checks.found(), *instrument] if self._samples else []
        status = _status(finding, checks, len(self._samples))
        situation = Situation(
            criterion=self._read,
            finding=finding,
            status=status,
            n_used=len(self._samples),
            n_planned=self._n_planned,
            values=tuple(self._read.metric.value(sample) for sample in self._samples)
            if self._read.metric.kind in ("mean", "judged", "balance")
            else (),
            alpha=self._alpha,
            failing=first_failing(checks),
            untold=self._untold,
        )
        return row_json(
            self.criterion,
            finding,
            status=status,
            alpha=self._alpha,
            counts={
                "n_used": len(self._samples),
                "n_finished": len(self._samples) if n_finished is None else n_finished,
                "n_planned": self._n_planned,
                "clusters": len({sample["cluster"] for sample in self._samples}),
            },
            checks=checks,
            words={"reason": reason_of(situation), "change": change_of(situation), "next": next_of(situation)},
            topics=_topics(self._read, self._samples),
            samples=_worth_showing(self._samples),
        )


def row_json(
    criterion: Criterion,
    finding: Finding,
    *,
    status: Status,
    alpha: float,
    counts: Mapping[str, int],
    checks: Sequence[Check],
    words: Mapping[str, str],
    topics: Sequence[Mapping[str, JSON]] = (),
    samples: Sequence[str] = (),
) -> dict[str, JSON]:
    """A row in the shape of decision.json. Figures keep ten digits, so that a library's last bit decides nothing."""
    bounds = finding.bounds
    row: dict[str, JSON] = {
        "row": criterion.name,
        "assess": criterion.assess,
        "metric": criterion.metric.name,
        "plain": criterion.plain,
        "unscored": criterion.metric.unscored,
        "level": criterion.level,
        "direction": criterion.direction,
        "limit": criterion.limit,
        "status": status,
        "value": finding.value,
        "lower": None if bounds is None else bounds.lower,
        "upper": None if bounds is None else bounds.upper,
        "alpha": alpha,
        "method": finding.method,
        **counts,
        "judge": finding.judge,
        "labels": finding.labels,
        "checks": list(checks),
        **words,
        "why": criterion.why,
        "source": criterion.source,
        "condition": criterion.condition,
        "topics": list(topics),
        "details": dict(finding.details),
        "samples": list(samples),
        **({} if criterion.compare is None else {"compare": criterion.compare}),
    }
    shortened: dict[str, JSON] = rounded(row)
    return shortened


class SuiteWatch:
    """Follows every row of one suite through the exam's order; certain when all rows with a limit are.

    An item that no open row counts is passed over, whether it was answered or not: what is used depends on the order
    of the exam and on the answers, never on which of them came first.

    Args:
        watches: the rows.
        facts: the exam.
    """

    def __init__(self, watches: Sequence[Watch], facts: SuiteFacts) -> None:
        self._watches, self._items = watches, facts.items
        self._gating = [watch for watch in watches if watch.criterion.limit is not None]
        self._shown = [watch for watch in watches if watch.criterion.limit is None]
        self.place = 0
        """How far it is: items before this place were used or passed over."""

    def follow(self, answer: Callable[[int], Sample | None], upto: int | None = None) -> None:
        """Go on through the exam's order, up to the first answer that is missing.

        Args:
            answer: a place to its answer with its item's key, cluster, topic and level; None where it is missing.
            upto: the place to stop at.
        """
        end = len(self._items) if upto is None else min(upto, len(self._items))
        while self.place < end and not self.certain:
            if self.wants(self.place):
                sample = answer(self.place)
                if sample is None:
                    return
                for watch in self._watches:
                    watch.add(sample)
            self.place += 1

    def wants(self, index: int) -> bool:
        """Whether the answer at a place could still be used; once not, never again."""
        item = self._items[index]
        if not self._gating:
            return any(watch.reads(item) for watch in self._shown)
        needed = (watch for watch in self._gating if not watch.certain)
        unshown = (watch for watch in self._shown if not watch.shown_enough)
        return any(watch.reads(item) for watch in (*needed, *unshown))

    @property
    def certain(self) -> bool:
        """Whether every row with a limit has its verdict and every other a fair number of answers.

        Never, where all rows are disclosures.
        """
        return (
            bool(self._gating)
            and all(watch.shown_enough for watch in self._shown)
            and all(watch.certain for watch in self._gating)
        )

    def rows(
        self,
        *,
        labels: LabelsOf = NO_LABELS,
        instrument: Sequence[Check] = (),
        n_finished: Mapping[str, int] | None = None,
    ) -> list[dict[str, JSON]]:
        """The suite's rows as they stand, in policy order."""
        return [
            watch.row(
                labels=labels,
                instrument=instrument,
                n_finished=None if n_finished is None else n_finished[watch.criterion.name],
            )
            for watch in self._watches
        ]


def watch(
    policy: Policy,
    suite: str,
    facts: SuiteFacts,
    calibrations: Mapping[str, Mapping[str, JSON]],
    track: Track = OWN,
) -> SuiteWatch:
    """What follows a suite's answers while they come, and judges them afterwards.

    Args:
        policy: the limits.
        suite: which assessment.
        facts: its exam.
        calibrations: the judges' errors by name, such as {"refusal": measure.refusal.calibration()}.
        track: the rows that read these answers, as this judge reads them, are followed.
    """
    watches = [
        Watch(criterion, facts, policy.row_alpha, calibrations.get(criterion.calibration or ""))
        for criterion in policy.rows_of(suite)
        if criterion.track == track
    ]
    return SuiteWatch(watches, facts)


def _rule(criterion: Criterion, facts: SuiteFacts, alpha: float, calibration: Mapping[str, JSON] | None) -> Rule:
    if criterion.limit is None:
        return DisplayRule(criterion, facts)
    match criterion.metric.kind:
        case "judged" if criterion.compare is not None:
            return PairedJudgedRule(criterion, facts, alpha, calibration)
        case "judged":
            return JudgedRule(criterion, facts, alpha, calibration)
        case "worst":
            return WorstRule(criterion, facts, alpha, calibration)
        case "balance":
            return BalanceRule(criterion, facts, alpha)
        case _ if criterion.compare is not None:
            return PairedMeanRule(criterion, facts, alpha)
        case _:
            return MeanRule(criterion, facts, alpha)


def _status(finding: Finding, checks: Sequence[Check], n_used: int) -> Status:
    if n_used == 0:
        return "NOT RUN"
    if finding.status == "DISCLOSED":
        return "DISCLOSED"
    return "INVALID" if first_failing(checks) else finding.status


def _topics(criterion: Criterion, samples: Sequence[Sample]) -> list[dict[str, JSON]]:
    if criterion.metric.kind not in ("mean", "judged", "worst", "balance"):
        return []
    topics: dict[str, list[float]] = {}
    for sample in samples:
        topics.setdefault(sample["topic"], []).append(criterion.metric.value(sample))
    return [
        {"topic": topic, "n": len(values), "value": math.fsum(values) / len(values)}
        for topic, values in sorted(topics.items())
    ]


def _worth_showing(samples: Sequence[Sample]) -> list[str]:
    """The first answers of each label in turn, in the exam's order."""
    by_label: dict[str, list[str]] = {}
    for sample in samples:
        by_label.setdefault(sample["grade"]["label"], []).append(sample["item"])
    turns = max((len(items) for items in by_label.values()), default=0)
    shown = [items[turn] for turn in range(min(turns, SHOWN)) for items in by_label.values() if turn < len(items)]
    return shown[:SHOWN]


def rounded(value: JSON) -> JSON:
    """The same JSON with floats of ten significant digits; None for what JSON cannot say."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return value
