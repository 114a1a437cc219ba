"""Random configs of each family: sizes nobody would choose, each switch in each position, old and new spellings.

A family is one entry of `DESIGNS`. What a draw holds is a config.json, fixed by the family's name and a seed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

N_DRAWS, N_GGUF_DRAWS = 200, 6
"""Configs of each family that are compared with transformers, and with llama.cpp."""

ABSENT = object()
"""The field is left out: its default is part of the format."""

Config = dict[str, Any]
Choices = dict[str, tuple[Any, ...]]

SIZES: Choices = {
    "num_hidden_layers": (1, 2, 3),
    "vocab_size": (41, 50, 64),
    "intermediate_size": (24, 37, 64, 96),
    "rms_norm_eps": (1e-6, 1e-5, 1e-3, ABSENT),
    "max_position_embeddings": (128, 1000, ABSENT),
}
TIED: Choices = {"tie_word_embeddings": (True, False, ABSENT)}
BIASED: Choices = {"attention_bias": (True, False, ABSENT)}
SILU: Choices = {"hidden_act": ("silu", "swish", ABSENT)}
GELU: Choices = {"hidden_activation": ("gelu_pytorch_tanh", ABSENT)}
SCORES_BOUND: Choices = {"attn_logit_softcapping": (None, 2.0, 50.0, ABSENT)}
LOGITS_BOUND: Choices = {"final_logit_softcapping": (None, 3.0, 30.0, ABSENT)}
SCALE: Choices = {"query_pre_attn_scalar": (16, 40, 256, ABSENT)}

WINDOWS = (1, 2, 7, 31, 32, 33, 40)
"""Around the edges of pages, which hold 32 positions, and where a layer sees little but itself."""

HEAD_DIMS = (2, 6, 8, 10, 16, 24, 32)
ROPES = ("default", "linear", "llama3", "yarn", "yarn with all its parameters")


@dataclass(frozen=True, kw_only=True)
class Design:
    """What varies in one family."""

    choices: Choices
    """Fields of its config.json, and what each may hold."""

    model_type: str = ""
    """Its name in config.json, where it is not the family's."""

    head_dims: tuple[Any, ...] = HEAD_DIMS
    """Sizes of heads; ABSENT where the family takes the model dim over the heads."""

    kv_heads_may_be_absent: bool = False
    """Whether there are as many kv heads as query heads where the file says nothing."""

    ropes: tuple[str, ...] = ROPES
    """Ways of stretching positions."""

    ropes_by_layer: str | None = None
    """For a family whose layers with a window have positions of their own: what old files call their theta, or ''."""

    windows: Callable[[np.random.Generator, int], Config] = lambda rng, n_layers: {}
    """Fields about windows, for a number of layers."""

    more: Callable[[np.random.Generator, Config], Config] = lambda rng, config: {}
    """Fields that depend on the others."""

    in_gguf: Callable[[Config], Config] | None = None
    """Fields that a GGUF file has no key for, as its readers take them; None where there are no such files."""

    gguf_ropes: tuple[str, ...] = ("default", "linear", "llama3", "yarn")
    """Ways of stretching that its GGUF files can say; none: positions stay as they were drawn."""

    in_gguf_rope: Callable[[Config, np.random.Generator], Config] = lambda rope, rng: {"rope_scaling": rope or None}
    """Fields that say a drawn way of stretching, where files of the family say more."""


def everywhere(rng: np.random.Generator, n_layers: int) -> Config:
    """One window in all layers, or none."""
    return {"sliding_window": pick(rng, (None, *WINDOWS, ABSENT))}


def by_layer(rng: np.random.Generator, n_layers: int) -> Config:
    """Windows in layers that a list names, or in the family's usual ones."""
    result = {"sliding_window": pick(rng, (*WINDOWS, ABSENT))}
    if rng.integers(2):
        kinds = ("sliding_attention", "full_attention")
        result["layer_types"] = [kinds[rng.integers(2)] for _ in range(n_layers)]
    return result


def each_nth(rng: np.random.Generator, n_layers: int) -> Config:
    """As `by_layer`, or by the number that says which layers see everything."""
    result = by_layer(rng, n_layers)
    if "layer_types" not in result and rng.integers(2):
        result["sliding_window_pattern"] = int(rng.integers(1, 4))
    return result


def everywhere_or_nowhere(rng: np.random.Generator, n_layers: int) -> Config:
    """One window in all layers, where it is used."""
    return {"use_sliding_window": bool(rng.integers(2)), "sliding_window": pick(rng, WINDOWS)}


def from_a_layer_on(rng: np.random.Generator, n_layers: int) -> Config:
    """Windows, where they are used at all, from one layer on; the other fields stand in files that use none, too."""
    used = bool(rng.integers(2))
    result = {"use_sliding_window": used, "sliding_window": pick(rng, (*WINDOWS, ABSENT))}
    result["max_window_layers"] = pick(rng, (0, 1, 2, 28, ABSENT))
    if used and rng.integers(3) == 0:
        result["layer_types"] = by_layer(rng, n_layers).get("layer_types", ABSENT)
    return result


def experts(rng: np.random.Generator, config: Config) -> Config:
    """From one expert of two to all of them."""
    n_experts = pick(rng, (2, 3, 5, 8))
    return {"num_local_experts": n_experts, "num_experts_per_tok": int(rng.integers(1, n_experts + 1))}


def experts_of_qwen(rng: np.random.Generator, config: Config) -> Config:
    """The same under Qwen's names, with a dim of their own."""
    of_mixtral = experts(rng, config)
    of_mixtral["num_experts"] = of_mixtral.pop("num_local_experts")
    return of_mixtral | {"moe_intermediate_size": pick(rng, (8, 24, 33))}


def cooler_queries(rng: np.random.Generator, config: Config) -> Config:
    """YaRN with queries that grow with the length of the text, whose scale counts from the original context."""
    rope = draw_rope("yarn", rng) | {"mscale": 1.0, "mscale_all_dim": 1.0, "rope_theta": pick(rng, (1e4, 1e6))}
    rope |= pick(rng, ({"llama_4_scaling_beta": 0.1}, {"llama_4_scaling_beta": 0.5}))
    return {"rope_parameters": rope, "rope_theta": ABSENT, "rope_scaling": ABSENT}


def of_two_widths(rng: np.random.Generator, config: Config) -> Config:
    """Gemma 4's layers that see everything, those that read others' keys and values, and how positions enter each."""
    n_layers = pick(rng, (2, 3, 5, 6))
    kinds = ("sliding_attention", "full_attention")
    pattern = [kinds[rng.integers(2)] for _ in range(n_layers)]
    said = bool(rng.integers(3))
    types = pattern if said else [kinds[(layer + 1) % 6 == 0] for layer in range(n_layers)]
    made = [*types[:-1], "full_attention"]  # as transformers makes the last one
    shared = [n for n in range(n_layers) if set(made[: n_layers - n]) == set(made)]
    if not config["hidden_size_per_layer_input"]:
        shared = shared[:1]  # transformers 5.23 fails where layers share keys and have no inputs of their own
    turned = {"rope_type": "proportional", "partial_rotary_factor": pick(rng, (0.25, 0.5, 1.0)), "rope_theta": 1e6}
    if rng.integers(3) == 0:
        turned["factor"] = 2.0
    ropes = {
        "full_attention": pick(rng, (turned, turned, {"rope_type": "default", "rope_theta": 1e4})),
        "sliding_attention": pick(
            rng,
            ({"rope_type": "default", "rope_theta": 100.0}, {"rope_type": "linear", "factor": 3.0, "rope_theta": 1e4}),
        ),
    }
    return {
        "num_hidden_layers": n_layers,
        "layer_types": types if said else ABSENT,
        "num_kv_shared_layers": pick(rng, (*shared, shared[-1])) if shared else 0,
        "num_global_key_value_heads": pick(rng, (None, 1, config["num_key_value_heads"], ABSENT)),
        "vocab_size_per_layer_input": config["vocab_size"],
        "rope_parameters": pick(rng, (ropes, ropes, ABSENT)),
        "rope_theta": ABSENT,
        "rope_scaling": ABSENT,
    }


UNSAID_OF_OLMO: Config = {"attention_bias": False, "tie_word_embeddings": False}
UNSAID_OF_GEMMA: Config = {"tie_word_embeddings": True, "attention_bias": False}


def even_heads(config: Config) -> Config:
    """The model dim over the heads, where that is the only size of heads."""
    return {"hidden_size": config["num_attention_heads"] * 6, "head_dim": ABSENT}


def enough_layers(config: Config, n_layers: int) -> Config:
    """So many that the family's usual pattern of windows is seen, where no list says another."""
    return {} if "layer_types" in config else {"num_hidden_layers": n_layers}


def as_gguf_reads_gemma4(config: Config) -> Config:
    """Two layers more, the last with keys of their own, one of each kind: readers take shared keys from these.

    They have no tensor for biases, and stretch no layer with a window.
    """
    kinds = ["sliding_attention", "full_attention"]
    types = config.get("layer_types", ["sliding_attention"] * config["num_hidden_layers"])
    n_shared = len(types) // 2 if config["hidden_size_per_layer_input"] == 12 else config["num_kv_shared_layers"]
    own = len(types) - n_shared
    ropes = config.get("rope_parameters")
    if ropes:
        ropes = ropes | {"sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}
    return {
        "num_hidden_layers": len(types) + 2,
        "layer_types": [*types[:own], *kinds, *types[own:]],
        "num_kv_shared_layers": n_shared,
        "attention_bias": False,
        "rope_parameters": ropes or ABSENT,
    }


def scale_of_heads(config: Config) -> Config:
    """What readers of GGUF files take for all sizes but the largest."""
    return {"query_pre_attn_scalar": config.get("head_dim", 256), "final_logit_softcapping": 25.0}


def some_windows(config: Config) -> Config:
    """gpt-oss as its files can say it: a head of its own, and a window in some layer."""
    usual = "sliding_attention" not in config.get("layer_types", ())
    return {"tie_word_embeddings": False} | ({"layer_types": ABSENT} if usual else {})


def growing_queries(rope: Config, rng: np.random.Generator) -> Config:
    """Queries of a Ministral 3 grow from the original context on: that of the stretching, or the longest there is."""
    original = rope.get("original_max_position_embeddings", 32)
    rope = rope or {"rope_type": "default"}
    sharper = {"mscale": 1.0, "mscale_all_dim": 1.0} if rope["rope_type"] == "yarn" else {}
    growth = pick(rng, ({"llama_4_scaling_beta": 0.1}, {"llama_4_scaling_beta": 0.5}))
    return {
        "rope_scaling": rope | sharper | growth | {"original_max_position_embeddings": original},
        "max_position_embeddings": original if rope["rope_type"] != "yarn" else 512,
    }


DESIGNS: dict[str, Design] = {
    "llama": Design(
        choices=SIZES | TIED | SILU | BIASED | {"mlp_bias": (True, False, ABSENT)},
        head_dims=(*HEAD_DIMS, ABSENT),
        kv_heads_may_be_absent=True,
        in_gguf=lambda config: {},
    ),
    "mistral": Design(
        choices=SIZES | TIED | SILU,
        head_dims=(*HEAD_DIMS, ABSENT),
        windows=everywhere,
        in_gguf=lambda config: {"sliding_window": None},
    ),
    "ministral": Design(  # transformers needs the size of its heads
        choices=SIZES | TIED | SILU,
        windows=by_layer,
        in_gguf=lambda config: {"layer_types": ["full_attention"] * config["num_hidden_layers"]},
    ),
    "ministral3": Design(
        choices=SIZES | TIED | SILU,
        windows=lambda rng, n_layers: {"sliding_window": pick(rng, (None, *WINDOWS, ABSENT))},
        more=cooler_queries,
        in_gguf=lambda config: {"sliding_window": None},
        gguf_ropes=("yarn", "yarn", "linear", "default"),
        in_gguf_rope=growing_queries,
    ),
    "mixtral": Design(
        choices=SIZES | TIED | SILU,
        windows=everywhere,
        more=experts,
        in_gguf=lambda config: {"sliding_window": None},
    ),
    "qwen2": Design(
        choices=SIZES | TIED | SILU,
        head_dims=(*HEAD_DIMS, ABSENT),
        windows=from_a_layer_on,
        in_gguf=lambda config: {"use_sliding_window": False, "layer_types": ABSENT} | even_heads(config),
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "qwen3": Design(
        choices=SIZES | TIED | SILU | BIASED,
        head_dims=(*HEAD_DIMS, ABSENT),
        windows=from_a_layer_on,
        in_gguf=lambda config: {"use_sliding_window": False, "layer_types": ABSENT, "attention_bias": False},
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "qwen3_moe": Design(
        choices=SIZES | TIED | SILU | BIASED | {"norm_topk_prob": (True, False, ABSENT)},
        head_dims=(*HEAD_DIMS, ABSENT),
        windows=everywhere_or_nowhere,
        more=experts_of_qwen,
        in_gguf=lambda config: {"use_sliding_window": False, "norm_topk_prob": True, "attention_bias": False},
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "olmo2": Design(
        choices=SIZES | TIED | SILU | BIASED,
        head_dims=(*HEAD_DIMS, ABSENT),
        kv_heads_may_be_absent=True,
        in_gguf=lambda config: UNSAID_OF_OLMO | even_heads(config),
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "olmo3": Design(
        choices=SIZES | TIED | SILU | BIASED,
        head_dims=(*HEAD_DIMS, ABSENT),
        kv_heads_may_be_absent=True,
        ropes_by_layer="",
        windows=by_layer,
        in_gguf=lambda config: UNSAID_OF_OLMO | even_heads(config) | enough_layers(config, 5),
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "gemma": Design(
        choices=SIZES | TIED | BIASED | {"hidden_act": ("gelu", "gelu_pytorch_tanh", ABSENT)},
        head_dims=(*HEAD_DIMS, ABSENT),
        in_gguf=lambda config: UNSAID_OF_GEMMA,
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "gemma2": Design(
        choices=SIZES | TIED | BIASED | GELU | SCORES_BOUND | LOGITS_BOUND | SCALE,
        head_dims=(*HEAD_DIMS, ABSENT),
        windows=by_layer,
        in_gguf=lambda config: UNSAID_OF_GEMMA | scale_of_heads(config) | {"attn_logit_softcapping": 20.0},
        gguf_ropes=("default", "linear", "yarn"),
    ),
    "gemma3": Design(
        model_type="gemma3_text",
        choices=SIZES | TIED | BIASED | GELU | LOGITS_BOUND | SCALE,
        head_dims=(*HEAD_DIMS, ABSENT),
        ropes_by_layer="rope_local_base_freq",
        windows=each_nth,
        in_gguf=lambda config: UNSAID_OF_GEMMA | scale_of_heads(config) | enough_layers(config, 7),
        gguf_ropes=("default", "linear"),
    ),
    "gemma4": Design(
        model_type="gemma4_text",
        choices=SIZES
        | TIED
        | BIASED
        | GELU
        | LOGITS_BOUND
        | {
            "global_head_dim": (4, 12, 32),
            "hidden_size_per_layer_input": (0, 12, 16),  # normed: of fewer values, as of a shorter dim, all rounding
            "attention_k_eq_v": (True, False, ABSENT),
            "use_double_wide_mlp": (True, False, ABSENT),
            "use_bidirectional_attention": (None, "vision", ABSENT),
            "sliding_window": (*WINDOWS, ABSENT),
        },
        more=of_two_widths,
        in_gguf=as_gguf_reads_gemma4,
        gguf_ropes=(),
    ),
    "gpt_oss": Design(
        choices=SIZES | TIED | BIASED,
        windows=by_layer,
        ropes=("default", "yarn", "yarn with all its parameters"),
        more=experts,
        in_gguf=some_windows,
        gguf_ropes=("default", "yarn"),
        in_gguf_rope=lambda rope, rng: {
            "rope_scaling": rope | {"truncate": False} if rope else {"rope_type": "default"}
        },
    ),
}


def draw_config(family: str, seed: int) -> Config:
    """The config.json that a seed stands for."""
    design = DESIGNS[family]
    rng = np.random.default_rng([zlib.crc32(family.encode()), seed])
    config: Config = {"model_type": design.model_type or family}
    config |= {name: pick(rng, values) for name, values in design.choices.items()}
    config |= _heads(rng, design)
    config |= design.windows(rng, config["num_hidden_layers"])
    config |= _positions(rng, design)
    config |= design.more(rng, config)
    return {name: value for name, value in config.items() if value is not ABSENT}


def draw_gguf_config(family: str, seed: int) -> Config:
    """The same seed's config, with what GGUF has no key for as llama.cpp takes it."""
    in_gguf = DESIGNS[family].in_gguf
    assert in_gguf
    config = draw_config(family, seed)
    config |= in_gguf(config)
    if not DESIGNS[family].gguf_ropes:
        return {name: value for name, value in config.items() if value is not ABSENT}
    rng = np.random.default_rng(seed)
    rope = draw_rope(DESIGNS[family].gguf_ropes[seed % len(DESIGNS[family].gguf_ropes)], rng)
    for name in ("rope_parameters", "rope_scaling", "rope_local_base_freq"):
        config.pop(name, None)
    config |= {
        "rope_theta": 5e5 if family == "olmo3" else pick(rng, (1e4, 5e5)),
        "max_position_embeddings": 512,
    }
    config |= DESIGNS[family].in_gguf_rope(rope, rng)
    return {name: value for name, value in config.items() if value is not ABSENT}


def pick(rng: np.random.Generator, values: tuple[Any, ...]) -> Any:
    """One of them."""
    return values[rng.integers(len(values))]


def _heads(rng: np.random.Generator, design: Design) -> Config:
    """From one kv head for all to one for each; the model dim a multiple of the heads, as transformers asks."""
    n_kv_heads = pick(rng, (1, 1, 2, 3))
    n_heads = n_kv_heads * pick(rng, (1, 2, 3, 4) if n_kv_heads < 3 else (1, 2))
    head_dim = pick(rng, design.head_dims)
    of_each_head = (2, 4, 6, 8, 16) if head_dim is ABSENT else (3, 4, 7, 10)
    result = {
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "hidden_size": n_heads * pick(rng, of_each_head),
        "head_dim": head_dim,
    }
    if (
        result["hidden_size"] < 12
    ):  # so short a vector is often almost nothing before it is normed, and then all rounding
        result["hidden_size"] *= 12 // result["hidden_size"] + 1
    if design.kv_heads_may_be_absent and n_heads == n_kv_heads and rng.integers(2):
        result["num_key_value_heads"] = ABSENT
    return result


def _positions(rng: np.random.Generator, design: Design) -> Config:
    """How positions enter, spelt as files on the hub do (`rope_theta` and `rope_scaling`) or as transformers 5 does."""
    theta, rope = pick(rng, (100.0, 1e4, 5e5, 1e6)), draw_rope(pick(rng, design.ropes), rng)
    old = bool(rng.integers(2))
    if not old and not rope:
        rope = {"rope_type": "default"}
    if design.ropes_by_layer is None:
        if old:
            rope_scaling = rope or pick(rng, (None, ABSENT))
            return {"rope_theta": pick(rng, (theta, ABSENT)), "rope_scaling": rope_scaling}
        return {"rope_parameters": rope | {"rope_theta": theta}}
    local_theta = pick(rng, (50.0, 1e4))
    rope.pop("truncate", None)  # refused there
    if old:
        result = {"rope_theta": theta, "rope_scaling": rope or pick(rng, (None, ABSENT))}
        return result | ({design.ropes_by_layer: pick(rng, (local_theta, ABSENT))} if design.ropes_by_layer else {})
    local = draw_rope(pick(rng, design.ropes), rng) or {"rope_type": "default"}
    local.pop("truncate", None)
    layers = {"full_attention": rope | {"rope_theta": theta}, "sliding_attention": local | {"rope_theta": local_theta}}
    if rng.integers(4) == 0:
        del layers[pick(rng, tuple(layers))]
    return {"rope_parameters": layers}


def draw_rope(kind: str, rng: np.random.Generator) -> Config:
    """Parameters of one way of stretching; prompts reach beyond the original context."""
    factor, original = pick(rng, (2.0, 4.0, 8.0, 32.0)), pick(rng, (8, 16, 32, 64))
    match kind:
        case "default":
            return {}
        case "linear":
            return {"rope_type": "linear", "factor": factor}
        case "llama3":
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": pick(rng, (2.0, 4.0)),
                "original_max_position_embeddings": original,
            }
    yarn = {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    if kind != "yarn":
        yarn |= {"beta_fast": pick(rng, (8.0, 32.0)), "beta_slow": pick(rng, (0.5, 1.0)), "truncate": False}
        yarn |= pick(rng, ({"mscale": 0.8, "mscale_all_dim": 1.3}, {"mscale": 0.7}, {"attention_factor": 1.2}, {}))
    return yarn


def random_model(config: Config, seed: int) -> Any:
    """transformers' model of a config, far from an initialisation: norms vary, biases are not small.

    Not farther than where float32 itself holds logits to 1e-5: beyond that, implementations differ in what they round.
    """
    import torch  # here, so that the table can be read without
    import transformers

    model_type = config["model_type"]
    fields = {name: value for name, value in config.items() if name != "model_type"}
    made = transformers.CONFIG_MAPPING[model_type].from_dict(
        fields, attn_implementation="eager", experts_implementation="eager"
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(made).eval()
    offset = (
        1.0 if model_type.startswith("gemma") and "gemma4" not in model_type else 0.0
    )  # what is stored is w, what multiplies is 1 + w
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith("norm.weight"):
                values.uniform_(0.3 - offset, 1.8 - offset)
            elif name.endswith(("bias", "sinks")):
                values.normal_(0, 0.5 if name.endswith("bias") else 2.0)
            else:
                values.normal_(0, values.shape[-1] ** -0.5)
        for name, values in model.named_buffers():
            if name.endswith("layer_scalar"):
                values.uniform_(0.5, 1.5)
    return model


def logits_of(model: Any, tokens: np.ndarray) -> np.ndarray:
    """Logits after every token of one prompt, (T, V)."""
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(tokens.astype(np.int64))[None], use_cache=False).logits[0].numpy()
