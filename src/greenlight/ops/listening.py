"""Which inputs of a linear matter? The reference ops, which also sum the squares of every linear's inputs.

A quantiser may then round more carefully where inputs are large (the idea of activation-aware methods: Lin et al. 2023,
arXiv:2306.00978; llama.cpp's importance matrix).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import Tensor
from greenlight.ops.numpy_ops import Floats, Linear, NumpyOps, NumpyStep


class ListeningOps(NumpyOps):
    """`NumpyOps` that remember mean squared inputs, by the name of each weight."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, tuple[str, ...]] = {}
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, int] = {}

    def pack_linear(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Linear:
        """As the reference; whose inputs they are is remembered."""
        linear = super().pack_linear(weights, biases)
        self._names[id(linear)] = tuple(tensor.name for tensor in weights)
        return linear

    def linear(self, step: NumpyStep, x: Floats, weight: Linear) -> Floats:
        """As the reference; inputs are counted."""
        squares = np.square(x, dtype=np.float64).sum(axis=0)
        for name in self._names[id(weight)]:
            self._sums[name] = self._sums.get(name, 0.0) + squares
            self._counts[name] = self._counts.get(name, 0) + len(x)
        return super().linear(step, x, weight)

    def means(self) -> dict[str, NDArray[np.float32]]:
        """Mean squared input of each channel, (C,), by weight; those that were never used are left out."""
        return {
            name: (total / self._counts[name]).astype(np.float32)
            for name, total in self._sums.items()
            if self._counts[name]
        }
