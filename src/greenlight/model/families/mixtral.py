"""What is a Mixtral? A Mistral whose feed-forward is eight, of which each position uses two.

Jiang et al. 2024 (arXiv:2401.04088): 8x7B and 8x22B. A softmax over all experts that is made to sum to 1 again over
the two chosen is a softmax over those two. Folders keep each expert's w1, w3 and w2; GGUF files call themselves llama.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.experts import gather_experts, names_of_experts, part_names
from greenlight.model.families.llama import config_from_gguf, from_gguf, gguf_metadata, to_gguf
from greenlight.model.family import Family
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import rope_factors
from greenlight.model.hf_config import hf_keys
from greenlight.model.rope_sources import rope_from_hf
from greenlight.model.sizes import experts_from_hf, sizes_from_hf, windows_from_hf

THETA = 1_000_000.0


def config_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/mixtral/configuration_mixtral.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=4096 * 32, n_kv_heads=8, norm_eps=1e-5)
    n_layers, local = sizes["n_layers"], fields.get("sliding_window") is not None
    return ModelConfig(
        family="mixtral",
        **sizes,
        **experts_from_hf(fields, count=("num_local_experts", "num_experts"), used=2),
        rope=rope_from_hf(fields, sizes["max_seq_len"], theta=THETA),
        windows=windows_from_hf(fields, n_layers, size=4096, usual=[local] * n_layers),
    )


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Mixtral."""
    return hf_keys(config, "mixtral", "MixtralForCausalLM") | {
        "hidden_act": "silu",
        "num_local_experts": config.n_experts,
        "num_experts_per_tok": config.n_experts_used,
        "sliding_window": config.window(0),
    }


MIXTRAL = Family(
    name="mixtral",
    hf_model_types=("mixtral",),
    gguf_architectures=(),  # its files call themselves llama
    config_from_hf=config_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=from_gguf,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    to_gguf=to_gguf,
    gguf_more=rope_factors,
    from_hf=partial(
        gather_experts,
        names_of_experts("block_sparse_moe", "w[123]"),
        {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"},
        "block_sparse_moe.gate.weight",
    ),
    hf_config=to_hf,
    hf_parts=partial(
        part_names,
        "model.layers.{layer}.block_sparse_moe.experts.{expert}.{projection}.weight",
        {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"},
        "block_sparse_moe.gate.weight",
    ),
)
