"""What is released with a model besides its weights? System prompt and sampling, which are assessed with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

from greenlight.engine import SamplingParams
from greenlight.evidence import JSON


class Settings(NamedTuple):
    """What is released with the weights, so part of what is assessed."""

    system: str | None
    sampling: SamplingParams

    def to_json(self, ops: str) -> dict[str, JSON]:
        """As the lock records it; the seed and the length of answers are set per item."""
        sampling = asdict(self.sampling)
        for name in ("seed", "max_tokens", "logprobs", "ignore_eos"):
            del sampling[name]
        sampling["stop"] = list(sampling["stop"])
        return {"system": self.system, "sampling": sampling, "ops": ops}

    @classmethod
    def from_json(cls, value: Mapping[str, JSON]) -> Settings:
        """The settings a lock records."""
        from greenlight.engine import SamplingParams

        sampling = {**value["sampling"], "stop": tuple(value["sampling"]["stop"])}
        return cls(value["system"], SamplingParams(**sampling))
