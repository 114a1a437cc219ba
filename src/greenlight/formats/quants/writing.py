"""Which bytes of a type stand closest to given values? One answer for every type that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.quants import codebook, k, legacy, plain
from greenlight.formats.quants.bits import Bytes, Floats, half
from greenlight.formats.tensors import TensorType

PLAIN: Mapping[TensorType, Callable[[Floats], Bytes]] = {
    TensorType.F32: plain.to_f32,
    TensorType.F16: plain.to_f16,
    TensorType.BF16: plain.to_bf16,
}
"""From values to bytes."""

BLOCKS: Mapping[TensorType, Callable[[Floats, Floats | None], Bytes]] = {
    TensorType.Q4_0: legacy.write_q4_0,
    TensorType.Q4_1: legacy.write_q4_1,
    TensorType.Q5_0: legacy.write_q5_0,
    TensorType.Q5_1: legacy.write_q5_1,
    TensorType.Q8_0: legacy.write_q8_0,
    TensorType.Q4_K: k.write_q4_k,
    TensorType.Q5_K: k.write_q5_k,
    TensorType.Q6_K: k.write_q6_k,
    TensorType.IQ4_NL: codebook.write_iq4_nl,
    TensorType.MXFP4: codebook.write_mxfp4,
}
"""From (blocks, values), and weights of the errors or None, to (blocks, bytes)."""

QUANTISERS = (*PLAIN, *BLOCKS)
"""Types that can be written."""

HALVES: Mapping[TensorType, tuple[int, ...]] = {
    **{TensorType.Q4_0: (0,), TensorType.Q4_1: (0, 2), TensorType.Q5_0: (0,), TensorType.Q5_1: (0, 2)},
    **{TensorType.Q8_0: (0,), TensorType.Q4_K: (0, 2), TensorType.Q5_K: (0, 2), TensorType.Q6_K: (208,)},
    TensorType.IQ4_NL: (0,),
}
"""Where blocks keep 16-bit floats."""

CHUNK_VALUES = 1 << 18
"""Values rounded at a time, so that the steps between stay in the cache."""


def quantise(values: Floats, type_: TensorType, importance: Floats | None = None, *, name: str = "values") -> Bytes:
    """Values as a type stores them.

    Args:
        values: (…, C), float32, all finite.
        type_: one of `QUANTISERS`; C is a multiple of its block.
        importance: how much an error of each input counts, (C,), for example its mean square over some text; None: all
            the same.
        name: of the tensor, for errors.

    Returns:
        The bytes, one-dimensional.

    Raises:
        UnsupportedError: a type that is read and not written.
        FormatError: rows that are no whole blocks, values that are not finite or too large for the type.
    """
    if type_ not in QUANTISERS:
        raise UnsupportedError(
            f"tensors of type {type_.name} cannot be written",
            where=name,
            found=f"{type_.name}; written are {', '.join(known.name for known in QUANTISERS)}",
            do="choose one of those types",
        )
    values = np.ascontiguousarray(values, np.float32)
    _check(values, type_, importance, name)
    if type_ in PLAIN:
        data = PLAIN[type_](values)
        if type_ is TensorType.F16:
            _refuse_infinite(data.view("<f2"), type_, name)
        return data
    blocks = values.reshape(-1, type_.block_values)
    weights = None if importance is None else _weights(importance, type_)
    write, step = BLOCKS[type_], CHUNK_VALUES // type_.block_values
    out = np.empty((len(blocks), type_.block_bytes), np.uint8)
    with np.errstate(over="ignore"):
        for first in range(0, len(blocks), step):
            part = blocks[first : first + step]
            own = None if weights is None else weights[np.arange(first, first + len(part)) % len(weights)]
            out[first : first + step] = write(part, own)
    for place in HALVES.get(type_, ()):
        _refuse_infinite(half(out, place), type_, name)
    return out.reshape(-1)


def _check(values: Floats, type_: TensorType, importance: Floats | None, name: str) -> None:
    if values.ndim == 0 or values.shape[-1] % type_.block_values:
        raise FormatError(
            f"rows do not fill whole blocks of {type_.name}",
            where=name,
            found=f"shape {values.shape}, expected rows of a multiple of {type_.block_values} values",
            do="keep this tensor in a type whose blocks its rows fill, such as F16 or Q8_0",
        )
    if importance is not None and importance.shape != values.shape[-1:]:
        raise FormatError(
            "importance has another length than the rows",
            where=name,
            found=f"{importance.shape}, expected {values.shape[-1:]}",
        )
    if importance is not None and not (np.isfinite(importance).all() and (importance >= 0).all()):
        raise FormatError("importance holds numbers below 0 or none at all", where=name)
    if not np.isfinite(values).all():
        raise FormatError("a value is not a finite number", where=name, do="check the weights that it came from")


def _weights(importance: Floats, type_: TensorType) -> Floats:
    """Weights of one row's blocks, (blocks, values), of mean 1; none is 0, lest a run of zeros be left to chance."""
    mean = float(importance.mean(dtype=np.float64))
    weights = importance / mean + 1e-3 if mean > 0 else np.ones_like(importance)
    return weights.reshape(-1, type_.block_values).astype(np.float32)


def _refuse_infinite(halves: NDArray[np.floating[Any]], type_: TensorType, name: str) -> None:
    """Fail where a value or scale did not fit 16 bits."""
    if not np.isfinite(halves).all():
        raise FormatError(
            f"a value is too large for {type_.name}",
            where=name,
            found="a scale or value beyond 65,504, the largest 16-bit float",
            do="use BF16 or F32",
        )
