"""How far is one model's prediction from another's? Sums over the positions of a text, from both models' logits.

Kullback-Leibler divergence of the child from the parent, in nats a token: 0 where both predict alike (Kullback and
Leibler 1951, doi:10.1214/aoms/1177729694). Its standard error counts windows of text, not tokens: neighbours agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from greenlight.evidence import JSON
from greenlight.measure.statistics.proportions import clopper_pearson

Logits = NDArray[np.float32]


class FirstDifference(NamedTuple):
    """The first position at which the two would say another token."""

    position: int
    """Counted over all windows."""

    parent: int
    """The parent's token."""

    child: int
    """The child's."""

    margin: float
    """By how many nats the parent prefers its own: near 0 both were as likely."""


@dataclass(slots=True)
class Divergence:
    """What has been seen so far."""

    kl: list[NDArray[np.float64]] = field(default_factory=list)
    """Nats at each position, by window."""

    n_same: int = 0
    """Positions at which both find the same token most likely."""

    logprobs: list[NDArray[np.float64]] = field(default_factory=list)
    """Of the token that came, (2, T): parent's and child's."""

    first: FirstDifference | None = None
    """Where they part."""

    def window(self) -> None:
        """A new stretch of text begins."""
        self.kl.append(np.empty(0))

    def add(self, parent: Logits, child: Logits, following: NDArray[np.int32]) -> None:
        """Count positions of the window that is open.

        Args:
            parent: (T, V).
            child: (T, V).
            following: the token that came after each, (T,).
        """
        p, q = _log_softmax(parent), _log_softmax(child)
        kl = (np.exp(p) * (p - q)).sum(axis=-1)
        theirs, ours = p.argmax(axis=-1), q.argmax(axis=-1)
        if self.first is None and (apart := np.flatnonzero(theirs != ours)).size:
            row = int(apart[0])
            margin = float(p[row, theirs[row]] - p[row, ours[row]])
            self.first = FirstDifference(self.n + row, int(theirs[row]), int(ours[row]), margin)
        self.n_same += int((theirs == ours).sum())
        rows = np.arange(len(following))
        self.logprobs.append(np.stack([p[rows, following], q[rows, following]]))
        # Rounding can leave a sum of equal terms a hair below 0, which no divergence is.
        self.kl[-1] = np.concatenate([self.kl[-1], np.maximum(kl, 0.0)])

    @property
    def n(self) -> int:
        """Positions so far."""
        return sum(map(len, self.kl))

    def summary(self) -> dict[str, JSON]:
        """All that the report says of them.

        Raises:
            ValueError: no position was counted.
        """
        every = np.concatenate(self.kl)
        if not every.size:
            raise ValueError("no position was counted")
        interval = clopper_pearson(self.n_same, len(every), 0.05)
        parent, child = (float(-rows.mean()) for rows in np.concatenate(self.logprobs, axis=1))
        return {
            "positions": len(every),
            "windows": len(self.kl),
            "kl": {
                "mean": _kept(every.mean()),
                "standard_error": _standard_error(self.kl),
                "p99.9": _kept(np.quantile(every, 0.999)),
                "max": _kept(every.max()),
            },
            "top1": {
                "same": self.n_same,
                "share": _kept(self.n_same / len(every)),
                "lower": _kept(interval.lower),
                "upper": _kept(interval.upper),
            },
            "first_difference": None if self.first is None else _difference(self.first),
            "perplexity": {"parent": _kept(math.exp(parent)), "child": _kept(math.exp(child))},
        }


def _difference(first: FirstDifference) -> dict[str, Any]:
    return {**first._asdict(), "margin": _kept(first.margin)}


def _standard_error(windows: Sequence[NDArray[np.float64]]) -> float | None:
    """Of the mean over positions, from how windows differ; None of fewer than two."""
    n, total = len(windows), sum(map(len, windows))
    if n < 2:
        return None
    mean = sum(float(window.sum()) for window in windows) / total
    spread = sum((float(window.sum()) - mean * len(window)) ** 2 for window in windows)
    return _kept(math.sqrt(spread * n / (n - 1)) / total)


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    normed: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normed


def _kept(value: float) -> float:
    """Ten digits: more than any two machines agree on."""
    return float(f"{value:.10g}")
