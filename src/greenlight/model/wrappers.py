"""Where is the text model inside a model that also sees? In `text_config`, and behind prefixes of two fashions.

The folders of Mistral Small 3.1 and later, and of Gemma 3 from 4B up, hold a vision encoder and a projector beside a
language model that runs without them. What is left out is counted, so that whoever looks is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenlight.errors import FormatError
from greenlight.formats.safetensors import SafetensorsFolder
from greenlight.formats.tensors import Tensor
from greenlight.model.fields import Fields

TEXT_MODELS = {
    **{"gemma3": "gemma3_text", "mistral3": "mistral"},
    **{"gemma4": "gemma4_text", "gemma4_unified": "gemma4_unified_text"},
}
"""model_type of a whole, and of its text model where `text_config` does not say."""

PREFIXES = (("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."))
PREFIXES_5 = (("model.language_model.", "model."),)
"""What stands before a text model's names, and what it has alone: first as on the hub, then as transformers 5 holds
it, where the head lost its prefix."""

OTHER_PARTS = {
    **dict.fromkeys(("vision_tower.", "multi_modal_projector.", "embed_vision.", "vision_embedder."), "vision part"),
    **dict.fromkeys(("audio_tower.", "embed_audio."), "audio part"),
}
"""Beginnings of names, with or without `model.`, of what makes no text."""

_ABOUT_OTHER_PARTS = (
    *("vision_config", "image_token_index", "image_token_id", "boi_token_index", "boi_token_id", "eoi_token_index"),
    *("eoi_token_id", "mm_tokens_per_image", "projector_hidden_act", "vision_feature_layer", "spatial_merge_size"),
    *("multimodal_projector_bias", "audio_config", "audio_token_id", "audio_token_index", "video_token_id"),
    *("boa_token_id", "boa_token_index", "eoa_token_id", "eoa_token_index", "vision_soft_tokens_per_image"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """A folder's text model."""

    fields: Fields
    """Its config."""

    around: Fields | None
    """The config of the whole, where there is more than text."""

    tensors: dict[str, Tensor]
    """Its weights, by the names it would have alone."""

    left_out: tuple[str, ...]
    """What the folder holds beside it: "vision part of 12 tensors"."""


def text_part(folder: SafetensorsFolder) -> TextPart:
    """The text model of a folder, which is most often all of it.

    Raises:
        FormatError: a whole without `text_config`, or with two tensors for one.
    """
    where = str(folder.path / "config.json")
    whole = Fields(where, folder.config)
    model_type = whole.text("model_type")
    if model_type not in TEXT_MODELS:
        return TextPart(fields=whole, around=None, tensors=dict(folder.tensors), left_out=())
    if whole.group("text_config") is None:
        raise FormatError(
            "the config of a model with several parts lacks the text model's",
            where=f"{where}, text_config",
            found=f"model_type {model_type} without text_config",
            do="fetch config.json again from where the weights came from",
        )
    tensors, left_out = _apart(str(folder.path), folder.tensors)
    for name in _ABOUT_OTHER_PARTS:
        whole.get(name)
    config = dict(folder.config["text_config"])
    config["model_type"] = config.get("model_type") or TEXT_MODELS[model_type]
    config["tie_word_embeddings"] = _tied(whole, config, tensors)
    return TextPart(fields=Fields(f"{where}, text_config", config), around=whole, tensors=tensors, left_out=left_out)


def _tied(whole: Fields, text: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Whether the head is the embedding: as the whole says, or its text model; in silence, as the files have it."""
    said = whole.get("tie_word_embeddings")
    said = text.get("tie_word_embeddings") if said is None else said
    return "lm_head.weight" not in tensors if said is None else said


def _apart(where: str, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The text model's tensors by their own names, and what else there is."""
    mine: dict[str, Tensor] = {}
    others: Counter[str] = Counter()
    for name, tensor in tensors.items():
        if part := other_part(name):
            others[part] += 1
            continue
        alone = _alone(name)
        if alone in mine:
            raise FormatError(
                "two tensors stand for one",
                where=f"{where}, {name}",
                found=f"{mine[alone].name} and {name}, both {alone} of the text model",
                do="files of two models are mixed; fetch the folder again from one source",
            )
        mine[alone] = tensor
    return mine, tuple(f"{part} of {n} tensors" for part, n in others.items())


def other_part(name: str) -> str | None:
    """What a tensor or module belongs to that makes no text; None for the text model's own."""
    name = name.removeprefix("model.")
    return next((part for start, part in OTHER_PARTS.items() if name.startswith(start)), None)


def _alone(name: str) -> str:
    for prefix, own in (*PREFIXES, *PREFIXES_5):
        if name.startswith(prefix):
            return own + name.removeprefix(prefix)
    return name
