"""How do folders of gpt-oss hold its experts? Gate and up in turns; MXFP4 in blocks with scales, or plain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError
from greenlight.formats.planned import Chunks, Planned
from greenlight.formats.quants import mxfp4_from_blocks, mxfp4_to_blocks
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.config import ModelConfig
from greenlight.model.family import Gathered
from greenlight.ops import native

NO_NUMBER = 255
"""The exponent of no number (OCP Microscaling Formats specification 1.0, section 5.4.1)."""


def from_hf(tensors: Mapping[str, Tensor], config: ModelConfig) -> Gathered:
    """Experts under this project's names; what they are made of is used up, and what is left over keeps its name."""
    kept = dict(tensors)
    made: dict[str, Callable[[], Tensor]] = {}
    for layer in range(config.n_layers):
        prefix, used = f"model.layers.{layer}.mlp.experts.", set()
        for target, source, rows in PROJECTIONS:
            for end, parts in ((".weight", ("_blocks", "_scales")), (".weight", ("",)), (".bias", ("_bias",))):
                names = [f"{prefix}{source}{part}" for part in parts]
                if not all(name in tensors for name in names):
                    continue
                name = f"{prefix}{target}{end}"
                kept[name], made[name] = _expert_part(name, [tensors[name] for name in names], rows)
                used.update(names)
        for name in used:
            del kept[name]
    return Gathered(kept, made)


PROJECTIONS = (
    ("gate_proj", "gate_up_proj", slice(0, None, 2)),
    ("up_proj", "gate_up_proj", slice(1, None, 2)),
    ("down_proj", "down_proj", slice(None)),
)
"""Ours, the folder's, and which of the folder's rows: those of gate and up take turns."""


def _expert_part(name: str, sources: list[Tensor], rows: slice) -> tuple[Tensor, Callable[[], Tensor]]:
    """What a tensor will be, and how it is made.

    Of blocks (E, N, K/32, 16) and scales (E, N, K/32), of plain values (E, K, N), or of biases (E, N).

    Raises:
        FormatError: they have other shapes or types.
    """
    shape: tuple[int, ...]
    packed = [tensor.type is TensorType.U8 for tensor in sources]
    match [tensor.shape for tensor in sources]:
        case [(E, N, n_blocks, 16), scales] if all(packed) and scales == (E, N, n_blocks):
            shape, type_ = (E, len(range(N)[rows]), n_blocks * TensorType.MXFP4.block_values), TensorType.MXFP4
            make = partial(_from_mxfp4, name, sources, rows)
        case [(E, K, N)] if not any(packed):
            shape, type_ = (E, len(range(N)[rows]), K), sources[0].type
            make = partial(_turned, name, sources[0], rows)
        case [(E, N)] if not any(packed):
            shape, type_ = (E, len(range(N)[rows])), sources[0].type
            make = partial(_chosen, name, sources[0], rows)
        case _:
            raise FormatError(
                "experts are neither MXFP4 in blocks and scales nor plain values",
                where=sources[0].name,
                found=", ".join(f"{tensor.type.name} {tensor.shape}" for tensor in sources),
                do="fetch the folder again, as its makers published it",
            )
    return Tensor(sources[0].name, type_, shape, sources[0].data), make


def _from_mxfp4(name: str, sources: list[Tensor], rows: slice) -> Tensor:
    """Blocks and scales, as rows of one type.

    Raises:
        FormatError: a scale is no number.
    """
    scales = _chosen(sources[1].name, sources[1], rows)
    if scales.data.max(initial=0) == NO_NUMBER:
        raise FormatError("a scale is not a number", where=scales.name, do="fetch the file again")
    first, step = rows.start or 0, rows.step or 1
    E, N, n_blocks = sources[1].shape
    if native.available() and N % step == 0:
        # The same bytes, on all threads, without a copy of the rows in between.
        data = native.join_mxfp4(sources[0].data, sources[1].data, n_blocks, first, step)
        return Tensor(name, TensorType.MXFP4, (E, N // step, n_blocks * TensorType.MXFP4.block_values), data)
    return mxfp4_from_blocks(_chosen(sources[0].name, sources[0], rows), scales, name)


def _turned(name: str, tensor: Tensor, rows: slice) -> Tensor:
    """Plain values (E, K, N) as rows (E, n, K)."""
    values = tensor.data.view(f"u{tensor.type.block_bytes}").reshape(tensor.shape)
    turned = np.ascontiguousarray(values[..., rows].swapaxes(1, 2))
    return Tensor(name, tensor.type, turned.shape, turned.reshape(-1).view(np.uint8))


def _chosen(name: str, tensor: Tensor, rows: slice) -> Tensor:
    """Values (E, N, …) without the other rows."""
    values = np.ascontiguousarray(tensor.data.view(f"u{tensor.type.block_bytes}").reshape(tensor.shape)[:, rows])
    return Tensor(name, tensor.type, values.shape, values.reshape(-1).view(np.uint8))


EXPERTS = re.compile(r"(model\.layers\.\d+\.mlp\.experts\.)(gate|up|down)_proj\.(weight|bias)")

Read: TypeAlias = Callable[[], NDArray[np.uint8]]


def in_blocks(name: str, tensor: Tensor) -> bool:
    """Experts in MXFP4 are what folders hold in blocks and scales; nothing else is."""
    return tensor.type is TensorType.MXFP4 and EXPERTS.fullmatch(name) is not None


def to_hf(planned: Sequence[Planned], config: ModelConfig) -> list[Planned]:
    """The tensors of a folder, of this project's: what undoes `from_hf`."""
    by_name = {tensor.name: tensor for tensor in planned}
    written: list[Planned] = []
    for tensor in planned:
        match = EXPERTS.fullmatch(tensor.name)
        if match is None:
            written.append(tensor)
            continue
        prefix, projection, part = match.groups()
        if projection == "down":
            written += _joined(f"{prefix}down_proj", [tensor], part)
        elif projection == "gate":  # and up, which follows, with it
            written += _joined(f"{prefix}gate_up_proj", [tensor, by_name[f"{prefix}up_proj.{part}"]], part)
    return written


def _joined(name: str, sources: Sequence[Planned], part: str) -> list[Planned]:
    """One tensor of the rows of one or two in turns; of MXFP4 its blocks and its scales."""
    first, n = sources[0], len(sources)
    if part == "bias":
        E, N = first.shape
        read = partial(_in_turns, sources, (E, N, first.type.block_bytes))
        return [Planned(name=f"{name}_bias", type=first.type, shape=(E, n * N), chunks=partial(_alone, read))]
    E, N, K = first.shape
    if first.type is TensorType.MXFP4:
        per_row = K // first.type.block_values
        read = partial(_in_turns, sources, (E, N, per_row * first.type.block_bytes))
        ends = {"_blocks": (E, n * N, per_row, 16), "_scales": (E, n * N, per_row)}
        return [
            Planned(name=name + end, type=TensorType.U8, shape=shape, chunks=partial(_part_of_mxfp4, read, index))
            for index, (end, shape) in enumerate(ends.items())
        ]
    read = partial(_in_turns, sources, (E, N, K * first.type.block_bytes))
    turn = partial(_across, read, (E, n * N, K, first.type.block_bytes))
    return [Planned(name=name, type=first.type, shape=(E, K, n * N), chunks=turn)]


def _in_turns(sources: Sequence[Planned], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Bytes of rows (E, N, bytes), those of the sources in turns: (E, n N, bytes)."""
    rows = [np.frombuffer(b"".join(source.exactly()), np.uint8).reshape(shape) for source in sources]
    E, N, n_bytes = shape
    return np.stack(rows, axis=2).reshape(E, len(rows) * N, n_bytes)


def _alone(read: Read) -> Chunks:
    yield read().reshape(-1)


def _part_of_mxfp4(read: Read, index: int) -> Chunks:
    yield mxfp4_to_blocks(read().reshape(-1))[index].reshape(-1)


def _across(read: Read, shape: tuple[int, int, int, int]) -> Chunks:
    """Rows (E, N, K) as the folder has them, (E, K, N); bytes of one value stay together."""
    for expert in read().reshape(shape):
        yield np.ascontiguousarray(expert.swapaxes(0, 1)).reshape(-1)
