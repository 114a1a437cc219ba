"""What will a converted model's files hold? Every tensor with its type, every key, checked before a byte is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import UnsupportedError
from greenlight.formats.gguf_writer import MAX_NAME_BYTES
from greenlight.formats.planned import Chunks, Planned, planned_as_is
from greenlight.formats.recoding import recode
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.alike import require_alike
from greenlight.model.checkpoint import Checkpoint
from greenlight.model.config import ModelConfig
from greenlight.model.families import FAMILIES, family_of_architecture, family_of_model_type
from greenlight.model.family import Family, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.lineage import PARENT
from greenlight.model.types import Importance, TypeOf

FILE_TYPES: Mapping[str, int] = {
    **{"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12},
    **{"Q4_K": 15, "Q5_K": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32, "MXFP4": 38},
}
"""llama.cpp's number of a file by the type of most of its weights (llama.h, enum llama_ftype)."""

QUANTIZATION_VERSION = 2
"""Of the layouts of quantised blocks (ggml.h, GGML_QNT_VERSION)."""


Layout: TypeAlias = Callable[[str, Tensor, ModelConfig], Tensor]
"""A tensor, by its Hugging Face name, in the target's layout."""


class GGUFPlan(NamedTuple):
    """A GGUF file to be written."""

    metadata: dict[str, Any]
    """Its keys and values."""

    tensors: list[Planned]
    """Its tensors in order."""


class FolderPlan(NamedTuple):
    """A Hugging Face folder's weights and config, to be written."""

    config: dict[str, Any]
    """config.json."""

    tensors: list[Planned]
    """Its tensors in order."""


def plan_gguf(
    checkpoint: Checkpoint,
    type_of: TypeOf,
    entries: Mapping[str, Any],
    importance: Importance | None = None,
) -> GGUFPlan:
    """A model as one GGUF file.

    Args:
        checkpoint: the model.
        type_of: which type each tensor gets.
        entries: keys that no tensor tells: general.*, the tokenizer, the template. A model that is a GGUF file keeps
            its own where these do not say otherwise.
        importance: of input channels, by tensor.

    Raises:
        UnsupportedError: the family is not written to GGUF, or a GGUF file could not say what the model computes.
    """
    family, config = checkpoint.family, checkpoint.config
    if checkpoint.format == "gguf":
        facts: dict[str, Any] = {key: value for key, value in checkpoint.metadata.items() if not _of_the_file(key)}
    elif family.gguf_metadata is None:
        raise _not_written(family, "GGUF files")
    else:
        facts = family.gguf_metadata(config)
    names = {name: family.gguf_name(name) for name in checkpoint}
    tensors = _planned(checkpoint, names, family.to_gguf, type_of, importance)
    extra = _more(checkpoint, family)
    tensors += [planned_as_is(name, tensor) for name, tensor in extra.items()]
    size_keys = {"general.file_type": _file_type(tensors), "general.quantization_version": QUANTIZATION_VERSION}
    metadata = {**facts, **entries, **size_keys}
    _read_back_gguf(checkpoint, metadata, tensors, extra)
    return GGUFPlan(metadata, tensors)


def plan_folder(checkpoint: Checkpoint, type_of: TypeOf) -> FolderPlan:
    """A model as a Hugging Face folder.

    Raises:
        UnsupportedError: the family is not written to folders, or config.json could not say what the model computes.
    """
    family, config = checkpoint.family, checkpoint.config
    family = _family_by_name(checkpoint)
    if family.from_hf is not None and family.hf_parts is None and family.hf_joined is None:
        raise _not_written(family, "Hugging Face folders")
    if checkpoint.format == "safetensors" and checkpoint.metadata.get("model_type") in family.hf_model_types:
        facts = dict(checkpoint.metadata)
    elif family.hf_config is None:
        raise _not_written(family, "Hugging Face folders")
    else:
        facts = family.hf_config(config)
    layout = family.to_hf if checkpoint.format == "gguf" else as_it_is
    tensors = _planned(checkpoint, {name: name for name in checkpoint}, layout, type_of, None)
    if family.hf_parts is not None:
        tensors = [part for tensor in tensors for part in _parts(tensor, family.hf_parts(tensor.name, config))]
    for key in ("torch_dtype", "dtype", "quantization_config"):
        facts.pop(key, None)
    if any(tensor.type is TensorType.MXFP4 for tensor in tensors):
        facts["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": list(_NOT_IN_MXFP4)}
    if family.hf_joined is not None:
        tensors = family.hf_joined(tensors, config)
    kinds = Counter[str]()
    for tensor in tensors:
        if tensor.type in _DTYPES:
            kinds[_DTYPES[tensor.type]] += tensor.n_bytes
    facts["torch_dtype"] = kinds.most_common(1)[0][0]
    where = "config.json to be written"
    model_type = Fields(where, facts).text("model_type", "")
    if not config.tied_head and "lm_head.weight" in checkpoint.made:
        facts["tie_word_embeddings"] = False  # an adapter brought a head of its own
    again = family_of_model_type(model_type, where).config_from_hf(Fields(where, facts))
    require_alike(config, again, where)
    return FolderPlan(facts, tensors)


_NOT_IN_MXFP4 = ("model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head")
"""Modules whose weights are plain values in a folder of MXFP4 experts, as transformers wants them named."""

_DTYPES = {TensorType.F32: "float32", TensorType.F16: "float16", TensorType.BF16: "bfloat16"}


def _planned(
    checkpoint: Checkpoint, names: Mapping[str, str], layout: Layout, type_of: TypeOf, importance: Importance | None
) -> list[Planned]:
    planned = []
    for name, stored in checkpoint.tensors.items():
        type_ = type_of(names[name], stored)
        make = partial(_chunks, checkpoint, name, layout, type_, importance.get(name) if importance else None)
        planned.append(Planned(name=names[name], type=type_, shape=stored.shape, chunks=make))
    return planned


def _chunks(
    checkpoint: Checkpoint, name: str, layout: Layout, type_: TensorType, importance: NDArray[np.float32] | None
) -> Chunks:
    """A tensor's bytes in the target's layout and type; only now is it read."""
    return recode(layout(name, checkpoint[name], checkpoint.config), type_, importance)


def _parts(tensor: Planned, names: tuple[str, ...]) -> list[Planned]:
    """A tensor under its names in a folder, its first axis taken apart where they are several."""
    if len(names) == 1:
        return [replace(tensor, name=names[0])]
    n_bytes = tensor.n_bytes // len(names)
    whole = cache(lambda: memoryview(b"".join(tensor.exactly())))  # made for the first part, let go with the last

    def bytes_of(index: int) -> Chunks:
        yield bytes(whole()[index * n_bytes : (index + 1) * n_bytes])
        if index == len(names) - 1:
            whole.cache_clear()

    return [
        Planned(name=name, type=tensor.type, shape=tensor.shape[1:], chunks=partial(bytes_of, index))
        for index, name in enumerate(names)
    ]


def _more(checkpoint: Checkpoint, family: Family) -> dict[str, Tensor]:
    """Tensors that say what no key can."""
    return {
        name: Tensor(name, TensorType.F32, values.shape, np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(-1))
        for name, values in family.gguf_more(checkpoint.config).items()
    }


def _file_type(tensors: Iterable[Planned]) -> int:
    sizes = Counter[str]()
    for tensor in tensors:
        if len(tensor.shape) > 1:
            sizes[tensor.type.name] += int(np.prod(tensor.shape))
    return FILE_TYPES.get(sizes.most_common(1)[0][0], 0)


def _read_back_gguf(
    checkpoint: Checkpoint, metadata: Mapping[str, Any], tensors: list[Planned], extra: Mapping[str, Tensor]
) -> None:
    """Read the facts as any reader of the file would, and compare them with the model's."""
    where = f"{checkpoint.path} as GGUF"
    for tensor in tensors:
        if len(tensor.name.encode()) > MAX_NAME_BYTES:
            raise UnsupportedError("a tensor's name is too long for GGUF", where=where, found=tensor.name)
    architecture = metadata["general.architecture"]
    there = {t.name: Tensor(t.name, t.type, t.shape, np.empty(0, np.uint8)) for t in tensors} | dict(extra)
    values = {key: np.array(value) if _is_numbers(value) else value for key, value in metadata.items()}
    fields = Fields(where, values, prefix=f"{architecture}.")
    again = family_of_architecture(architecture, where).config_from_gguf(fields, there)
    require_alike(checkpoint.config, again, where)


def _of_the_file(key: str) -> bool:
    """Whether a key says nothing of the model: how a file is laid out, and what that file was made from."""
    return key == "general.alignment" or key.startswith(f"{PARENT}.")


def _is_numbers(value: Any) -> bool:
    """Whether readers find an array: of truth values, or of whole numbers."""
    return isinstance(value, list) and any(value and all(type(one) is kind for one in value) for kind in (bool, int))


def _family_by_name(checkpoint: Checkpoint) -> Family:
    """The design that the facts name: files of one architecture may hold several."""
    return next((family for family in FAMILIES if family.name == checkpoint.config.family), checkpoint.family)


def _not_written(family: Family, what: str) -> UnsupportedError:
    return UnsupportedError(f"{what} of the family {family.name!r} are not written yet", do="keep the format it has")
