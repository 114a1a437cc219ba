"""How fast are larger models? Random weights in the shapes of Llama 1B, 3B and 8B, short and long prompts."""

from __future__ import annotations

from benchmarks.at_length import Work, measure_works
from benchmarks.figures import Figure
from benchmarks.random_models import random_file
from benchmarks.setting import Setting

TITLE = "larger models, Q4_0"
ROUNDS = {("Llama 1B", 512): 5, ("Llama 3B", 512): 3, ("Llama 8B", 512): 3, ("Llama 1B", 4064): 3}
"""A round of the 8B shape at 4k is minutes on two cores: there one has to do."""


def measure(setting: Setting) -> list[Figure]:
    """Ours is ahead on each; with what part of the machine's limits."""
    return measure_works(
        setting,
        [
            Work(
                name=f"{shape} Q4_0",
                path=random_file(setting.work, shape, "Q4_0"),
                prompt=prompt,
                tokens=32,
                rounds=ROUNDS.get((shape, prompt), 1),
                prefill_floor=1.0,
                decode_floor=1.0,
            )
            for shape in ("Llama 1B", "Llama 3B", "Llama 8B")
            for prompt in (512, 4064)
        ],
    )
