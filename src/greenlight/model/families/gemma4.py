"""What is a Gemma 4? Gemma 3's arrangement with plain norms, layers of two widths, shared keys, and inputs by layer.

Google 2026: E2B, E4B, 12B and 31B (text). Layers that see everything have wider heads, of which a quarter turns, and
may use what k projects as values too; the last layers may read keys and values of layers before them; E2B and E4B give
each layer a vector of its own for each token. The mixture of experts of 26B-A4B is not computed.
"""

from __future__ import annotations

from typing import Any

from greenlight.model import layer_inputs
from greenlight.model.blocks import gguf_names, kv_layers, sandwich_block, shapes
from greenlight.model.config import ModelConfig
from greenlight.model.families import gemma4_gguf
from greenlight.model.families.gemma4_gguf import not_run
from greenlight.model.family import Family, as_it_is
from greenlight.model.fields import Fields
from greenlight.model.hf_config import hf_keys, ropes_by_layer, window_keys
from greenlight.model.rope import PartialScaling, RopeConfig
from greenlight.model.rope_sources import DEFAULT_THETA, ropes_from_hf
from greenlight.model.sizes import sizes_from_hf, windows_from_hf

EVERY = 6
"""Each such layer sees everything, and the last one does."""

FULL_HEAD_DIM, FULL_THETA, TURNED = 512, 1_000_000.0, 0.25
"""Of layers that see everything, where a config says nothing of them."""

UNIFIED = "gemma4_unified_text"
"""What the text part of 12B calls itself: other numbers stand for silence, and there are no inputs by layer."""

FULL, LOCAL = "full_attention", "sliding_attention"


def config_from_hf(fields: Fields) -> ModelConfig:
    """config.json; what it may leave out has transformers' defaults (models/gemma4/configuration_gemma4.py)."""
    unified = fields.get("model_type") == UNIFIED
    fields.refuse_unless("hidden_activation", "gelu_pytorch_tanh")
    fields.refuse_unless("use_bidirectional_attention", None, False, "vision")  # of pictures, which text has none of
    if fields.get("enable_moe_block"):
        raise not_run(f"{fields.where}, enable_moe_block")
    for name in ("num_experts", "top_k_experts", "moe_intermediate_size"):
        fields.get(name)  # of experts, which there are none of
    sizes = sizes_from_hf(
        fields,
        max_seq_len=262_144 if unified else 131_072,
        n_heads=8,
        n_kv_heads=4,
        head_dim=256,
        vocab_size=262_144,
        tied_head=True,
    )
    n_layers, biased = sizes["n_layers"], fields.flag("attention_bias", False)
    usual = [(layer + 1) % EVERY != 0 and layer + 1 != n_layers for layer in range(n_layers)]
    windows = windows_from_hf(fields, n_layers, size=1024 if unified else 512, usual=usual)
    if windows and windows[-1] is not None:
        windows = (*windows[:-1], None)  # as transformers does, with a word
    rope, local_rope = _ropes(fields, sizes["max_seq_len"])
    keys_as_values, n_shared = fields.flag("attention_k_eq_v", False), _count(fields, "num_kv_shared_layers", 0)
    full_head_dim, full_n_kv_heads = _full_heads(fields, windows, keys_as_values=keys_as_values)
    wide = fields.flag("use_double_wide_mlp", False) and n_shared
    per_layer_dim = _count(fields, "hidden_size_per_layer_input", 0 if unified else 256)
    per_layer_vocab_size = fields.integer("vocab_size_per_layer_input", 262_144)
    if per_layer_dim and per_layer_vocab_size < sizes["vocab_size"]:
        least = f"{sizes['vocab_size']} or more: each token has inputs by layer"
        raise fields.wrong("vocab_size_per_layer_input", per_layer_vocab_size, least)
    return ModelConfig(
        family="gemma4",
        **sizes,
        rope=rope,
        local_rope=local_rope,
        activation="gelu_tanh",
        norm_placement="sandwich",
        embedding_scale=sizes["dim"] ** 0.5,
        qkv_bias=biased,
        o_bias=biased,
        qk_norm="head",
        value_norm=True,
        attention_scale=1.0,
        final_softcap=fields.number("final_logit_softcapping") if fields.get("final_logit_softcapping") else None,
        windows=windows,
        full_head_dim=full_head_dim,
        full_n_kv_heads=full_n_kv_heads,
        keys_as_values=keys_as_values,
        n_shared_layers=n_shared,
        shared_ffn_dim=2 * sizes["ffn_dim"] if wide else None,
        per_layer_dim=per_layer_dim,
        per_layer_vocab_size=per_layer_vocab_size if per_layer_dim else 0,
        layer_scales=True,
    )


def _count(fields: Fields, name: str, default: int) -> int:
    """A number that may be 0, or null for 0."""
    if fields.says(name) and not fields.get(name):
        return 0
    return fields.integer(name, default) if default or fields.says(name) else 0


def _ropes(fields: Fields, max_seq_len: int) -> tuple[RopeConfig, RopeConfig]:
    """How positions enter layers that see everything, and layers with a window."""
    params = fields.group("rope_parameters")
    if params is None:
        full = RopeConfig(rope_theta=FULL_THETA, scaling=PartialScaling(share=TURNED))
        return full, RopeConfig(rope_theta=DEFAULT_THETA)
    for kind in (FULL, LOCAL):
        if params.group(kind) is None:
            raise fields.wrong("rope_parameters", sorted(params.unread()), f"an entry {kind}")
    return ropes_from_hf(fields, max_seq_len, theta=FULL_THETA, local_theta=DEFAULT_THETA)


def _full_heads(
    fields: Fields, windows: tuple[int | None, ...], *, keys_as_values: bool
) -> tuple[int | None, int | None]:
    """D and K of layers that see everything: as files on the hub say them, or as transformers 5 writes them again."""
    by_layer = fields.get("per_layer_config")
    if by_layer is None:
        head_dim, n_kv_heads = fields.integer("global_head_dim", FULL_HEAD_DIM), None
        if fields.get("num_global_key_value_heads") is not None and keys_as_values:
            n_kv_heads = fields.integer("num_global_key_value_heads")
        return head_dim, n_kv_heads
    fields.refuse_unless("global_head_dim")
    fields.refuse_unless("num_global_key_value_heads")
    if by_layer == {}:
        return None, None  # layers that see everything are like the others
    everything = windows or (None,) * fields.integer("num_hidden_layers")
    full = {str(layer) for layer, window in enumerate(everything) if window is None}
    alike = isinstance(by_layer, dict) and set(by_layer) == full and len({str(one) for one in by_layer.values()}) == 1
    one = next(iter(by_layer.values())) if alike else None
    if not isinstance(one, dict) or not set(one) <= {"head_dim", "num_key_value_heads"}:
        raise fields.wrong(
            "per_layer_config", by_layer, "one head_dim and number of kv heads for layers without window"
        )
    inside = Fields(f"{fields.where}, per_layer_config", one)
    of_one = [inside.integer(name) if name in one else None for name in ("head_dim", "num_key_value_heads")]
    return of_one[0], of_one[1]


def unused(config: ModelConfig) -> tuple[str, ...]:
    """Keys and values of layers that read others': files hold them, and transformers and llama.cpp leave them out."""
    return tuple(
        f"model.layers.{layer}.self_attn.{name}"
        for layer in range(config.n_own_layers, config.n_layers)
        for name in ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias", "k_norm.weight")
    )


def hf_config(config: ModelConfig) -> dict[str, Any]:
    """config.json of a Gemma 4, text alone."""
    keys = hf_keys(config, "gemma4_text", "Gemma4ForCausalLM", ropes_by_layer) | window_keys(config)
    return keys | {
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": config.qkv_bias,
        "final_logit_softcapping": config.final_softcap,
        "global_head_dim": config.full_head_dim or config.head_dim,
        "num_global_key_value_heads": config.full_n_kv_heads,
        "attention_k_eq_v": config.keys_as_values,
        "num_kv_shared_layers": config.n_shared_layers,
        "use_double_wide_mlp": config.shared_ffn_dim is not None,
        "hidden_size_per_layer_input": config.per_layer_dim,
        "vocab_size_per_layer_input": config.per_layer_vocab_size or config.vocab_size,
    }


GEMMA4 = Family(
    name="gemma4",
    hf_model_types=("gemma4_text", UNIFIED),
    gguf_architectures=(gemma4_gguf.ARCHITECTURE,),
    config_from_hf=config_from_hf,
    config_from_gguf=gemma4_gguf.config_from_gguf,
    shapes=shapes,
    gguf_name=gguf_names("sandwich", **layer_inputs.GGUF_NAMES),
    from_gguf=as_it_is,
    pack_block=sandwich_block,
    kv_layers=kv_layers,
    gguf_metadata=gemma4_gguf.metadata,
    gguf_more=gemma4_gguf.pair_factors,
    gguf_extras=("rope_freqs.weight",),
    gguf_by_lines=True,
    hf_config=hf_config,
    unused=unused,
)
