"""How fast are larger models? Random weights in the shapes of Llama 1B, 3B and 8B, after a prompt of 512."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.at_length import Work, measure_works
from benchmarks.figures import Figure
from benchmarks.random_models import random_file
from benchmarks.setting import Setting

TITLE = "larger models, Q4_0"
ROUNDS = {"Llama 1B": 5, "Llama 3B": 3, "Llama 8B": 3}


def measure(setting: Setting) -> Iterator[Figure]:
    """Ours is ahead on each; with what part of the machine's limits."""
    return measure_works(setting, works(setting, 512, ROUNDS))


def works(setting: Setting, prompt: int, rounds: Mapping[str, int]) -> list[Work]:
    """Each shape, with so many rounds."""
    return [
        Work(
            name=f"{shape} Q4_0",
            path=random_file(setting.work, shape, "Q4_0"),
            prompt=prompt,
            tokens=32,
            rounds=n,
            prefill_floor=1.0,
            decode_floor=1.0,
        )
        for shape, n in rounds.items()
    ]
