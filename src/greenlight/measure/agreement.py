"""How often does a judge agree with people? Confusion counts for each metric that its words can answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from greenlight.measure.graders import JSON
from greenlight.measure.metrics import METRICS, Metric
from greenlight.measure.statistics.judged import SPLIT_SE, SPLIT_SP, Confusion, tells
from greenlight.measure.verdicts import Rubric


class Pair(NamedTuple):
    """What people said of one answer, and what the judge said."""

    human: str
    judge: str
    model: str = ""
    """Which model answered."""


class Quality(NamedTuple):
    """A judge for one metric, with bounds at the share of alpha that a row would use."""

    table: str
    counts: Confusion
    youden: float | None
    usable: bool
    """Whether a row may rest on it at all."""


def tables_of(asked: Rubric) -> dict[str, Metric]:
    """The confusion tables that a rubric's labels can fill, each with a metric that reads it."""
    words = set(asked.labels.values())
    found: dict[str, Metric] = {}
    for metric in METRICS.values():
        people = metric.positive & words
        # A table needs answers of both kinds: words that are positive, and words that are not.
        if metric.table is not None and people and words - people and _about(metric, words):
            found.setdefault(metric.table, metric)
    return found


def _about(metric: Metric, words: set[str]) -> bool:
    """Whether everything that a person can say of the metric is in the rubric's words."""
    return metric.positive - {"empty", "no_verdict"} <= words


def count(pairs: Iterable[Pair], metric: Metric) -> Confusion:
    """tp, fn, tn, fp of one metric; an answer without a verdict is flagged, as in a row."""
    found = Counter((pair.human in metric.positive, pair.judge in metric.positive) for pair in pairs)
    return Confusion(tp=found[True, True], fn=found[True, False], tn=found[False, False], fp=found[False, True])


def tables(pairs: Sequence[Pair], asked: Rubric) -> dict[str, JSON]:
    """Counts over all answers and per answering model, and the pairs of labels behind them."""
    metrics = tables_of(asked)

    def counted(some: Sequence[Pair]) -> dict[str, dict[str, int]]:
        return {name: _counts(count(some, metric)) for name, metric in metrics.items()}

    models = sorted({pair.model for pair in pairs if pair.model})
    said = Counter(f"{pair.human} -> {pair.judge}" for pair in pairs)
    return {
        "overall": counted(pairs),
        "by_model": {model: counted([pair for pair in pairs if pair.model == model]) for model in models},
        "human -> judge": dict(sorted(said.items())),
    }


def quality(name: str, counts: Confusion, *, alpha: float, min_youden: float) -> Quality:
    """Whether a judge is an instrument for one table; the same rule as a row's."""
    youden = counts.youden()
    good = youden is not None and youden >= min_youden
    bounds = counts.sensitivity(alpha * SPLIT_SE), counts.specificity(alpha * SPLIT_SP)
    return Quality(name, counts, youden, good and tells(*bounds))


def _counts(table: Confusion) -> dict[str, int]:
    return {"tp": table.tp, "fn": table.fn, "tn": table.tn, "fp": table.fp}
