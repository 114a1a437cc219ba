"""How does a folder keep weights in FP8? Linears in 8-bit floats, with one scale for all or one for each square.

So Ministral 3 is published, and Qwen 3 beside its BF16 (transformers integrations/finegrained_fp8.py, Fp8Dequantize): a
weight is its 8-bit float times `weight_scale_inv`. Here that product is taken in float32. The scales for activations
that some files hold serve engines that round activations as well, which nothing here does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.quants import dequantize, from_e4m3
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.fields import Fields

WEIGHT, SCALE, ACTIVATION = ".weight", ".weight_scale_inv", ".activation_scale"

_ABOUT_THE_REST = ("activation_scheme", "modules_to_not_convert", "modules_to_convert", "ignored_layers", "dequantize")
"""Settings of how others compute, and of which weights are plain: their types say that."""


class Widened(NamedTuple):
    """A folder's tensors, FP8 among them as float32 that is yet to be made."""

    tensors: dict[str, Tensor]
    """All of them; of one that is yet to be made, type and shape as it will be."""

    made: dict[str, Callable[[], Tensor]]
    """How to make those."""

    left_out: tuple[str, ...]
    """What nothing here needs."""


def widen(tensors: Mapping[str, Tensor], settings: Fields) -> Widened:
    """Weights in FP8 as float32.

    Args:
        tensors: of the folder.
        settings: `quantization_config`, whose method is fp8.

    Raises:
        FormatError: a weight has no scale, or one of another shape; no weight is in FP8.
        UnsupportedError: a setting that is not known.
    """
    square = _square(settings)
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(ACTIVATION)}
    left_out = (f"{n} scales of activations",) if (n := len(tensors) - len(kept)) else ()
    made: dict[str, Callable[[], Tensor]] = {}
    for name in [name for name, tensor in kept.items() if tensor.type is TensorType.F8_E4M3]:
        weight, scale = kept[name], kept.pop(name.removesuffix(WEIGHT) + SCALE, None)
        _check(weight, scale, square)
        made[name] = partial(_product, name, weight, scale, square)
        kept[name] = Tensor(weight.name, TensorType.F32, weight.shape, weight.data)
    if not made:
        raise FormatError(
            "the config says that weights are in FP8, and none is",
            where=settings.where,
            found=", ".join(sorted({tensor.type.name for tensor in tensors.values()})),
            do="the two come from different models; fetch both again from one source",
        )
    return Widened(kept, made, left_out)


def _square(settings: Fields) -> tuple[int, int] | None:
    """Rows and columns that share a scale; None where all of a weight do."""
    settings.refuse_unless("quant_method", "fp8")
    settings.refuse_unless("fmt", "e4m3")
    settings.refuse_unless("scale_fmt", "float")
    settings.refuse_unless("expert_dtype", "fp8")
    for name in _ABOUT_THE_REST:
        settings.get(name)
    size = settings.get("weight_block_size") if settings.says("weight_block_size") else [128, 128]  # transformers' own
    if unread := settings.unread():
        raise UnsupportedError(
            f"{unread[0]} is not known among the settings of FP8",
            where=f"{settings.where}, {unread[0]}",
            do="use the model's checkpoint in BF16, or a GGUF file of it",
        )
    if size is None:
        return None
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 1 <= n <= 1 << 20 for n in size):
        raise settings.wrong("weight_block_size", size, "two whole numbers of 1 or more")
    return size[0], size[1]


def _check(weight: Tensor, scale: Tensor | None, square: tuple[int, int] | None) -> None:
    again = "fetch the folder again, as its makers published it"
    if scale is None:
        found = f"shape {weight.shape}, no {weight.name.removesuffix(WEIGHT)}{SCALE}"
        raise FormatError("a weight in FP8 has no scale", where=weight.name, found=found, do=again)
    if len(weight.shape) != 2:
        raise FormatError("a weight in FP8 is no linear", where=weight.name, found=f"shape {weight.shape}", do=again)
    fitting: tuple[tuple[int, ...], ...] = ((), (1,), (1, 1))
    if square is not None:
        fitting = (tuple(-(-n // side) for n, side in zip(weight.shape, square, strict=True)),)
    if scale.shape not in fitting:
        found = f"{scale.shape}, expected {fitting[0]} for a weight of {weight.shape}"
        raise FormatError("a scale does not fit its weight", where=scale.name, found=found, do=again)


def _product(name: str, weight: Tensor, scale: Any, square: tuple[int, int] | None) -> Tensor:
    """A weight times its scale.

    Raises:
        FormatError: a product is no number.
    """
    N, K = weight.shape
    values, factors = from_e4m3(weight.data).reshape(N, K), dequantize(scale)
    if square is not None:
        factors = np.repeat(np.repeat(factors, square[0], axis=0)[:N], square[1], axis=1)[:, :K]  # (N, K)
    with np.errstate(invalid="ignore", over="ignore"):
        values *= factors
    if not np.isfinite(values).all():
        raise FormatError("a weight is not a number", where=weight.name, do="fetch the file again")
    return Tensor(name, TensorType.F32, (N, K), values.reshape(-1).view(np.uint8))
