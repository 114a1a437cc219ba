"""What do a model's files hold? Its facts, and every tensor that they promise, each checked, none packed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from greenlight.errors import ConfigError, FormatError, UnsupportedError, placed
from greenlight.formats.gguf import GGUFFile
from greenlight.formats.gguf_parts import read_gguf_model
from greenlight.formats.safetensors import SafetensorsFolder, read_folder
from greenlight.formats.tensors import SCALED_ELSEWHERE, Tensor
from greenlight.model.blocks import attention_spec
from greenlight.model.config import ModelConfig
from greenlight.model.experts import stack_numbered
from greenlight.model.families import family_of_architecture, family_of_model_type
from greenlight.model.family import Family
from greenlight.model.fields import Fields
from greenlight.model.fp8 import widen
from greenlight.model.original import refuse_original, refuse_original_names
from greenlight.model.wrappers import text_part

NO_HOMES: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint(Mapping[str, Tensor]):
    """A model on disk: a mapping from Hugging Face names to tensors in Hugging Face's layout."""

    path: Path
    """The file or folder."""

    format: Literal["gguf", "safetensors"]
    """How it is stored."""

    size: int
    """Bytes of the files of weights."""

    family: Family
    """What computes it."""

    config: ModelConfig
    """Its facts."""

    tensors: dict[str, Tensor]
    """Tensors as the file has them, by Hugging Face name."""

    metadata: Mapping[str, Any]
    """GGUF metadata, or config.json."""

    made: Mapping[str, Callable[[], Tensor]] = field(default_factory=dict)
    """How tensors are made that the folder has in parts or in another order."""

    packed_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes that a tensor takes packed, where its adapter makes them other than those stored."""

    unread: tuple[str, ...] = field(default=())
    """Fields of config.json that no part of the computation reads."""

    left_out: tuple[str, ...] = field(default=())
    """Parts that the files hold and the text model does without: "vision part of 12 tensors"."""

    def __getitem__(self, name: str) -> Tensor:
        if name in self.made:
            return self.made[name]()
        tensor = self.tensors[name]
        return self.family.from_gguf(name, tensor, self.config) if self.format == "gguf" else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a .gguf file, any part of a model in several, or a Hugging Face folder.

    Raises:
        FormatError: damaged files, or tensors that are missing, left over or of another shape than the config says.
        UnsupportedError: a family, a type or a switch that is not computed here.
        ConfigError: a config that contradicts itself.
    """
    if path.is_dir():
        refuse_original(path)
        return folder_checkpoint(read_folder(path))
    if path.suffix == ".safetensors":
        raise FormatError(
            "weights alone are no model",
            where=str(path),
            found="a safetensors file; what it is stands in the config.json beside it",
            do=f"name its folder: {path.parent}/",
        )
    return gguf_checkpoint(read_gguf_model(path))


def gguf_checkpoint(file: GGUFFile) -> Checkpoint:
    """The model of a GGUF file that was read, or of all its parts.

    Raises:
        GreenlightError: as for `open_checkpoint`.
    """
    where = str(file.path)
    if file.metadata.get("general.type") == "adapter":
        raise FormatError(
            "the file holds an adapter, no model",
            where=f"{where}, general.type",
            found="'adapter', expected 'model'",
            do="name the model before it: MODEL+ADAPTER",
        )
    architecture = Fields(where, file.metadata).text("general.architecture")
    if architecture is None:
        raise FormatError(
            "the file does not say what model it is",
            where=f"{where}, general.architecture",
            found="nothing, expected a name such as llama",
            do="it is no file of a model, or a damaged one; fetch it again",
        )
    family = family_of_architecture(architecture, f"{where}, general.architecture")
    with _placed(where):
        gathered = stack_numbered(file.tensors)
    with _placed(where):
        config = family.config_from_gguf(Fields(where, file.metadata, prefix=f"{architecture}."), gathered.tensors)
    unread = {*family.gguf_extras, *map(family.gguf_name, family.unused(config))}
    tensors = {name: tensor for name, tensor in gathered.tensors.items() if name not in unread}
    shapes = _promised(where, family, config, len(tensors))
    names = {family.gguf_name(name): name for name in shapes}
    matched = _match(where, shapes, {names.get(name, name): t for name, t in tensors.items()}, file.homes)
    _check_angles(where, config)
    return Checkpoint(
        path=file.path,
        format="gguf",
        size=file.size,
        family=family,
        config=config,
        tensors=matched,
        metadata=file.metadata,
        made={names[name]: make for name, make in gathered.made.items()},
    )


def folder_checkpoint(folder: SafetensorsFolder) -> Checkpoint:
    """The model of a folder that was read.

    Raises:
        GreenlightError: as for `open_checkpoint`.
    """
    part = text_part(folder)
    fields, where = part.fields, part.fields.where
    model_type = fields.text("model_type")
    if model_type is None:
        refuse_original_names(folder.path, folder.tensors)
        raise FormatError(
            "the config does not say what model it is",
            where=f"{where}, model_type",
            found="nothing, expected a name such as llama",
            do="fetch config.json again from where the weights came from",
        )
    family = family_of_model_type(model_type, f"{where}, model_type")
    with _placed(where):
        config = family.config_from_hf(fields)
    read = [fields, part.around] if part.around else [fields]
    tensors = {name: t for name, t in part.tensors.items() if not name.endswith(family.hf_extras)}
    made: dict[str, Callable[[], Tensor]] = {}
    left_out = part.left_out
    for each in read:
        if family.from_hf is None and (settings := _fp8(each)):
            with _placed(str(folder.path)):
                tensors, made, more = widen(tensors, settings)
            left_out += more
        _refuse_altered(each)
    if config.tied_head:
        _drop_tied_copy(where, tensors)
    for name in family.unused(config):
        tensors.pop(name, None)
    if family.from_hf is not None:
        with _placed(str(folder.path)):
            gathered = family.from_hf(tensors, config)
        tensors, made = gathered.tensors, gathered.made
    shapes = _promised(str(folder.path), family, config, len(tensors))
    homes = {name: str(folder.path / file) for name, file in folder.homes.items()}
    matched = _match(str(folder.path), shapes, tensors, homes)
    _check_angles(where, config)
    return Checkpoint(
        path=folder.path,
        format="safetensors",
        size=folder.size,
        family=family,
        config=config,
        tensors=matched,
        metadata=folder.config,
        made=made,
        unread=tuple(name for each in read for name in each.unread() if name not in _BOOKKEEPING),
        left_out=left_out,
    )


_ALTERING = (
    *("auto_map", "adapter_config", "sliding_window"),
    *("attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling", "clip_qkv"),
    *("embedding_multiplier", "residual_multiplier", "attention_multiplier", "scale_emb", "scale_depth"),
    *("num_local_experts", "num_experts", "qk_norm", "use_qk_norm", "no_rope_layers", "layer_types"),
    *("query_pre_attn_scalar", "attention_chunk_size", "rope_interleaved", "alibi", "per_layer_config"),
)
"""Fields of custom code, of quantisers, or of some families: a config that sets one which its family does not read
computes something else."""

_BOOKKEEPING = frozenset(
    (
        *("architectures", "torch_dtype", "dtype", "transformers_version", "use_cache", "initializer_range"),
        *("bos_token_id", "eos_token_id", "pad_token_id", "attention_dropout", "_name_or_path", "unsloth_version"),
        *("is_llama_config", "transformers.js_config", "output_attentions", "output_hidden_states", "return_dict"),
        "cache_implementation",
        *(
            "id2label",
            "label2id",
            "problem_type",
            "chunk_size_feed_forward",
            "is_encoder_decoder",
            "_attn_implementation",
        ),
    )
)
"""Fields known to say nothing about the computation of logits."""


def _fp8(fields: Fields) -> Fields | None:
    """Settings of weights in FP8; None where the config names no quantiser, or another."""
    settings = fields.peek("quantization_config")
    fp8 = isinstance(settings, Mapping) and settings.get("quant_method") == "fp8"
    return fields.group("quantization_config") if fp8 else None


def _refuse_altered(fields: Fields) -> None:
    unread = set(fields.unread())
    for name in ("quantization_config", "compression_config"):
        settings = fields.get(name) if name in unread else False
        if settings is not False:
            method = settings.get("quant_method", settings) if isinstance(settings, Mapping) else settings
            raise UnsupportedError(
                "weights that a quantiser packed are not read from folders",
                where=f"{fields.where}, {name}",
                found=str(method)[:80],
                do="use the model's checkpoint in BF16, or a GGUF file of it",
            )
    for name in _ALTERING:
        if name in unread:
            fields.refuse_unless(name, False)


def _drop_tied_copy(where: str, tensors: dict[str, Tensor]) -> None:
    """Some writers store a tied head all the same: drop it if it is the embedding, refuse if it is not."""
    head, embedding = tensors.pop("lm_head.weight", None), tensors.get("model.embed_tokens.weight")
    if head is None or embedding is None:
        return
    if head.type is not embedding.type or head.data.tobytes() != embedding.data.tobytes():
        raise FormatError(
            "the config ties the head to the embedding, but the file has another head",
            where=f"{where}, tie_word_embeddings",
            found="lm_head.weight differs from model.embed_tokens.weight",
            do="set tie_word_embeddings to what the model was trained with",
        )


def _placed(where: str) -> AbstractContextManager[None]:
    """Name the file or folder in errors that know a tensor or a fact alone."""
    do = "the file contradicts itself; fetch it again from where the weights came from"
    return placed(where, FormatError, ConfigError, do=do)


def _promised(where: str, family: Family, config: ModelConfig, n_tensors: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the config promises, unless it promises more layers than the file can hold."""
    if config.n_layers > n_tensors:
        raise FormatError(
            "weights do not match the config",
            where=where,
            found=f"{n_tensors} tensors for {config.n_layers} layers",
            do="the two come from different models, or a file is missing; fetch both again from one source",
        )
    return family.shapes(config)


def _match(
    where: str, shapes: Mapping[str, tuple[int, ...]], tensors: dict[str, Tensor], homes: Mapping[str, str] = NO_HOMES
) -> dict[str, Tensor]:
    """The tensors in the model's order, if they are exactly those that the config promises.

    Args:
        where: the file or folder.
        shapes: what the config promises.
        tensors: what there is.
        homes: which of several files holds each tensor, by the tensor's own name.
    """
    missing = [name for name in shapes if name not in tensors]
    extra = [tensor.name for name, tensor in tensors.items() if name not in shapes]
    if missing or extra:
        lists = (("missing", missing), ("unexpected", extra))
        raise FormatError(
            "weights do not match the config",
            where=where,
            found="; ".join(f"{label}: {_some(names)}" for label, names in lists if names),
            do="the two come from different models, or a file is missing; fetch both again from one source",
        )
    for name, shape in shapes.items():
        if tensors[name].type in SCALED_ELSEWHERE:
            raise UnsupportedError(
                "bytes stand where a weight is expected",
                where=f"{homes.get(tensors[name].name, where)}, {tensors[name].name}",
                found=f"{tensors[name].type.name} {tensors[name].shape}, expected numbers of shape {shape}",
                do="it is packed in a way that is not read here: use the model's checkpoint in BF16, or a GGUF file",
            )
        if tensors[name].shape != shape:
            raise FormatError(
                "weights do not match the config",
                where=f"{homes.get(tensors[name].name, where)}, {tensors[name].name}",
                found=f"{tensors[name].shape}, expected {shape}",
                do="the two come from different models; fetch both again from one source",
            )
    return {name: tensors[name] for name in shapes}


def _check_angles(where: str, config: ModelConfig) -> None:
    """Before anything is packed, see that positions of every kind of layer have angles, and as many as heads need."""
    with _placed(where):
        for window in set(config.windows) or {None}:
            attention_spec(config, window)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
