"""What must planning and deciding know of an exam? Its items' ids, groups and keys, in the exam's order; no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from greenlight.evidence import JSON
from greenlight.measure.metrics import Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteFacts:
    """A drawn suite, without what the model is shown."""

    name: str
    """What the assessment is called."""

    version: int
    """Version of the suite: the same seed draws the same items."""

    kind: str
    """`generate` or `choice`."""

    answer_tokens: int
    """The prefix of an answer that the grader reads by design; 0 for choices."""

    items: tuple[Mapping[str, JSON], ...]
    """Id, topic, cluster, key and level of each item, in the exam's order."""

    @classmethod
    def of(
        cls, *, name: str, version: int, kind: str, answer_tokens: int, items: Sequence[Mapping[str, JSON]]
    ) -> SuiteFacts:
        """Facts from items as their suites write them (`Item.to_json()`)."""
        kept = ("id", "topic", "cluster", "key", "level")
        slim = tuple({field: item[field] for field in kept} for item in items)
        return cls(name=name, version=version, kind=kind, answer_tokens=answer_tokens, items=slim)

    def only(self, topic: str) -> SuiteFacts:
        """The items of one topic."""
        return replace(self, items=tuple(item for item in self.items if item["topic"] == topic))

    @property
    def n(self) -> int:
        """Items in all."""
        return len(self.items)

    @property
    def clusters(self) -> int:
        """Groups of items that are not independent of each other."""
        return len({item["cluster"] for item in self.items})

    def counted(self, metric: Metric) -> tuple[Mapping[str, JSON], ...]:
        """The items that a metric is about."""
        return tuple(item for item in self.items if metric.counts(item))

    def uneven(self, metric: Metric) -> bool:
        """Whether its groups differ in size: a mean over groups is then another number than one over items."""
        sizes = Counter(item["cluster"] for item in self.counted(metric))
        return len(set(sizes.values())) > 1

    def groups(self, metric: Metric) -> int:
        """Groups among the items that a metric is about."""
        return len({item["cluster"] for item in self.counted(metric)})
