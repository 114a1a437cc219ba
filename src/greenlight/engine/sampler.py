"""Which token comes next? Of the model's logits, by the request's settings and one number keyed by seed and position.

Definitions, in the order in which they apply, which is that of transformers' generate:

1. repetition penalty r: logits of tokens in prompt or answer are divided by r if positive, else multiplied (Keskar et
   al. 2019, arXiv:1909.05858); then frequency and presence penalties f and p: tokens in the answer lose f · count + p.
2. temperature 0: the token with the largest logit, of equals the lowest id. Else logits are divided by it, and:
3. top_k: exactly k most likely tokens stay, of equals the lowest ids.
4. top_p: of these, the fewest most likely ones whose probabilities sum to p or more (Holtzman et al. 2020,
   arXiv:1904.09751).
5. min_p: of these, the ones at least p times as likely as the most likely one (Nguyen et al. 2024, arXiv:2407.01082).
6. One number from Philox, a counter-based generator (Salmon et al. 2011, doi:10.1145/2063384.2063405), keyed by the
   request's seed and the token's position, picks from what stays, by inverting the distribution in order of id.

Log-probabilities are those of the model itself, before any of this. Weights are float32, as logits are; their sums are
float64, row by row, so that a row's outcome depends on nothing but the row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from greenlight.engine.requests import SamplingParams
from greenlight.errors import EngineError

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Ids = NDArray[np.intp]

BLOCK = 256
"""Values that are looked at together before any of them is looked at alone."""


class History:
    """Tokens that penalties look back on.

    Args:
        prompt: the request's prompt.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        self._counts = dict.fromkeys(prompt, 0)

    def add(self, token: int) -> None:
        """The answer got another token."""
        self._counts[token] = self._counts.get(token, 0) + 1

    def penalise(self, logits: Floats, params: SamplingParams) -> None:
        """Apply the penalties to one row of logits, (V,), in place."""
        n = len(self._counts)
        ids = np.fromiter(self._counts.keys(), np.intp, n)
        counts = np.fromiter(self._counts.values(), np.float64, n)
        values = logits[ids].astype(np.float64)
        values = np.where(values > 0, values / params.repetition_penalty, values * params.repetition_penalty)
        logits[ids] = values - params.frequency_penalty * counts - params.presence_penalty * (counts > 0)


class Row(NamedTuple):
    """What is known about one row of logits."""

    params: SamplingParams
    """How its token is drawn."""

    position: int
    """The position that its token will have."""

    history: History | None
    """Earlier tokens; needed where penalties are on."""


class Draw(NamedTuple):
    """A drawn token."""

    token: int
    """Its id."""

    logprob: float | None
    """In nats; None unless asked for."""

    top: tuple[tuple[int, float], ...]
    """The most likely tokens with theirs."""


class Sampler:
    """Draws one token per row of a step."""

    def __init__(self) -> None:
        self._noise = Noise()

    def draw(self, logits: Floats, rows: Sequence[Row]) -> list[Draw]:
        """One token per row.

        Args:
            logits: (R, V).
            rows: settings and history of each, R of them.

        Raises:
            EngineError: the largest logit of a row is not a finite number.
        """
        best = logits.argmax(axis=1).tolist()  # the first of equals
        # argmax takes NaN for the largest, so looking at the winners finds every row that holds one.
        if not all(math.isfinite(logits[index]) for index in enumerate(best)):
            raise EngineError(
                "the model's logits are not finite numbers",
                do="the weights may be damaged: run `greenlight inspect` on them, and pull them again",
            )
        return [
            Draw(token, None, ()) if row.params.plain else self._draw_row(values, row, token)
            for values, row, token in zip(logits, rows, best, strict=True)
        ]

    def _draw_row(self, logits: Floats, row: Row, best: int) -> Draw:
        params, token, changed = row.params, best, logits
        if params.penalised:
            assert row.history is not None, "penalties need a history"
            changed = logits.copy()
            row.history.penalise(changed, params)
            token = int(changed.argmax())
        if params.temperature > 0:
            token = _choose(changed, params, self._noise.uniform(params.seed, row.position))
        return _report(logits, token, params.logprobs)


class Noise:
    """Uniform numbers by key and counter: no state, so nothing that was drawn before matters."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(0)
        self._state: Any = self._philox.state

    def uniform(self, seed: int, position: int) -> float:
        """A number in [0, 1) of 53 bits."""
        # Setting the state of one generator is four times as fast as making a new one.
        self._state["state"] = {"counter": _words(position, 4), "key": _words(seed, 2)}
        self._philox.state = self._state
        return (int(self._philox.random_raw()) >> 11) * 2.0**-53


def _words(value: int, n: int) -> NDArray[np.uint64]:
    words = np.zeros(n, np.uint64)
    words[0] = value
    return words


def _choose(logits: Floats, params: SamplingParams, u: float) -> int:
    """A token by these logits, (V,), and a number in [0, 1)."""
    # Relative to the largest logit, whose weight is then 1; the bounds keep the divisor a float32 other than 0.
    temperature = min(max(params.temperature, 1e-37), 1e37)
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((logits - logits.max()) / np.float32(temperature))
    if params.top_k == 0 and params.top_p == 1 and params.min_p == 0:
        return pick(weights, u)
    ids = surviving(weights, params)
    return int(ids[pick(weights[ids], u)])


def surviving(weights: Floats, params: SamplingParams) -> Ids:
    """Ids that top_k, top_p and min_p leave, ascending.

    Args:
        weights: unnormalised probabilities with 1 as their largest, (V,).
        params: the cuts.
    """
    ids = largest(weights, params.top_k) if params.top_k else None
    if params.top_p < 1:
        ids = _nucleus(weights, params.top_p) if ids is None else ids[_nucleus(weights[ids], params.top_p)]
    if ids is None:
        return np.flatnonzero(weights >= np.float32(params.min_p))
    return ids[weights[ids] >= np.float32(params.min_p)]


def largest(values: Floats, k: int) -> Ids:
    """Indices of the k largest values, of equals the first, ascending."""
    if k >= len(values):
        return np.arange(len(values))
    n_blocks = -(-len(values) // BLOCK)
    if k < n_blocks:
        # k blocks reach up to the k-th largest of their maxima, so no value below it is among the k largest.
        maxima = np.maximum.reduceat(values, np.arange(0, len(values), BLOCK))
        candidates = np.flatnonzero(values >= np.partition(maxima, -k)[-k])
        return candidates[_largest(values[candidates], k)]
    return _largest(values, k)


def _largest(values: Floats, k: int) -> Ids:
    least = np.partition(values, -k)[-k]
    chosen = values > least
    equals = np.flatnonzero(values == least)
    chosen[equals[: k - np.count_nonzero(chosen)]] = True
    return np.flatnonzero(chosen)


def _nucleus(weights: Floats, p: float) -> Ids:
    """Indices of the fewest largest weights that hold the fraction p of all, ascending."""
    wanted = p * weights.sum(dtype=np.float64)
    for floor in (1e-2, 1e-4, 0.0):
        # Weights above a floor are the largest ones; if they hold enough, the rest need not be sorted.
        candidates = np.flatnonzero(weights >= np.float32(floor))
        if floor == 0 or weights[candidates].sum(dtype=np.float64) > wanted:
            break
    sums = np.cumsum(np.sort(weights[candidates])[::-1], dtype=np.float64)
    n = min(int(np.searchsorted(sums, wanted)) + 1, len(candidates))
    return candidates[largest(weights[candidates], n)]


def pick(weights: Floats, u: float) -> int:
    """The index at which the running sum of weights passes u times their sum."""
    # Two levels: a running sum over all of a vocabulary takes longer than the rest of the draw.
    starts = np.arange(0, len(weights), BLOCK)
    sums = np.cumsum(np.add.reduceat(weights, starts), dtype=np.float64)
    target = u * float(sums[-1])
    block = _passing(sums, target)
    before = float(sums[block - 1]) if block else 0.0
    inside = np.cumsum(weights[starts[block] : starts[block] + BLOCK], dtype=np.float64)
    return int(starts[block]) + _passing(inside, target - before)


def _passing(sums: Sums, target: float) -> int:
    """The first index at which running sums exceed a target; where rounding hides it, the last at which they rise."""
    place = int(np.searchsorted(sums, target, side="right"))
    return place if place < len(sums) else int(np.flatnonzero(np.diff(sums, prepend=0.0))[-1])


def _report(logits: Floats, token: int, n_top: int) -> Draw:
    """The token with log-probabilities by these logits, (V,)."""
    if n_top == 0:
        return Draw(token, None, ())
    peak = logits.max()
    with np.errstate(under="ignore"):
        total = float(peak) + math.log(np.exp(logits - peak).sum(dtype=np.float64))
    ids = largest(logits, n_top)
    ids = ids[np.argsort(-logits[ids], kind="stable")]
    top = tuple((int(i), float(logits[i]) - total) for i in ids)
    return Draw(token, float(logits[token]) - total, top)
