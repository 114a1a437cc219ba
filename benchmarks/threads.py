"""With how many threads is a peer at its best here? All counts are tried; the best one is what we compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import park


@dataclass(frozen=True, slots=True)
class Tried:
    """What trying thread counts showed."""

    threads: int
    """The best count."""

    value: float
    """Its rate."""

    rates: dict[int, float]
    """The rate of each count tried."""

    def settings(self, unit: str) -> dict[str, Any]:
        """The same, for the record."""
        return {"peer_threads": self.threads, f"peer_{unit}_by_threads": self.rates}


def best_threads(at_most: int, rate: Callable[[int], float]) -> Tried:
    """Try 1, 2, 4, ... and all threads; more is better."""
    counts = sorted({*(2**i for i in range(at_most.bit_length()) if 2**i <= at_most), at_most})
    rates = {}
    for n in counts:
        park()
        rates[n] = rate(n)
    best = max(rates, key=rates.__getitem__)
    return Tried(best, rates[best], rates)
