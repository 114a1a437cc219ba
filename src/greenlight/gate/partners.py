"""Which two answers belong together? Those of one pair, joined when the later of them is there."""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.evidence import JSON
from greenlight.measure.metrics import Sample


class Partners:
    """Joins answers whose keys have the same `pair`; the one that carries `pushed` gets the other as `partner`."""

    def __init__(self) -> None:
        self._waiting: dict[str, Sample] = {}

    def add(self, sample: Sample) -> list[Mapping[str, JSON]]:
        """Take the next answer; the joined pair if it is the second of one, else nothing."""
        first = self._waiting.pop(sample["key"]["pair"], None)
        if first is None:
            self._waiting[sample["key"]["pair"]] = sample
            return []
        swayed, plain = (sample, first) if "pushed" in sample["key"] else (first, sample)
        joined = {**swayed, "partner": plain}
        if "reference" in swayed:  # the reference's two answers belong together as well
            joined["reference"] = {**swayed["reference"], "partner": plain["reference"]}
        return [joined]
