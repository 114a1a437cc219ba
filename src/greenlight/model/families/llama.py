"""What is a Llama? Pre-norm blocks of grouped-query attention with rotary positions and a gated feed-forward.

Touvron et al. 2023 (arXiv:2302.13971, arXiv:2307.09288); Grattafiori et al. 2024 (arXiv:2407.21783). SmolLM2 and
many others share the design. So does Mistral (Jiang et al. 2023, arXiv:2310.06825), whose first model sees a window.
"""

from __future__ import annotations

import numpy as np

from greenlight.formats.tensors import Tensor
from greenlight.model.blocks import gguf_names, kv_layers, pre_norm_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.family import Family, Weights
from greenlight.model.fields import Fields
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf
from greenlight.model.sizes import all_read, biases_from_gguf, sizes_from_gguf, sizes_from_hf, windows_from_hf


def llama_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/llama/configuration_llama.py)."""
    fields.refuse_unless("hidden_act", "silu", "swish")
    fields.refuse_unless("pretraining_tp", 1)
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
    sizes = sizes_from_gguf(fields, tensors)
    factors = tensors.get("rope_freqs.weight")
    config = ModelConfig(
        family="llama",
        **sizes,
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
    if ".q_proj." in name:
        n_heads = config.n_heads
    elif ".k_proj." in name:
        n_heads = config.n_kv_heads
    else:
        return tensor
    rows = np.arange(n_heads * config.head_dim).reshape(n_heads, config.head_dim // 2, 2)
    order = rows.swapaxes(1, 2).reshape(-1)  # (H, 2, D/2): first halves of all pairs, then second halves
    if len(tensor.shape) == 1:
        return tensor.take_values(order)
    return tensor.take_rows(order)


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
    gguf_extras=("rope_freqs.weight",),
    hf_extras=("rotary_emb.inv_freq",),  # old checkpoints keep it; transformers skips it as well
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
)
