"""What is a Llama? Pre-norm blocks of grouped-query attention with rotary positions and a gated feed-forward.

Touvron et al. 2023 (arXiv:2302.13971, arXiv:2307.09288); Grattafiori et al. 2024 (arXiv:2407.21783). SmolLM2 and
many others share the design. So does Mistral (Jiang et al. 2023, arXiv:2310.06825), whose first model sees a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import Tensor
from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights
from greenlight.model.fields import Fields
from greenlight.model.gguf_keys import gguf_keys, refuse_in_gguf, rope_factors
from greenlight.model.hf_config import hf_keys
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import (
    all_read,
    biases_from_gguf,
    experts_from_gguf,
    sizes_from_gguf,
    sizes_from_hf,
    windows_from_hf,
)


def llama_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/llama/configuration_llama.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    fields.get("pretraining_tp")  # into how many parts training cut its products: transformers 5 takes them whole
    sizes = sizes_from_hf(fields, max_seq_len=2048)
    biased = fields.flag("attention_bias", False)
    return ModelConfig(
        family="llama",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        qkv_bias=biased,
        o_bias=biased,
        mlp_bias=fields.flag("mlp_bias", False),
    )


def mistral_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/mistral/configuration_mistral.py)."""
    fields.refuse_unless("layer_types")  # transformers gives every layer of a mistral the window, whatever they say
    return mistral_of(fields)


def mistral_of(fields: Fields) -> ModelConfig:
    """A Mistral, or a Ministral with windows in the layers that `layer_types` names."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    sizes = sizes_from_hf(fields, max_seq_len=4096 * 32, n_kv_heads=8)
    n_layers = sizes["n_layers"]
    # A file without the field means 4096; one with null means none.
    local = fields.get("sliding_window") is not None or not fields.says("sliding_window")
    return ModelConfig(
        family="mistral",
        **sizes,
        rope=rope_from_hf(fields, sizes["max_seq_len"]),
        windows=windows_from_hf(fields, n_layers, size=4096, usual=[local] * n_layers),
    )


def config_from_gguf(fields: Fields, tensors: Weights) -> ModelConfig:
    """llama.* keys; what tensors alone tell (biases, a tied head, rope factors) from the tensors there are."""
    fields.refuse_unless("attention.sliding_window", 0)
    fields.refuse_unless("tensor_data_layout", "Meta AI original pth")  # llama.cpp's name for permuted rows
    sizes = sizes_from_gguf(fields, tensors, experts=True)
    experts = experts_from_gguf(fields)
    fields.refuse_unless("expert_feed_forward_length", sizes["ffn_dim"])
    factors = tensors.get("rope_freqs.weight")
    config = ModelConfig(
        family="mixtral" if experts["n_experts"] else "llama",
        **sizes,
        **experts,
        rope=rope_from_gguf(fields, sizes["head_dim"], sizes["max_seq_len"], factors),
        **biases_from_gguf(tensors),
    )
    all_read(fields)
    return config


def from_gguf(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """A tensor in Hugging Face's layout: q and k rows put back in their order, whole, so exactly.

    llama.cpp rotates neighbours (2i, 2i + 1) where Hugging Face rotates (i, i + D/2), and its converter reorders the
    rows of each head to suit (ggml-org/llama.cpp convert_hf_to_gguf.py, LlamaModel.permute).
    """
    order = _halves_first(name, config)
    return tensor if order is None else _reordered(tensor, order)


def to_gguf(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """The same the other way: pairs of rows side by side."""
    order = _halves_first(name, config)
    return tensor if order is None else _reordered(tensor, np.argsort(order))


def _halves_first(name: str, config: ModelConfig) -> NDArray[np.int64] | None:
    """Where each row of q and k stands in a GGUF file; None for other tensors."""
    if ".q_proj." in name:
        n_heads = config.n_heads
    elif ".k_proj." in name:
        n_heads = config.n_kv_heads
    else:
        return None
    rows = np.arange(n_heads * config.head_dim).reshape(n_heads, config.head_dim // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)  # (H, 2, D/2): first halves of all pairs, then second halves


def _reordered(tensor: Tensor, order: NDArray[np.int64]) -> Tensor:
    return tensor.take_values(order) if len(tensor.shape) == 1 else tensor.take_rows(order)


def gguf_metadata(config: ModelConfig) -> dict[str, Any]:
    """llama.* keys. They have no window: where every layer has the same one, no text may be longer than it."""
    keys = {"general.architecture": "llama", **gguf_keys(config, "llama")}
    keys.pop("llama.expert_feed_forward_length", None)  # a Mixtral's experts are as wide as feed_forward_length says
    if config.windows:
        if None in config.windows or len(set(config.windows)) > 1:
            raise refuse_in_gguf("llama", "which layers see a window", f"windows {config.windows}"[:120])
        keys["llama.context_length"] = min(config.max_seq_len, keys.pop("llama.attention.sliding_window"))
    return keys


def llama_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Llama."""
    return hf_keys(config, "llama", "LlamaForCausalLM") | {
        "hidden_act": "silu",
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.mlp_bias,
    }


def mistral_to_hf(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Mistral."""
    window = config.window(0)
    return hf_keys(config, "mistral", "MistralForCausalLM") | {"hidden_act": "silu", "sliding_window": window}


LLAMA = Family(
    name="llama",
    hf_model_types=("llama",),
    gguf_architectures=("llama",),
    config_from_hf=llama_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=from_gguf,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    to_gguf=to_gguf,
    gguf_more=rope_factors,
    hf_config=llama_to_hf,
    gguf_extras=("rope_freqs.weight",),
)

MISTRAL = Family(
    name="mistral",
    hf_model_types=("mistral",),
    gguf_architectures=(),  # its files call themselves llama
    config_from_hf=mistral_from_hf,
    config_from_gguf=config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("pre"),
    from_gguf=from_gguf,
    pack_block=pre_norm_block,
    kv_layers=kv_layers,
    gguf_metadata=gguf_metadata,
    to_gguf=to_gguf,
    gguf_more=rope_factors,
    hf_config=mistral_to_hf,
)
