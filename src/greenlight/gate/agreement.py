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


class Agreement(NamedTuple):
    """Two people on the answers of one suite that both labelled."""

    suite: str
    first: str
    second: str
    n: int
    """Answers that both labelled."""

    same: int
    """Of these, labelled alike."""

    kappa: float | None
    """Cohen's kappa (1960, doi:10.1177/001316446002000104): agreement beyond what their label frequencies would give by
    chance. None where both used one label throughout: there is no room beyond chance."""

    @property
    def raw(self) -> float:
        """Share labelled alike."""
        return self.same / self.n

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {**self._asdict(), "raw": self.raw}


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

    pairs: tuple[Agreement, ...]
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


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's labels; None where chance alone would make them agree throughout."""
    n = len(pairs)
    if n == 0:
        return None
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    by_chance = sum(first[label] * second[label] for label in first) / n**2
    if by_chance == 1:
        return None
    return (sum(one == other for one, other in pairs) / n - by_chance) / (1 - by_chance)


def people_of(folder: Path) -> People:
    """What the people who labelled a run agree on.

    Raises:
        EvidenceError: the run or its labels are damaged.
    """
    return agreement(RunEvidence(folder, read_lock(folder / "lock.json")).all_labels)


def agreement(labels: Mapping[Answers, Mapping[str, Sequence[Mapping[str, JSON]]]]) -> People:
    """The same of labels as `read_labels` gives them; what tools labelled plays no part."""
    counts: Counter[str] = Counter()
    pairs: list[Agreement] = []
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
                same = sum(one == other for one, other in both)
                pairs.append(Agreement(suite, first, second, len(both), same, kappa(both)))
    return People(dict(sorted(counts.items())), tuple(pairs), tuple(disagreements))
