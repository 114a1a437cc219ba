"""A tiny random model that can chat: weights, byte-level vocabulary and template in one GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.builders import llama_config, llama_weights, write_llama_gguf
from tests.text.vocabularies import byte_level

POLICY = """
[policy]
name = "tiny"
alpha = 0.05
review_days = 7

[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "our choice"

[[should]]
assess = "bias"
metric = "s_amb"
limit = 0.1
condition = "not for screening people"
why = "a test"
source = "our choice"

[[disclose]]
assess = "compete.reading"
metric = "accuracy"
why = "a test"
"""
"""A policy of three short suites: one that fails early, one of choices, one disclosure."""


def tiny_chat_model(path: Path, *, seed: int = 0, vocabulary: dict[str, Any] | None = None) -> Path:
    """Write the model; byte-level prompts are long, so its context is."""
    vocabulary = byte_level() if vocabulary is None else vocabulary
    config = llama_config(
        vocab_size=len(vocabulary["tokenizer.ggml.tokens"]),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8192,
    )
    weights = llama_weights(config, np.random.default_rng(seed))
    return write_llama_gguf(path, config, weights, "F32", vocabulary)
