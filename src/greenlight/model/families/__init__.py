"""Which families of models are known? One file each; this is the list."""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.errors import UnsupportedError
from greenlight.model.families.gemma import GEMMA, GEMMA2, GEMMA3
from greenlight.model.families.gemma4 import GEMMA4
from greenlight.model.families.gpt_oss import GPT_OSS
from greenlight.model.families.llama import LLAMA, MISTRAL
from greenlight.model.families.ministral import MINISTRAL, MINISTRAL3
from greenlight.model.families.mixtral import MIXTRAL
from greenlight.model.families.olmo import OLMO2, OLMO3
from greenlight.model.families.qwen import QWEN2, QWEN3
from greenlight.model.families.qwen_moe import QWEN3_MOE
from greenlight.model.families.refused import ENDPOINT, refused_design
from greenlight.model.family import Family

FAMILIES = (
    *(LLAMA, MISTRAL, MINISTRAL, MINISTRAL3, MIXTRAL, QWEN2, QWEN3, QWEN3_MOE, OLMO2, OLMO3),
    *(GEMMA, GEMMA2, GEMMA3, GEMMA4, GPT_OSS),
)


def family_named(name: str) -> Family:
    """The family of that name here."""
    return next(family for family in FAMILIES if family.name == name)


def family_of_model_type(model_type: str, where: str) -> Family:
    """The family that config.json names.

    Raises:
        UnsupportedError: none that is known.
    """
    return _find({name: family for family in FAMILIES for name in family.hf_model_types}, model_type, where)


def family_of_architecture(architecture: str, where: str) -> Family:
    """The family that a GGUF file names.

    Raises:
        UnsupportedError: none that is known.
    """
    return _find({name: family for family in FAMILIES for name in family.gguf_architectures}, architecture, where)


def _find(known: Mapping[str, Family], name: str, where: str) -> Family:
    if name in known:
        return known[name]
    if design := refused_design(name):
        raise UnsupportedError(
            f"{design.name} is not run here ({name})", where=where, found=f"{name}: {design.why}", do=design.do
        )
    raise UnsupportedError(
        f"models of the family {name!r} are not supported",
        where=where,
        found=f"{name}; supported: {', '.join(known)}",
        do=ENDPOINT.format(other="a model of a supported family"),
    )
