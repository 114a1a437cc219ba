"""What do 32 requests cost that begin with the same 1,000 tokens? The engine beside llama-server and its cache."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

import numpy as np

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers import llama_server
from benchmarks.setting import Setting
from benchmarks.text import plain_text

TITLE = "a shared prefix"
PREFIX, OWN, TOKENS, REQUESTS, ROUNDS = 1000, 24, 32, 32, 3
SLOTS = (1, 8, 32)
"""Of the server: all are tried, the best is what we compare with."""
FLOOR = 3.0


class Prompts:
    """Prompts of one round: a prefix that no round before had, and an end of each request's own; tokens of a text."""

    def __init__(self, text: Sequence[int]) -> None:
        self._text, self._rounds = np.asarray(text), count()

    def __call__(self) -> list[list[int]]:
        rng = np.random.default_rng(next(self._rounds))
        prefix = rng.choice(self._text, PREFIX).tolist()
        return [prefix + rng.choice(self._text, OWN).tolist() for _ in range(REQUESTS)]


def measure(setting: Setting) -> list[Figure]:
    """Seconds from the first request to the last answer's last token."""
    ours = Ours(setting.path, PREFIX)
    text = ours.model.encode(plain_text())
    prompts, trials = Prompts(text), {}
    positions = PREFIX + OWN + TOKENS + 16
    for slots in SLOTS:
        with llama_server.serving(setting, setting.path, slots=slots, positions=positions) as server:
            trials[slots] = server.answers(prompts(), TOKENS)
    best = min(trials, key=trials.__getitem__)
    with llama_server.serving(setting, setting.path, slots=best, positions=positions) as server:
        sides = {
            "ours": lambda: ours.answers_s(prompts(), TOKENS),
            "peer": lambda: server.answers(prompts(), TOKENS),
        }
        seen = alternate(setting.count(ROUNDS), sides, between=lambda: (park(), time.sleep(1)), warm_up=False)
    return [
        Figure(
            name=f"{REQUESTS} requests after a shared prefix of {PREFIX} tokens",
            unit="s",
            **seen,
            peer_name="llama-server",
            more_is_better=False,
            ratio_floor=FLOOR,
            best=trials[best],
            settings={
                **llama_server.how_run(setting, best),
                "peer_s_by_slots": trials,
                "own": OWN,
                "tokens": TOKENS,
            },
        )
    ]
