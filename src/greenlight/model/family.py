"""What must a family's file tell, so that the decoder can run it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.planned import Planned
from greenlight.formats.tensors import Tensor
from greenlight.model.config import ModelConfig
from greenlight.model.fields import Fields
from greenlight.ops.protocol import Array, KVSpec, Ops, Step

Weights: TypeAlias = Mapping[str, Tensor]
"""A model's tensors by Hugging Face name, in Hugging Face's layout."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Tensors of a folder by the names that `Family.shapes` gives them."""

    tensors: dict[str, Tensor]
    """All of them; of one that is yet to be made, type and shape as it will be, and bytes of what it is made of."""

    made: dict[str, Callable[[], Tensor]]
    """How to make those that are not there as they are: others put together or in another order, when asked for."""


class Block(Protocol):
    """One packed block of a model."""

    def __call__(self, ops: Ops, step: Step, x: Array, *, last: bool = False) -> Array:
        """(T, C) to (T, C); the last block of a model to the rows that the batch asks for, (R, C)."""


def as_it_is(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """Both formats keep this tensor alike."""
    return tensor


def no_more(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """No tensor beside those of the model."""
    return {}


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

    gguf_metadata: Callable[[ModelConfig], dict[str, Any]] | None = None
    """The same facts as GGUF keys, `general.architecture` among them; None where such files are not written."""

    to_gguf: Callable[[str, Tensor, ModelConfig], Tensor] = as_it_is
    """A tensor, by its Hugging Face name, from Hugging Face's layout to GGUF's: what undoes `from_gguf`."""

    gguf_more: Callable[[ModelConfig], dict[str, NDArray[np.float32]]] = no_more
    """Tensors that GGUF files hold beside the model's, by their GGUF name: facts that have no key."""

    gguf_by_lines: bool = False
    """Whether its GGUF files say the merges of a tokenizer without words, where others say scores."""

    hf_config: Callable[[ModelConfig], dict[str, Any]] | None = None
    """The same facts as config.json; None where such folders are not written."""

    to_hf: Callable[[str, Tensor, ModelConfig], Tensor] = as_it_is
    """A tensor as it is kept here, by its Hugging Face name, to what config.json's readers expect."""

    hf_parts: Callable[[str, ModelConfig], tuple[str, ...]] | None = None
    """Names of a tensor in a folder, by its name here: several where its first axis is taken apart; what undoes
    `from_hf`. None where names are the same; a family with `from_hf` and no way back is not written to folders."""

    hf_joined: Callable[[Sequence[Planned], ModelConfig], list[Planned]] | None = None
    """The tensors of a folder that are made of several here; what undoes `from_hf` where that takes tensors apart."""

    hf_in_blocks: Callable[[str, Tensor], bool] = lambda _name, _tensor: False
    """Whether a tensor in blocks, by its name here, is one that its folders hold as it is."""

    gguf_extras: tuple[str, ...] = ()
    """Tensors of GGUF files that the config has used up."""

    unused: Callable[[ModelConfig], tuple[str, ...]] = lambda _config: ()
    """Tensors that files of either format may hold and nothing reads, by their Hugging Face names."""

    from_hf: Callable[[Mapping[str, Tensor], ModelConfig], Gathered] | None = None
    """The tensors of a folder, under this project's names where those differ; None where they do not."""

    hf_extras: tuple[str, ...] = ("rotary_emb.inv_freq",)
    """Ends of names of tensors that say nothing beyond the config: old checkpoints keep angles, which transformers
    skips as well."""
