"""Which designs are known here and not run, and why? By the names that files give themselves.

What each one computes beyond the families that run is taken from transformers 5.23 (models/<name>/modeling_<name>.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ENDPOINT = "serve it with an engine that runs it and review that endpoint (http://host:port/v1#model), or take {other}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """One design that is not run."""

    name: str
    """What people call it."""

    names: tuple[str, ...]
    """Values of config.json's model_type and of GGUF's general.architecture that stand for it."""

    why: str
    """What it computes that nothing here does."""

    do: str
    """What to do instead."""


def _instead(other: str) -> str:
    return ENDPOINT.format(other=other)


REFUSED: tuple[Refused, ...] = (
    Refused(
        name="Llama 4",
        names=("llama4", "llama4_text"),
        why="experts whose input is scaled by a sigmoid, attention in chunks, layers without positions",
        do=_instead("a model of Llama 2 to 3.3"),
    ),
    Refused(
        name="Llama 3.2 Vision",
        names=("mllama", "mllama_text_model"),
        why="layers that attend to an image between those that attend to text",
        do=_instead("a text model of Llama 3.1 or 3.2"),
    ),
    Refused(
        name="Muse",
        names=("muse_glimmer", "muse_glimmer_text", "muse_spark", "muse_spark_text", "muse-glimmer", "muse-spark"),
        why="a gate on attention's output, norms of queries and keys without weights, layers without positions",
        do=_instead("a model of Llama 2 to 3.3"),
    ),
    Refused(
        name="Gemma 3n",
        names=("gemma3n", "gemma3n_text"),
        why="several streams between blocks, embeddings of each layer, keys and values that layers share",
        do=_instead("a model of Gemma 1 to 3"),
    ),
    Refused(
        name="Gemma 4's assistant",
        names=("gemma4_assistant", "gemma4_unified_assistant", "gemma4-assistant"),
        why="a draft model that reads the keys and values of another",
        do=_instead("a model of Gemma 1 to 4"),
    ),
    Refused(
        name="VaultGemma",
        names=("vaultgemma",),
        why="Gemma 2's arrangement without its norms behind the branches",
        do=_instead("a model of Gemma 1 to 3"),
    ),
    Refused(
        name="PaliGemma, T5Gemma, EmbeddingGemma, ShieldGemma 2 or DiffusionGemma",
        names=(
            *("paligemma", "t5gemma", "t5_gemma_module", "t5gemma2", "shieldgemma2", "diffusion_gemma"),
            *("embedding_gemma2", "gemma-embedding", "recurrent_gemma"),
        ),
        why="not a causal language model of text: an encoder, a classifier of images, or another order of writing",
        do=_instead("a model of Gemma 1 to 3"),
    ),
    Refused(
        name="Mistral 4",
        names=("mistral4",),
        why="latent attention (keys and values from one compressed vector) and experts beside one that always runs",
        do=_instead("a dense Mistral, up to Small 3"),
    ),
    Refused(
        name="Mistral Large 4",
        names=("mistral_large4", "mistral_large4_text"),
        why="latent attention over 2048 positions that an index picks, layers without positions, and shared keys",
        do=_instead("a dense Mistral, up to Small 3"),
    ),
    Refused(
        name="Phi",
        names=("phi", "phi2", "phi3", "phi3small", "phi3_v", "phi4_multimodal", "phi4mm", "phimoe"),
        why="projections stored as one tensor, heads rotated in part, two sets of factors for long and short prompts",
        do=_instead("a model of a supported family"),
    ),
    Refused(
        name="DeepSeek",
        names=(
            *("deepseek", "deepseek2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "deepseek_vl"),
            *("deepseek_vl_hybrid", "deepseek2-ocr", "deepseek_ocr2"),
        ),
        why="latent attention (keys and values from one compressed vector) and groups of experts",
        do=_instead("one of its distillations into Llama or Qwen 2.5, which are run"),
    ),
    Refused(
        name="Qwen 3.5 or Qwen 3 Next",
        names=("qwen3_next", "qwen3next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "qwen35"),
        why="layers of linear attention with a state, and gates on attention's output",
        do=_instead("a model of Qwen 2 to 3"),
    ),
    Refused(
        name="Qwen with vision or sound",
        names=(
            *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen2_audio", "qwen2_5_omni", "qwen3_omni_moe"),
            *("qwen2vl", "qwen3vl", "qwen3vlmoe"),
        ),
        why="positions of three coordinates, for time, height and width",
        do=_instead("the text model of the same generation"),
    ),
    Refused(
        name="OLMoE, FlexOlmo or the first OLMo",
        names=("olmo", "olmoe", "flex_olmo", "olmo_hybrid"),
        why="norms without weights, or experts, or layers with a state",
        do=_instead("a model of OLMo 2 or 3"),
    ),
    Refused(
        name="gpt-oss as Ollama stores it",
        names=("gptoss",),
        why="its tensors and keys under other names, MXFP4 under another number",
        do="fetch it in the usual form: greenlight pull hf:openai/gpt-oss-20b, or a GGUF file that llama.cpp reads",
    ),
    Refused(
        name="a privacy filter",
        names=("openai_privacy_filter",),
        why="it labels tokens and reads in both directions: no text comes out of it",
        do="use it with its own tools; greenlight reviews models that write text",
    ),
    Refused(
        name="a vision encoder",
        names=("clip", "mmproj", "siglip_vision_model", "pixtral"),
        why="the part of a multimodal model that sees, without the part that writes",
        do="give the file of the language model beside it (its name lacks 'mmproj')",
    ),
)


def refused_design(name: str, designs: Iterable[Refused] = REFUSED) -> Refused | None:
    """The known design of that name; None for one that nobody told us of."""
    return next((design for design in designs if name in design.names), None)
