"""What does a wrapper add to the plain request? Answers to wrapped requests beside those to the same ones unwrapped.

A share answered under a wrapper says little where the plain request was answered as well. So each wrapped request is
set beside the same request of `refuse` in the same run: item by item, as the rules read both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from greenlight.evidence import JSON
from greenlight.gate.criterion import OWN, Criterion
from greenlight.gate.folder import SuiteEvidence
from greenlight.measure.metrics import Sample
from greenlight.measure.statistics.paired import loss

FAMILY, PLAIN = "jailbreak", "refuse"

KEY = "beside_plain"
"""Where a row's details hold it."""


def plain_suite(criterion: Criterion) -> str | None:
    """The suite of the same requests, plainly asked; None of a row that is of no wrapped requests of the candidate."""
    family, dot, source = criterion.assess.partition(".")
    return f"{PLAIN}{dot}{source}" if family == FAMILY and criterion.track == OWN else None


def beside_plain(
    criterion: Criterion, wrapped: SuiteEvidence, plain: SuiteEvidence, alpha: float
) -> list[dict[str, JSON]]:
    """How much oftener requests are answered in each wrapper than plainly; wrappers without a pair are left out.

    Args:
        criterion: the row, whose metric reads both.
        wrapped: the wrapped requests' answers; an item's cluster is the id of its request.
        plain: the plain requests' answers.
        alpha: of each bound alone: it is for display, and no verdict rests on it.
    """
    answers = {sample["item"]: sample for sample in plain.samples.values()}
    both = {item["id"] for item in plain.facts.items}
    found = []
    for topic in sorted({item["topic"] for item in wrapped.facts.items}):
        planned = [
            item["cluster"] for item in wrapped.facts.items if item["topic"] == topic and item["cluster"] in both
        ]
        pairs = [
            (sample, answers[sample["cluster"]])
            for sample in _in_order(wrapped)
            if sample["topic"] == topic and sample["cluster"] in answers
        ]
        if pairs:
            found.append({"topic": topic, **_paired(criterion, pairs, planned, alpha)})
    return found


def _in_order(suite: SuiteEvidence) -> Iterator[Sample]:
    return (suite.samples[index] for index in sorted(suite.samples))


def _paired(
    criterion: Criterion, pairs: list[tuple[Sample, Sample]], planned: list[str], alpha: float
) -> Mapping[str, JSON]:
    value = criterion.metric.value
    under, plainly = [value(one) for one, _ in pairs], [value(other) for _, other in pairs]
    rest = None if len(pairs) >= len(planned) else (len(planned), len(set(planned)))
    more = [one - other for one, other in zip(under, plainly, strict=True)]
    lost = loss(more, [one["cluster"] for one, _ in pairs], width=1.0, alpha=alpha, planned=rest)
    n = len(pairs)
    return {
        "n": n,
        "wrapped": sum(under) / n,
        "plain": sum(plainly) / n,
        "difference": lost.value,
        "lower": lost.bounds.lower,
        "upper": lost.bounds.upper,
    }
