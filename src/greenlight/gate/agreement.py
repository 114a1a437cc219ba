"""Do the people who labelled a run agree? Raw agreement, Cohen's kappa, and each answer on which they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.gate.evidence_rows import RunEvidence
from greenlight.gate.folder import Answers
from greenlight.gate.lock import read_lock
from greenlight.gate.strata import settled
from greenlight.measure.statistics.agreement import Agreement, agreement


class Pair(NamedTuple):
    """Two people on the answers of one suite that both labelled."""

    suite: str
    first: str
    second: str
    found: Agreement
    """Raw agreement, and agreement beyond chance."""

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {"suite": self.suite, "first": self.first, "second": self.second, **self.found._asdict()}


class Disagreement(NamedTuple):
    """One answer that people labelled differently."""

    suite: str
    item: str
    reference: str | None
    """Whose answer, where it is a reference's."""

    said: Mapping[str, str]
    """Label by labeller."""

    resolved: str | None
    """What they settled on; None while it counts against the model."""


class People(NamedTuple):
    """Everyone who labelled a run."""

    labels: Mapping[str, int]
    """Answers labelled, by labeller."""

    pairs: tuple[Pair, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def open(self) -> tuple[Disagreement, ...]:
        """Disagreements that are not resolved."""
        return tuple(each for each in self.disagreements if each.resolved is None)

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {
            "labels": dict(self.labels),
            "pairs": [pair.to_json() for pair in self.pairs],
            "disagreements": [each._asdict() for each in self.disagreements],
        }


def people_of(folder: Path) -> People:
    """What the people who labelled a run agree on.

    Raises:
        EvidenceError: the run or its labels are damaged.
    """
    return agreement_in(RunEvidence(folder, read_lock(folder / "lock.json")).all_labels)


def agreement_in(labels: Mapping[Answers, Mapping[str, Sequence[Mapping[str, JSON]]]]) -> People:
    """The same of labels as `read_labels` gives them; what tools labelled plays no part."""
    counts: Counter[str] = Counter()
    pairs: list[Pair] = []
    disagreements: list[Disagreement] = []
    by_suite: dict[str, list[dict[str, str]]] = {}
    for whose, items in labels.items():
        for item, entries in items.items():
            said = {e["labeller"]: str(e["label"]) for e in entries if e["human"] and not e.get("resolves")}
            counts.update(said.keys())
            by_suite.setdefault(whose.suite, []).append(said)
            if len(set(said.values())) > 1:
                last = settled(entries)
                resolved = None if last is None else str(last["label"])
                disagreements.append(Disagreement(whose.suite, item, whose.reference, said, resolved))
    for suite, answers in by_suite.items():
        names = sorted({name for said in answers for name in said})
        for first, second in combinations(names, 2):
            both = [(said[first], said[second]) for said in answers if first in said and second in said]
            if both:
                pairs.append(Pair(suite, first, second, agreement([a for a, _ in both], [b for _, b in both])))
    return People(dict(sorted(counts.items())), tuple(pairs), tuple(disagreements))
