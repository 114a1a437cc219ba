"""How fast are larger models after a long prompt? The shapes of sizes.py, after 4,064 tokens."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.at_length import measure_works
from benchmarks.figures import Figure
from benchmarks.setting import Setting
from benchmarks.sizes import works

TITLE = "larger models, Q4_0, long prompts"
ROUNDS = {"Llama 1B": 3, "Llama 3B": 1, "Llama 8B": 1}
"""A round of the largest is a quarter of an hour on two cores, most of it the peer's: there one has to do."""


def measure(setting: Setting) -> Iterator[Figure]:
    """Ours is ahead on each; with what part of the machine's limits."""
    return measure_works(setting, works(setting, 4064, ROUNDS))
