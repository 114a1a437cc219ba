"""How is a low-rank delta computed beside a weight that stays as it is? x·Wᵀ + (x·Aᵀ)·Bᵀ, by any ops' plain operations.

Where linears are stacked (q, k and v; gate and up), so are their A, and the B stand on the diagonal of one matrix: each
delta then reaches the rows of its own linear and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import UnsupportedError
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops.numpy_ops import activate
from greenlight.ops.protocol import Activation, Array, Ops, Step, Weight

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedTensor(Tensor):
    """A weight, and what is to be added to its products."""

    a: Floats
    """(r, inputs)."""

    b: Floats
    """(outputs, r), the scale in it."""


@dataclass(frozen=True, slots=True)
class AdaptedLinear:
    """A packed linear, and its packed delta."""

    base: Weight
    a: Weight
    b: Weight


class BesideOps:
    """Ops that also compute what stands beside a weight; everything else they leave to the ops that they wrap.

    Args:
        ops: what computes.
    """

    def __init__(self, ops: Any) -> None:
        self._ops = ops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def recorded(self, compute: Callable[[Ops, Step], Array]) -> Callable[[Step], Array]:
        """The same computation for any step; what stands beside weights is asked for each time."""
        return partial(compute, self)

    def pack_linear(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Weight:
        """As the wrapped ops, with the deltas that there are."""
        base = self._ops.pack_linear(weights, biases)
        adapted = [tensor for tensor in weights if isinstance(tensor, AdaptedTensor)]
        if not adapted:
            return base
        ranks, rows = sum(len(tensor.a) for tensor in adapted), sum(tensor.shape[0] for tensor in weights)
        b, row, column = np.zeros((rows, ranks), np.float32), 0, 0
        for tensor in weights:
            if isinstance(tensor, AdaptedTensor):
                b[row : row + tensor.shape[0], column : column + len(tensor.a)] = tensor.b
                column += len(tensor.a)
            row += tensor.shape[0]
        return AdaptedLinear(base, self._pack(np.concatenate([tensor.a for tensor in adapted])), self._pack(b))

    def pack_gate_up(self, gate: Tensor, up: Tensor, biases: tuple[Tensor | None, Tensor | None]) -> Weight:
        """As the wrapped ops; with a delta, as gate above up."""
        if isinstance(gate, AdaptedTensor) or isinstance(up, AdaptedTensor):
            return self.pack_linear([gate, up], biases)
        return self._ops.pack_gate_up(gate, up, biases)

    def pack_experts(self, gate: Tensor, up: Tensor, down: Tensor, biases: Sequence[Tensor | None]) -> Weight:
        """As the wrapped ops.

        Raises:
            UnsupportedError: experts have deltas.
        """
        if any(isinstance(tensor, AdaptedTensor) for tensor in (gate, up, down)):
            raise UnsupportedError("deltas of experts are not computed", where=gate.name)
        return self._ops.pack_experts(gate, up, down, biases)

    def linear(self, step: Step, x: Array, weight: Weight) -> Array:
        """X @ W.T + bias + (x @ A.T) @ B.T, (T, N)."""
        if not isinstance(weight, AdaptedLinear):
            return self._ops.linear(step, x, weight)
        delta = self._ops.linear(step, self._ops.linear(step, x, weight.a), weight.b)
        return self._ops.add(step, self._ops.linear(step, x, weight.base), delta)

    def gate_up(self, step: Step, x: Array, weight: Weight, activation: Activation) -> Array:
        """activation(gate(x)) * up(x), (T, F)."""
        if not isinstance(weight, AdaptedLinear):
            return self._ops.gate_up(step, x, weight, activation)
        gate, up = np.split(self._ops.to_numpy(self.linear(step, x, weight)), 2, axis=-1)
        return self._ops.from_numpy(step, activate(np.ascontiguousarray(gate), activation) * up)

    def norm_linear(self, step: Step, x: Array, norm: Weight, eps: float, weight: Weight) -> Array:
        """linear(rms_norm(x)), (T, N)."""
        if not isinstance(weight, AdaptedLinear):
            return self._ops.norm_linear(step, x, norm, eps, weight)
        return self.linear(step, self._ops.rms_norm(step, x, norm, eps), weight)

    def norm_gate_up(self, step: Step, x: Array, norm: Weight, eps: float, weight: Weight, act: Activation) -> Array:
        """gate_up(rms_norm(x)), (T, F)."""
        if not isinstance(weight, AdaptedLinear):
            return self._ops.norm_gate_up(step, x, norm, eps, weight, act)
        return self.gate_up(step, self._ops.rms_norm(step, x, norm, eps), weight, act)

    def linear_add(self, step: Step, x: Array, weight: Weight, residual: Array) -> Array:
        """The sum residual + linear(x), (T, C)."""
        if not isinstance(weight, AdaptedLinear):
            return self._ops.linear_add(step, x, weight, residual)
        return self._ops.add(step, residual, self.linear(step, x, weight))

    def _pack(self, values: Floats) -> Weight:
        values = np.ascontiguousarray(values, np.float32)
        tensor = Tensor("adapter", TensorType.F32, values.shape, values.reshape(-1).view(np.uint8))
        return self._ops.pack_linear([tensor], [None])


def with_deltas(ops: Ops) -> Ops:
    """These ops, able to compute deltas beside weights."""
    return BesideOps(ops)
