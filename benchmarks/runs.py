"""What must be known of a run, and which of its figures stand beside those of others?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.figures import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Parts that were measured in one go, and what a reader must know of it."""

    id: str
    """Date and kernels."""

    date: str
    """When it began, in UTC."""

    machine: Mapping[str, Any]
    """What it ran on, with the versions of all that was measured."""

    commit: str | None
    """Of the code; None outside of a git checkout."""

    dirty: bool | None
    """Whether the code had changes that were not committed; None where that is not known."""

    model: Mapping[str, Any]
    """The model's file and its size."""

    seconds: float = 0.0
    """What all of its parts took, those of which a newer measurement stands included."""

    most_cpu_left_in_pauses: float = 0.0
    """Part of one core that a side still used, at most, when the other was timed."""

    others_share_of_cores: Mapping[str, float | None] = field(default_factory=dict)
    """What other processes used of all cores, by part."""

    parts: Mapping[str, Sequence[Figure]] = field(default_factory=dict)
    """Figures by part."""

    @property
    def place(self) -> tuple[str, ...]:
        """What makes two machines the same: the processor's name and its instruction sets."""
        return self.machine["processor"], *self.machine["cpu_features"]

    def only(self, parts: Iterable[str]) -> Run:
        """The run with no parts but these."""
        kept = set(parts)
        shares = {part: share for part, share in self.others_share_of_cores.items() if part in kept}
        figures = {part: figures for part, figures in self.parts.items() if part in kept}
        return replace(self, parts=figures, others_share_of_cores=shares)


def run_id(date: str, machine: Mapping[str, Any]) -> str:
    """A name for a run that no other has."""
    return f"{date}-{kernels(machine)}"


def kernels(machine: Mapping[str, Any]) -> str:
    """Which kernels run there: avx512vnni of native/avx512vnni/1."""
    name, *variant = machine["ops"].split("/")
    return str(variant[0] if name == "native" else name)


def standing(runs: Iterable[Run]) -> list[Run]:
    """Of these runs what stands, the oldest first.

    Of a part on a machine it is the newest measurement; a run of which nothing stands is gone. Of two runs with the
    same id the later one counts: the same run, further on. A part in which nothing could be measured takes no place
    from one that was.
    """
    by_id = {run.id: run for run in runs}
    ordered = sorted(by_id.values(), key=lambda run: run.date)
    measurements = [(run, part) for run in ordered for part in run.parts]
    measurements.sort(key=lambda each: any(figure.ours for figure in each[0].parts[each[1]]))
    newest = {(run.place, part): run.id for run, part in measurements}
    kept = [run.only(part for part in run.parts if newest[run.place, part] == run.id) for run in ordered]
    return [run for run in kept if run.parts]
