"""How does a model come by an adapter? Its deltas find their homes, and go into the weights or stay beside them.

Into weights that are plain numbers the delta is added, in float32, before anything is packed. Quantised weights stay as
they are, and the low-rank product is computed beside them: to add to them would mean to widen them, or to round again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.adapter import Adapter, LowRank, read_adapter
from greenlight.model.adapter_gguf import in_model, read_gguf_adapter
from greenlight.model.checkpoint import Checkpoint
from greenlight.ops.beside import AdaptedTensor

How: TypeAlias = Literal["auto", "merged", "beside"]
"""Into the weights, beside them, or, by itself, beside those that are quantised and into the others."""

_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model with an adapter, and what became of its deltas."""

    checkpoint: Checkpoint
    merged: tuple[str, ...]
    """Modules whose delta went into the weights."""

    beside: tuple[str, ...]
    """Modules whose delta stays beside them."""

    widened: tuple[str, ...]
    """Modules of quantised weights that were widened to float32 to be merged."""


def adapter_of(paths: Sequence[Path], checkpoint: Checkpoint) -> Adapter:
    """Read adapters for a model, PEFT's folders or GGUF files, as one that adds the sum of their deltas.

    Args:
        paths: at least one, in the order in which deltas are added, each at its own scale.
        checkpoint: the model.

    Raises:
        FormatError: one is damaged, does not fit the model, or replaces what another changes.
        UnsupportedError: a kind of adapter that is not computed here.
    """
    read = [in_model(read_gguf_adapter(path), checkpoint) if path.is_file() else read_adapter(path) for path in paths]
    if len(read) == 1:
        return read[0]
    for adapter in read:
        _check_homes(_with_replaced(checkpoint, adapter), adapter)
    return _together(read)


def _together(adapters: Sequence[Adapter]) -> Adapter:
    """One adapter whose pairs are those of several side by side: [B1 B2]·[A1; A2] = B1·A1 + B2·A2."""
    deltas, replaced = dict[str, LowRank](), dict[str, Tensor]()
    for adapter in adapters:
        changed = {f"{module}.weight" for module in deltas} | replaced.keys()
        again = {f"{module}.weight" for module in adapter.deltas} & replaced.keys() | adapter.replaced.keys() & changed
        if again:
            raise FormatError(
                "an adapter replaces whole what another one changes",
                where=str(adapter.path),
                found=_some(sorted(again)),
                do="use one of them, or merge the first: greenlight convert MODEL+FIRST MERGED",
            )
        for module, delta in adapter.deltas.items():
            first = deltas.get(module)
            deltas[module] = delta if first is None else _side_by_side(first, delta)
        replaced |= adapter.replaced
    return Adapter(
        path=adapters[0].path,
        base=adapters[0].base,
        deltas=deltas,
        replaced=replaced,
        targets=None,
        left_out=tuple(part for adapter in adapters for part in adapter.left_out),
    )


def _side_by_side(first: LowRank, second: LowRank) -> LowRank:
    return LowRank(np.concatenate([first.a, second.a]), np.concatenate([first.b, second.b], axis=1))


def adapt(checkpoint: Checkpoint, adapter: Adapter, how: How = "auto") -> Adapted:
    """Give a model an adapter.

    Raises:
        FormatError: a delta has no home, another shape, or is missing where the settings promise one.
        UnsupportedError: a delta of something that is not computed this way.
    """
    checkpoint = _with_replaced(checkpoint, adapter)
    _check_homes(checkpoint, adapter)
    made: dict[str, Callable[[], Tensor]] = {}
    packed_bytes: dict[str, int] = {}
    merged, beside, widened = list[str](), list[str](), list[str]()
    for module, delta in adapter.deltas.items():
        name = f"{module}.weight"
        stored = checkpoint.tensors[name]
        quantised = stored.type.quantised
        # The head's delta is always merged: log-probabilities are taken of its products without keeping them.
        if how == "merged" or (how == "auto" and not quantised) or name == _HEAD:
            made[name] = partial(_merged, checkpoint, name, delta)
            packed_bytes[name] = 4 * stored.n_values
            merged.append(module)
            if quantised:
                widened.append(module)
        else:
            made[name] = partial(_beside, checkpoint, name, delta)
            packed_bytes[name] = stored.n_bytes + delta.a.nbytes + delta.b.nbytes
            beside.append(module)
    adapted = replace(
        checkpoint,
        made={**checkpoint.made, **made},
        packed_bytes=packed_bytes,
        left_out=(*checkpoint.left_out, *adapter.left_out),
    )
    return Adapted(adapted, tuple(merged), tuple(beside), tuple(widened))


def _merged(checkpoint: Checkpoint, name: str, delta: LowRank) -> Tensor:
    tensor = checkpoint[name]
    values = dequantize(tensor) + delta.dense()
    return Tensor(tensor.name, TensorType.F32, tensor.shape, values.reshape(-1).view(np.uint8))


def _beside(checkpoint: Checkpoint, name: str, delta: LowRank) -> Tensor:
    tensor = checkpoint[name]
    return AdaptedTensor(tensor.name, tensor.type, tensor.shape, tensor.data, delta.a, delta.b)


def _check_homes(checkpoint: Checkpoint, adapter: Adapter) -> None:
    homeless = [module for module in adapter.deltas if f"{module}.weight" not in checkpoint.tensors]
    if homeless:
        raise _misfit(adapter, "deltas of the adapter have no home in this model", _some(homeless))
    for module, delta in adapter.deltas.items():
        shape = checkpoint.tensors[f"{module}.weight"].shape
        if shape != delta.shape:
            raise _misfit(adapter, "a delta has another shape than its weight", f"{module}: {delta.shape} for {shape}")
        if module.endswith(("embed_tokens", "embed_tokens_per_layer", "mlp.router")) or ".experts." in module:
            raise UnsupportedError(
                "deltas of embeddings, routers and experts are not computed", where=str(adapter.path), found=module
            )
    linears = [
        name.removesuffix(".weight")
        for name, tensor in checkpoint.tensors.items()
        if len(tensor.shape) == 2 and name.endswith(".weight") and name != _EMBEDDING
    ]
    promised = [m for m in linears for target in adapter.targets or () if m == target or m.endswith(f".{target}")]
    if missing := [module for module in promised if module not in adapter.deltas]:
        raise _misfit(adapter, "the adapter lacks deltas that its target_modules promise", f"missing: {_some(missing)}")


def _with_replaced(checkpoint: Checkpoint, adapter: Adapter) -> Checkpoint:
    """The model with the tensors that training kept whole."""
    if not adapter.replaced:
        return checkpoint
    tensors, config = dict(checkpoint.tensors), checkpoint.config
    if config.tied_head and _HEAD in adapter.replaced:
        config = replace(config, tied_head=False)
        tensors[_HEAD] = tensors[_EMBEDDING]
    elif config.tied_head and _EMBEDDING in adapter.replaced:
        raise UnsupportedError(
            "the adapter replaces an embedding that is the head as well, and says nothing of the head",
            where=str(adapter.path),
            found=_EMBEDDING,
            do="save lm_head with it (modules_to_save)",
        )
    for name, tensor in adapter.replaced.items():
        if name not in tensors:
            raise _misfit(adapter, "a tensor of modules_to_save has no home in this model", name)
        if checkpoint.format == "gguf" and len(tensor.shape) == 1:
            # Some families' files keep 1 + w where Hugging Face keeps w.
            raise UnsupportedError(
                "norms of modules_to_save need a base in Hugging Face's folder", where=str(adapter.path), found=name
            )
        if tensor.shape != tensors[name].shape:
            raise _misfit(
                adapter,
                "a tensor of modules_to_save has another shape",
                f"{name}: {tensor.shape} for {tensors[name].shape}",
            )
    made: Mapping[str, Callable[[], Tensor]] = {name: partial(_same, t) for name, t in adapter.replaced.items()}
    return replace(checkpoint, config=config, tensors={**tensors, **adapter.replaced}, made={**checkpoint.made, **made})


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _misfit(adapter: Adapter, what: str, found: str) -> FormatError:
    named = f"the adapter names {adapter.base!r} as its base" if adapter.base else "the adapter names no base"
    return FormatError(
        what, where=str(adapter.path), found=found, do=f"use the model that it was trained on ({named}; only a name)"
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
