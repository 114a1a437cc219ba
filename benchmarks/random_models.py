"""What do models of other shapes cost here? GGUF files with the sizes of published models and random weights.

Nobody needs what such a model says: bytes and operations per token are all that is measured, and both sides read the
same file. Linears are of one type; an embedding and head are Q6_K where the linears are of 4 bits, as llama.cpp's
quantizer makes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.gguf_writer import write_gguf
from greenlight.formats.planned import Planned
from greenlight.formats.tensors import TensorType
from greenlight.model.config import ModelConfig
from greenlight.model.families import family_of_model_type
from greenlight.model.family import Family
from greenlight.model.fields import Fields

CONTEXT = 8192
CHUNK_BLOCKS = 1 << 18
HEADS = ("model.embed_tokens.weight", "lm_head.weight")
EXPERTS = ("experts.gate_proj.weight", "experts.up_proj.weight", "experts.down_proj.weight")

LLAMA: dict[str, Any] = {"model_type": "llama", "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "vocab_size": 128_256}
LLAMA |= {"max_position_embeddings": CONTEXT, "hidden_act": "silu", "num_key_value_heads": 8}

SHAPES: dict[str, dict[str, Any]] = {
    "Llama 1B": LLAMA
    | {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "intermediate_size": 8192}
    | {"tie_word_embeddings": True},
    "Llama 3B": LLAMA
    | {"hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 24, "intermediate_size": 8192}
    | {"tie_word_embeddings": True},
    "Llama 8B": LLAMA
    | {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 14336}
    | {"tie_word_embeddings": False},
    # gpt-oss-20b's width; fewer layers and words, or the file would not fit beside both sides' copies.
    "gpt-oss, 4 layers": {
        "model_type": "gpt_oss",
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 4,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 32_768,
        "num_local_experts": 32,
        "num_experts_per_tok": 4,
        "sliding_window": 128,
        "tie_word_embeddings": False,
    },
}
"""config.json of each: meta-llama/Llama-3.2-1B, -3.2-3B, -3.1-8B, openai/gpt-oss-20b."""


def random_file(work: Path, shape: str, kind: str) -> Path:
    """A file of that shape, its linears (for a mixture: its experts) of that type; made where it is not there yet."""
    path = work / f"{shape.replace(' ', '-').replace(',', '')}.random.{kind}.gguf"
    if not path.exists():
        family, config = _design(shape)
        assert family.gguf_metadata is not None
        tensors = [
            _planned(family.gguf_name(name), type_of(name, sizes, TensorType[kind], config), sizes)
            for name, sizes in family.shapes(config).items()
        ]
        write_gguf(path, {**family.gguf_metadata(config), "tokenizer.ggml.model": "none"}, tensors)
    return path


def _design(shape: str) -> tuple[Family, ModelConfig]:
    facts = SHAPES[shape]
    family = family_of_model_type(facts["model_type"], shape)
    return family, family.config_from_hf(Fields(shape, facts))


def type_of(name: str, sizes: tuple[int, ...], kind: TensorType, config: ModelConfig) -> TensorType:
    """The type of a tensor in a file whose linears have the type `kind`."""
    if len(sizes) == 1 or name.endswith(("router.weight", "bias", "sinks")):
        return TensorType.F32
    if config.n_experts and not name.endswith(EXPERTS):
        return TensorType.Q8_0
    if name in HEADS and kind.block_bytes / kind.block_values < 0.75:
        return TensorType.Q6_K
    return kind


def random_blocks(kind: TensorType, n: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blocks, (n, bytes), whose values spread by about width**-0.5: activations keep their size."""
    blocks = np.frombuffer(rng.bytes(n * kind.block_bytes), np.uint8).reshape(n, kind.block_bytes).copy()
    spread = width**-0.5
    match kind:
        case TensorType.Q4_0 | TensorType.Q8_0:  # (q - 8) d and q d, q uniform
            blocks[:, :2] = _f16(spread / {TensorType.Q4_0: 4.6, TensorType.Q8_0: 73.9}[kind])
        case TensorType.Q4_1:  # q d + m
            blocks[:, :2], blocks[:, 2:4] = _f16(spread / 4.6), _f16(-7.5 * spread / 4.6)
        case TensorType.Q4_K:  # d s q - e m, s and m of 6 bits: e = 7.5 d leaves no offset
            blocks[:, :2], blocks[:, 2:4] = _f16(spread / 256), _f16(7.5 * spread / 256)
        case TensorType.Q6_K:  # (q - 32) s d, s of 8 bits and both signs
            blocks[:, -2:] = _f16(spread / (18.5 * 73.9))
        case TensorType.MXFP4:  # 2^(e - 127) times 0 to 6
            blocks[:, 0] = 127 + round(math.log2(spread / 2.9))
        case _:
            raise ValueError(f"no random blocks of {kind.name}")
    return blocks


def _f16(value: float) -> NDArray[np.uint8]:
    return np.array([value], "<f2").view(np.uint8)


def _planned(name: str, kind: TensorType, sizes: tuple[int, ...]) -> Planned:
    def chunks() -> Iterator[NDArray[np.uint8]]:
        rng = np.random.default_rng(sum(name.encode()))
        n = math.prod(sizes) // kind.block_values
        if kind is TensorType.F32:
            values = 1.0 if name.endswith("norm.weight") else 0.02 * rng.standard_normal(n)
            yield np.broadcast_to(np.asarray(values, "<f4"), (n,)).copy().view(np.uint8)
            return
        for start in range(0, n, CHUNK_BLOCKS):
            yield random_blocks(kind, min(CHUNK_BLOCKS, n - start), sizes[-1], rng).reshape(-1)

    return Planned(name=name, type=kind, shape=sizes, chunks=chunks)
