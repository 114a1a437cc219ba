"""Who is told while long work goes on? One class with a method per event; the command line draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.evidence import JSON

if TYPE_CHECKING:
    from greenlight.gate.plan import Plan


class Observer:
    """Told what happens during long work; the command line draws it, a library user may ignore it."""

    def pulling(self, done_bytes: int, total_bytes: int | None) -> None:
        """Bytes of a download so far."""

    def writing(self, done_bytes: int, total_bytes: int) -> None:
        """Bytes of a converted model so far."""

    def beginning_anew(self, target: Path, n_bytes: int) -> None:
        """An attempt at this was killed while it wrote; so many bytes of it are thrown away."""

    def going_on(self, target: Path) -> None:
        """An attempt at this was killed after it had written all; what is left is the comparison."""

    def measuring(self, n_done: int, n_tokens: int) -> None:
        """Tokens over which a converted model was held against its parent."""

    def slow(self, reason: str) -> None:
        """The native kernels are not there: everything works, many times slower."""

    def waiting(self, text: str) -> None:
        """What an endpoint is asked first, and what of it is waited for; told from any thread."""

    def planned(self, plan: Plan) -> None:
        """The plan stands, before anything is asked."""

    def unmeasured(self, rows: Sequence[str]) -> None:
        """These rows cannot be measured of this model, however long one asks."""

    def locked(self, lock: Mapping[str, JSON], folder: Path) -> None:
        """The policy, the model and the exam are fixed; evidence goes to this folder."""

    def suite_started(self, suite: str, n_items: int, n_done: int) -> None:
        """A suite's items are about to be asked; n_done were answered by an earlier, interrupted run."""

    def progress(self, suite: str, n_done: int, n_items: int) -> None:
        """One more item is finished and on disk."""

    def suite_ended(self, suite: str, rows: Sequence[Mapping[str, JSON]], wall_s: float) -> None:
        """A suite is over; its rows as they stand."""

    def decided(self, decision: Mapping[str, JSON], folder: Path) -> None:
        """The verdict is written."""
