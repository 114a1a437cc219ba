"""How near does a run of a text come to another? Position by position, so that chance can be told from a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenlight.measure.divergence import Divergence

CHUNK = 64
"""Positions that are compared at a time: in float64, all at once would take gigabytes."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One run beside the reference."""

    same: NDArray[np.bool_]
    """Whether both find the same token most likely, (T,)."""

    kl: NDArray[np.float64]
    """Kullback-Leibler divergence of the run's next-token distribution from the reference's, nats, (T,)."""

    @property
    def n_same(self) -> int:
        """Positions with the same most likely token."""
        return int(self.same.sum())

    @property
    def mean_kl(self) -> float:
        """Nats a position."""
        return float(self.kl.mean())


def agreement(reference: NDArray[np.float32], other: NDArray[np.float32], following: NDArray[np.int32]) -> Agreement:
    """Of two runs of one text.

    Args:
        reference: logits after each token, (T, V).
        other: the same of the run that is judged.
        following: the token that came after each, (T,).
    """
    found = Divergence()
    found.window()
    for start in range(0, len(reference), CHUNK):
        rows = slice(start, start + CHUNK)
        found.add(reference[rows], other[rows], following[rows])
    return Agreement(reference.argmax(axis=1) == other.argmax(axis=1), np.concatenate(found.kl))


def joined(parts: Sequence[Agreement]) -> Agreement:
    """Several texts as one."""
    return Agreement(np.concatenate([part.same for part in parts]), np.concatenate([part.kl for part in parts]))


def standard_error(ours: Agreement, peer: Agreement) -> float:
    """Of the difference between two runs' `n_same`, from how they differ at each position of one text."""
    apart = ours.same.astype(np.float64) - peer.same
    return float(apart.std()) * math.sqrt(len(apart))
