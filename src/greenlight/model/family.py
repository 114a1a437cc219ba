"""What must a family's file tell, so that the decoder can run it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from greenlight.formats.tensors import Tensor
from greenlight.model.config import ModelConfig
from greenlight.model.fields import Fields
from greenlight.ops.protocol import Array, KVSpec, Ops, Step

Weights: TypeAlias = Mapping[str, Tensor]
"""A model's tensors by Hugging Face name, in Hugging Face's layout."""


class Block(Protocol):
    """One packed block of a model."""

    def __call__(self, ops: Ops, step: Step, x: Array) -> Array:
        """(T, C) to (T, C)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One design of model: how its files are read and how its blocks are computed."""

    name: str
    """Its name here."""

    hf_model_types: tuple[str, ...]
    """Values of config.json's model_type that it reads."""

    gguf_architectures: tuple[str, ...]
    """Values of GGUF's general.architecture that it reads."""

    config_from_hf: Callable[[Fields], ModelConfig]
    """Facts from config.json."""

    config_from_gguf: Callable[[Fields, Weights], ModelConfig]
    """Facts from GGUF metadata, and from which tensors the file has (by GGUF name)."""

    shapes: Callable[[ModelConfig], dict[str, tuple[int, ...]]]
    """Every tensor by its Hugging Face name, and its shape."""

    gguf_name: Callable[[str], str]
    """A tensor's name in GGUF files, by its Hugging Face name."""

    from_gguf: Callable[[str, Tensor, ModelConfig], Tensor]
    """A GGUF tensor, by its Hugging Face name, brought to Hugging Face's layout."""

    pack_block: Callable[[Ops, ModelConfig, int, Weights], Block]
    """One block, packed."""

    kv_layers: Callable[[ModelConfig], tuple[KVSpec, ...]]
    """What each layer keeps per position."""

    gguf_extras: tuple[str, ...] = ()
    """Tensors of GGUF files that the config has used up."""

    hf_extras: tuple[str, ...] = ()
    """Ends of names of tensors that say nothing beyond the config."""
