"""What do people's labels come to? Answers in two strata, flagged by a judge and not, labelled in the exam's order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from greenlight.evidence import JSON
from greenlight.gate.rules import Labels
from greenlight.measure.statistics.judged import Draw
from greenlight.measure.statistics.labels import Look, Part, look, stages

Bad = Callable[[str], bool | None]
"""An item to whether people found it bad; None where its labels are missing."""


class Strata:
    """Items that a judge flagged and those that it did not, in the exam's order.

    Labels count in that order within each stratum, up to the first item without one, so that nobody chooses which
    answers are looked at. Of items that share a group (one request in several wrappers, one question asked several
    times) the first alone stands for the group: the exact bounds of a count take labels for independent, and taking
    every answer's would pass a model at the limit far too often (simulated with groups of 5 alike: 20 %, not 5).

    Args:
        n_planned: groups in all; as many as items where none share one.
        limit: the rate of bad items that is to be shown.
        alpha: of all looks together, each side alone.
    """

    def __init__(self, n_planned: int, limit: float, alpha: float) -> None:
        self._n_planned, self._limit, self._alpha = n_planned, limit, alpha
        self.flagged: list[str] = []
        self.unflagged: list[str] = []
        self._groups: set[str] = set()

    def add(self, item: str, group: str, *, flagged: bool) -> None:
        """Take the next item; one of a group that was seen before is passed over."""
        if group not in self._groups:
            self._groups.add(group)
            (self.flagged if flagged else self.unflagged).append(item)

    @property
    def n(self) -> int:
        """Items that stand for their group, so far."""
        return len(self.flagged) + len(self.unflagged)

    def look(self, bad: Bad, alpha: float | None = None) -> Look:
        """What the labels show, at the alpha of this instance or at another one."""
        flagged, unflagged = (Part(len(items), _leading(items, bad)) for items in (self.flagged, self.unflagged))
        return look(flagged, unflagged, self._limit, self._alpha if alpha is None else alpha)

    def count(self, labels: Sequence[Labels], bad: Bad, people: Look | None) -> dict[str, JSON]:
        """How many labels there are and are needed; what is needed is expected only, while answers are missing."""
        used = [items[: len(_leading(items, bad))] for items in (self.flagged, self.unflagged)]
        following: Draw | None = self._expected() if people is None else people.following
        wanted: list[str] = []
        if people is not None and following is not None:
            wanted = [
                *self.flagged[len(used[0]) : following.flagged],
                *self.unflagged[len(used[1]) : following.unflagged],
            ]
        counted = [item for items in used for item in items]
        return {
            "have": len(counted),
            "needed": None if following is None else following.flagged + following.unflagged,
            "by_people": sum(all(by_person(said, item) for said in labels) for item in counted),
            "next": wanted,
        }

    def _expected(self) -> Draw | None:
        """The first look, if the share that is flagged stays what it is."""
        flagged = round(self._n_planned * len(self.flagged) / self.n) if self.n else 0
        first = stages(flagged, self._n_planned - flagged, self._limit, self._alpha)
        return first[0].draw if first else None


def found_bad(labels: Labels, item: str, positive: Collection[str]) -> bool | None:
    """Whether anyone said something of an answer that counts: where people disagree, it counts against the model.

    Until they have settled on one label: then that label alone counts.
    """
    said = labels.get(item)
    if not said:
        return None
    last = settled(said)
    return any(label["label"] in positive for label in (said if last is None else [last]))


def settled(said: Sequence[Mapping[str, JSON]]) -> Mapping[str, JSON] | None:
    """The label that people settled on after they had disagreed; None where they did not."""
    resolved = [label for label in said if label.get("resolves")]
    return resolved[-1] if resolved else None


def by_person(labels: Labels, item: str) -> bool:
    """Whether a person is among those who said something of an answer."""
    return any(label.get("human") for label in labels.get(item, ()))


def _leading(items: Sequence[str], bad: Bad) -> list[bool]:
    found: list[bool] = []
    for item in items:
        said = bad(item)
        if said is None:
            break
        found.append(said)
    return found
