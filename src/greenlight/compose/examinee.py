"""Who sits an exam? A model on this machine, or one behind an endpoint: what locking and asking need of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from greenlight.assess.runner import Subject
from greenlight.assess.suites import Item
from greenlight.engine.answering import Answerer
from greenlight.evidence import JSON


class Examinee(Protocol):
    """A model with an identity that can be asked."""

    @property
    def name(self) -> str:
        """Short name for folders and reports."""

    @property
    def digest(self) -> str:
        """What identifies it: of its files, or of what an endpoint says of itself."""

    @property
    def template_sha256(self) -> str:
        """Digest of its chat template; of the empty text where none can be seen."""

    @property
    def template_date(self) -> str | None:
        """The day that its prompts state, YYYY-MM-DD; None where the template states none, or cannot be seen."""

    @property
    def ops(self) -> str:
        """What computes it: operations and their version, or the kind of endpoint."""

    def identity(self) -> dict[str, JSON]:
        """What a lock says of it."""

    def engine(self) -> dict[str, JSON]:
        """What a run records of how it was computed."""

    def answerer(self) -> Answerer:
        """A fresh way to ask it."""

    def check(self, subject: Subject, items: Sequence[Item]) -> dict[str, JSON]:
        """Checks of the instrument that need the model: its template, and the same items alone and together."""

    def measure(self) -> dict[str, JSON] | None:
        """What it costs to run here; None where that cannot be measured."""

    def tokens_per_s(self) -> float | None:
        """Tokens per second over several answers at once, from a fraction of a second's pilot; None where unknown."""
