"""Counts of parameters are those that makers publish."""

from __future__ import annotations

import pytest

from greenlight.model.families import family_of_model_type
from greenlight.model.fields import Fields
from greenlight.model.sizes import active_parameters, parameters

GPT_OSS = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201088,
}
MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "num_local_experts": 8,
}
QWEN3 = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
    "num_experts": 128,
}
CASES = {
    # OpenAI 2025, gpt-oss model card (arXiv:2508.10925), table 1: embeddings are not counted as active
    "gpt-oss-20b": (GPT_OSS | {"num_hidden_layers": 24, "num_local_experts": 32}, 20.91, 3.61, False),
    "gpt-oss-120b": (GPT_OSS | {"num_hidden_layers": 36, "num_local_experts": 128}, 116.83, 5.13, False),
    # Jiang et al. 2024 (arXiv:2401.04088) say 47 and 13; Mistral's announcement 46.7 and 12.9
    "Mixtral 8x7B": (MIXTRAL, 46.7, 12.9, True),
    # Yang et al. 2025 (arXiv:2505.09388), and the model's card
    "Qwen3-30B-A3B": (QWEN3, 30.5, 3.3, True),
}


@pytest.mark.parametrize("name", CASES)
def test_parameters_in_all_and_per_token_are_those_published(name):
    config, total, active, embedding = CASES[name]
    family = family_of_model_type(config["model_type"], "test")
    facts = family.config_from_hf(Fields("test", config))
    shapes = family.shapes(facts)
    step = 0.05 if total == round(total, 1) else 0.005  # half of the last digit published
    assert parameters(shapes) / 1e9 == pytest.approx(total, abs=step)
    # Qwen cuts 3.35 to 3.3.
    assert active_parameters(shapes, facts, embedding=embedding) / 1e9 == pytest.approx(active, abs=step + 0.005)
