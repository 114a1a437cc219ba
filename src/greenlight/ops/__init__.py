"""Which set of operations runs a model here?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from greenlight.errors import UsageError
from greenlight.formats.tensors import TensorType
from greenlight.ops.numpy_ops import NumpyOps
from greenlight.ops.protocol import Ops

__all__ = ["Ops", "computation", "name_of", "select_ops"]

NAMES = ("native", "native+exact", "numpy")


def select_ops(name: str | None = None) -> Ops:
    """The ops of that name; without one, what GREENLIGHT_OPS names; without that, native where it was built.

    Numpy's are in float32 throughout: "numpy+exact" is another name of them.

    Numpy ops chosen because native ones are missing carry the reason as `reason`.

    Raises:
        UsageError: no ops have that name.
        UnsupportedError: native ones were asked for and cannot be loaded.
    """
    asked = name or os.environ.get("GREENLIGHT_OPS") or None
    if asked == "numpy+exact":
        asked = "numpy"
    if asked not in (None, *NAMES):
        raise UsageError(f"there are no ops called {asked!r}", found=asked, do=f"use one of {', '.join(NAMES)}")
    if asked == "numpy":
        return NumpyOps()
    from greenlight.ops import native

    if asked == "native+exact":
        return native.NativeOps(precision="exact")
    if asked == "native" or native.available():
        return native.NativeOps()
    return NumpyOps(reason=f"the native kernels cannot be loaded: {native.why_not()}")


def name_of(identity: str) -> str:
    """What `select_ops` calls the ops of this identity: native/1+exact are native+exact."""
    name, exact = identity.partition("/")[0], identity.endswith("+exact")
    return f"{name}+exact" if exact else name


def computation(ops: Ops, types: Iterable[str]) -> dict[str, str]:
    """How these ops compute with weights of each type, by its name, in words: what is exact and what is rounded."""
    if ops.name == "numpy":
        return dict.fromkeys(types, "widened to float32, exactly")
    activations = "two int8, each" if ops.identity.endswith("+exact") else "int8"
    return {
        name: f"its own codes and scales, exactly; activations in {activations} with a scale per 32"
        if TensorType[name].quantised
        else "float32, exactly"
        for name in types
    }
