"""What does a GGUF file with a LoRA adapter say? Low-rank pairs under llama.cpp's names, rows in its order of heads.

Keys, names and the scale alpha / r are llama.cpp's: src/llama-adapter.cpp and .h, convert_lora_to_gguf.py. What it
passes over in silence (norms, an alpha that is missing) is refused: nobody could tell the result from what was trained.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.gguf import GGUFFile, read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.adapter import Adapter, Floats, LowRank
from greenlight.model.checkpoint import Checkpoint
from greenlight.model.fields import Fields

TYPE_KEY, ARCHITECTURE_KEY, KIND_KEY = "general.type", "general.architecture", "adapter.type"
ALPHA_KEY = "adapter.lora.alpha"

_READ = frozenset((KIND_KEY, ALPHA_KEY, "adapter.lora.task_name", "adapter.lora.prompt_prefix"))
"""Keys of adapters that are read, or that llama.cpp shows to people and computes nothing of."""

_PAIR = re.compile(r"(?P<weight>.+)\.lora_(?P<which>[ab])")
_MOST_ALPHA = 1e9
_AGAIN = "convert the adapter again with llama.cpp's convert_lora_to_gguf.py, or use PEFT's folder"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GGUFAdapter:
    """An adapter as its file has it, not yet held against any model."""

    path: Path
    """Its file."""

    architecture: str
    """What models it is for, in GGUF's words."""

    base: str | None
    """What it says it was trained on: for information alone."""

    pairs: Mapping[str, LowRank]
    """By the weight's name in GGUF files: blk.0.attn_q.weight."""


def read_gguf_adapter(path: Path) -> GGUFAdapter:
    """Read a GGUF file that holds a LoRA adapter.

    Raises:
        FormatError: it holds none, is damaged, or contradicts itself.
        UnsupportedError: a kind of adapter, or a tensor of it, that is not computed here; named.
    """
    file = read_gguf(path)
    fields = Fields(str(path), file.metadata)
    architecture, base = _kind(fields), file.metadata.get("general.base_model.0.name")
    alpha = _alpha(file)
    halves = _halves(file)
    return GGUFAdapter(
        path=path,
        architecture=architecture,
        base=base if isinstance(base, str) and base else None,
        pairs={weight: _pair(path, weight, parts, alpha) for weight, parts in halves.items()},
    )


def in_model(adapter: GGUFAdapter, checkpoint: Checkpoint) -> Adapter:
    """The adapter in Hugging Face's names and layout, as a model's weights are.

    Raises:
        FormatError: it is of another architecture, or has a delta that this model has no weight for.
    """
    expected = _architectures(checkpoint)
    if adapter.architecture not in expected:
        named = " or ".join(map(repr, expected)) or "none: this model has no form in GGUF"
        raise _misfit(
            adapter,
            "the adapter is for another architecture than the model's",
            ARCHITECTURE_KEY,
            f"{adapter.architecture[:80]!r}, expected {named}",
        )
    names = [name for name in checkpoint.tensors if name.endswith(".weight")]
    homes = {checkpoint.family.gguf_name(name): name for name in names}
    deltas = {}
    for weight, pair in adapter.pairs.items():
        if weight not in homes:
            raise _misfit(
                adapter, "a delta of the adapter has no home in this model", weight, f"no weight {weight[:120]}"
            )
        name = homes[weight]
        if (shape := checkpoint.tensors[name].shape) != pair.shape:
            raise _misfit(adapter, "a delta has another shape than its weight", weight, f"{pair.shape} for {shape}")
        deltas[name.removesuffix(".weight")] = LowRank(pair.a, _rows_in_order(name, pair.b, checkpoint))
    return Adapter(path=adapter.path, base=adapter.base, deltas=deltas, replaced={}, targets=None)


def _rows_in_order(name: str, b: Floats, checkpoint: Checkpoint) -> Floats:
    """B with the rows of its weight: a family that reorders those of a file's weight reorders B's alike."""
    tensor = Tensor(name, TensorType.F32, b.shape, np.ascontiguousarray(b).reshape(-1).view(np.uint8))
    return dequantize(checkpoint.family.from_gguf(name, tensor, checkpoint.config))


def _architectures(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What GGUF files of this model call it."""
    family = checkpoint.family
    if checkpoint.format == "gguf":
        return (str(checkpoint.metadata[ARCHITECTURE_KEY]),)
    if family.gguf_metadata is not None:
        return (str(family.gguf_metadata(checkpoint.config)[ARCHITECTURE_KEY]),)
    return family.gguf_architectures


# What the file says


def _kind(fields: Fields) -> str:
    """The architecture, once it is known to be a LoRA adapter in one file with no more to it than is read."""
    fields.refuse_unless("split.count", 0, 1)
    if (type_ := fields.text(TYPE_KEY)) != "adapter":
        raise FormatError(
            "the file holds no adapter",
            where=f"{fields.where}, {TYPE_KEY}",
            found=f"{type_[:80]!r}, expected 'adapter'" if type_ else "nothing, expected 'adapter'",
            do="name a LoRA adapter after the +, and the model before it",
        )
    if (kind := fields.text(KIND_KEY)) != "lora":
        raise UnsupportedError(
            f"adapters of type {(kind or 'unknown')[:80]} are not supported",
            where=f"{fields.where}, {KIND_KEY}",
            found=f"{kind[:80]!r}, expected 'lora'" if kind else "nothing, expected 'lora'",
            do="use LORA",
        )
    for name in fields.unread():
        if name.startswith("adapter.") and name not in _READ:
            raise UnsupportedError(
                f"the adapter sets {name[:120]}, which is not computed here",
                where=f"{fields.where}, {name[:120]}",
                found=str(fields.get(name))[:80],
                do="use an adapter that is always on, with nothing but alpha and its pairs",
            )
    architecture = fields.text(ARCHITECTURE_KEY)
    if not architecture:
        raise FormatError(
            "the adapter does not say what models it is for", where=f"{fields.where}, {ARCHITECTURE_KEY}", do=_AGAIN
        )
    return architecture


def _alpha(file: GGUFFile) -> float:
    value = file.metadata.get(ALPHA_KEY)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < abs(value) <= _MOST_ALPHA
    if not good:
        # llama.cpp takes 0 for "not said" and the scale as 1; peft takes it for 0.
        raise FormatError(
            "the adapter does not say its scale" if value is None else "the adapter's alpha is impossible",
            where=f"{file.path}, {ALPHA_KEY}",
            found=f"{'nothing' if value is None else str(value)[:80]}, expected a number other than 0",
            do=_AGAIN,
        )
    return float(value)  # type: ignore[arg-type]


def _halves(file: GGUFFile) -> dict[str, dict[str, Tensor]]:
    """The tensors by weight, then by half."""
    halves = dict[str, dict[str, Tensor]]()
    for name, tensor in file.tensors.items():
        match = _PAIR.fullmatch(name)
        if match is None:
            raise UnsupportedError(
                "the adapter holds a tensor that is no half of a low-rank pair",
                where=f"{file.path}, {name[:120]}",
                found=f"{tensor.type.name} {tensor.shape}",
                do="llama.cpp would leave norms out without a word: use PEFT's folder, with modules_to_save",
            )
        if match["weight"].endswith("token_embd.weight") or len(tensor.shape) != 2:
            raise UnsupportedError(
                "deltas of embeddings, routers and experts are not computed",
                where=f"{file.path}, {name[:120]}",
                found=f"{tensor.type.name} {tensor.shape}, expected a pair of matrices for a linear",
                do="train the adapter on attention and feed-forward linears",
            )
        halves.setdefault(match["weight"], {})[match["which"]] = tensor
    if not halves:
        raise FormatError("the adapter changes nothing", where=str(file.path), found="no tensors", do=_AGAIN)
    return halves


def _pair(path: Path, weight: str, parts: Mapping[str, Tensor], alpha: float) -> LowRank:
    if parts.keys() != {"a", "b"}:
        only = next(iter(parts.values()))
        raise FormatError(
            "half of a low-rank pair is missing",
            where=f"{path}, {weight[:120]}",
            found=f"only {only.name[:120]}, expected lora_a and lora_b",
            do=_AGAIN,
        )
    a, b = parts["a"], parts["b"]
    if a.shape[0] != b.shape[1]:
        raise FormatError(
            "the halves of a low-rank pair have different ranks",
            where=f"{path}, {weight[:120]}",
            found=f"lora_a {a.shape}, lora_b {b.shape}, expected (r, inputs) and (outputs, r)",
            do=_AGAIN,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        pair = LowRank(dequantize(a), dequantize(b) * np.float32(alpha / a.shape[0]))
    if not (math.isfinite(alpha) and np.isfinite(pair.a).all() and np.isfinite(pair.b).all()):
        raise FormatError(
            "a low-rank pair holds values that are no numbers",
            where=f"{path}, {weight[:120]}",
            found="an infinity or NaN, expected finite numbers",
            do=_AGAIN,
        )
    return pair


def _misfit(adapter: GGUFAdapter, what: str, part: str, found: str) -> FormatError:
    named = f"the adapter names {adapter.base[:120]!r} as its base" if adapter.base else "the adapter names no base"
    return FormatError(
        what,
        where=f"{adapter.path}, {part[:120]}",
        found=found,
        do=f"use the model that it was trained on ({named}; only a name)",
    )
