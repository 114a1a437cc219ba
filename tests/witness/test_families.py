"""transformers computes the same logits from the same folder, for random models of each family."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from greenlight.engine import Engine, ScoreRequest
from greenlight.formats.quants import dequantize
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits
from tests.engine.fake_decoder import FakeTokenizer

transformers.logging.set_verbosity_error()

OPS = {"numpy": NumpyOps}
if native.available():
    OPS["native"] = partial(native.NativeOps, kv="f32")
TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit."""

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 97,
    "max_position_embeddings": 512,
}
EXPERTS = {"num_local_experts": 6, "num_experts_per_tok": 3}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
WIDER = {"sliding_window": 17, "global_head_dim": 32, "attention_k_eq_v": True, "num_global_key_value_heads": 1}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral with a window": ("mistral", {"sliding_window": 20}),
    "mistral without": ("mistral", {"sliding_window": None, "head_dim": 32}),
    "qwen2": ("qwen2", {}),
    "qwen2 with windows": ("qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}),
    "qwen2 tied, yarn": ("qwen2", {"tie_word_embeddings": True, "rope_parameters": YARN | {"rope_theta": 1e4}}),
    "qwen3": ("qwen3", {"head_dim": 32}),
    "qwen3 biased": ("qwen3", {"attention_bias": True}),
    "olmo2": ("olmo2", {}),
    "olmo2 biased": ("olmo2", {"attention_bias": True}),
    "olmo3": ("olmo3", {"sliding_window": 11}),
    "olmo3 stretched": (
        "olmo3",
        {
            "sliding_window": 40,
            "rope_parameters": {
                "full_attention": YARN | {"rope_theta": 5e5, "attention_factor": 1.2},
                "sliding_attention": {"rope_type": "default", "rope_theta": 5e5},
            },
        },
    ),
    "gemma": ("gemma", {"head_dim": 24}),
    "gemma2": ("gemma2", {"sliding_window": 13, "query_pre_attn_scalar": 40}),
    "gemma2 without bounds": ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "gemma3": ("gemma3_text", {"sliding_window": 17, "num_hidden_layers": 7}),
    "gemma3 stretched": (
        "gemma3_text",
        {
            "sliding_window": 33,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "ministral": (
        "ministral",
        {
            "sliding_window": 15,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"] * 2,
            "num_hidden_layers": 6,
        },
    ),
    "ministral3": (
        "ministral3",
        {
            "rope_parameters": YARN
            | {"rope_theta": 1e6, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.4}
        },
    ),
    "ministral3 with a window": ("ministral3", {"sliding_window": 21}),
    "mixtral": ("mixtral", {"num_local_experts": 5}),
    "mixtral with a window": ("mixtral", {"sliding_window": 21, "num_local_experts": 4, "num_experts_per_tok": 3}),
    "qwen3_moe": (
        "qwen3_moe",
        {"num_experts": 7, "num_experts_per_tok": 3, "moe_intermediate_size": 32, "norm_topk_prob": True},
    ),
    "qwen3_moe, not normed": (
        "qwen3_moe",
        {"num_experts": 6, "num_experts_per_tok": 4, "moe_intermediate_size": 40, "attention_bias": True},
    ),
    "qwen3_moe with a window": (
        "qwen3_moe",
        EXPERTS | {"moe_intermediate_size": 32, "use_sliding_window": True, "sliding_window": 12},
    ),
    "gemma4": (
        "gemma4_text",
        WIDER
        | {"num_hidden_layers": 6, "layer_types": ["sliding_attention", "full_attention"] * 3}
        | {"num_kv_shared_layers": 2, "use_double_wide_mlp": True}
        | {"hidden_size_per_layer_input": 12, "vocab_size_per_layer_input": 97, "final_logit_softcapping": 30.0},
    ),
    "gemma4 unified": ("gemma4_unified_text", WIDER | {"num_hidden_layers": 7}),
    "gpt_oss": (
        "gpt_oss",
        EXPERTS
        | {
            "sliding_window": 19,
            "rope_parameters": YARN | {"rope_theta": 150_000.0, "truncate": False, "factor": 32.0},
        },
    ),
    "gpt_oss, wide heads, one expert": (
        "gpt_oss",
        {"num_local_experts": 5, "num_experts_per_tok": 1, "head_dim": 32, "hidden_size": 96},
    ),
}


def random_model(model_type: str, changes: dict[str, Any], seed: int) -> Any:
    """Far from an initialisation: norms vary, biases are not small, scores are large enough for bounds to matter."""
    config = transformers.AutoConfig.for_model(model_type, **(SIZES | changes), attn_implementation="eager")
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith("norm.weight"):
                values.uniform_(0.3, 1.8)
            elif name.endswith(("bias", "sinks")):
                values.normal_(0, 0.5 if name.endswith("bias") else 2.0)
            else:
                values.normal_(0, 1.2 / values.shape[-1] ** 0.5)
    return model


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("case", CASES)
def test_a_random_model_gives_the_same_logits(case, ops, tmp_path):
    model_type, changes = CASES[case]
    model = random_model(model_type, changes, seed=len(case))
    model.save_pretrained(tmp_path)
    tokens = np.random.default_rng(len(case)).integers(SIZES["vocab_size"], size=90)
    with torch.no_grad():
        theirs = model(torch.from_numpy(tokens)[None]).logits[0].numpy()
    ours = all_logits(load_decoder(tmp_path, OPS[ops]()), tokens)
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


def as_mxfp4(folder, seed):
    """A folder of gpt-oss whose experts are random MXFP4, as its makers publish it."""
    torch.manual_seed(seed)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        E, K, N = tensors.pop(name).shape
        tensors[f"{name}_blocks"] = torch.randint(256, (E, N, K // 32, 16), dtype=torch.uint8)
        tensors[f"{name}_scales"] = torch.randint(121, 125, (E, N, K // 32), dtype=torch.uint8)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def mxfp4_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mxfp4")
    random_model(*CASES["gpt_oss"], seed=5).save_pretrained(folder)
    as_mxfp4(folder, seed=6)
    return folder


@pytest.fixture(scope="module")
def dequantised(mxfp4_folder):
    """What transformers makes of it."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        mxfp4_folder,
        quantization_config=transformers.Mxfp4Config(dequantize=True),
        dtype=torch.float32,
        attn_implementation="eager",
    ).eval()


def test_experts_in_mxfp4_are_the_numbers_that_transformers_reads(mxfp4_folder, dequantised):
    ours = open_checkpoint(mxfp4_folder)
    for layer, theirs in enumerate(dequantised.model.layers):
        gate_up = theirs.mlp.experts.gate_up_proj.detach().numpy().swapaxes(1, 2)
        down = theirs.mlp.experts.down_proj.detach().numpy().swapaxes(1, 2)
        for name, values in (("gate", gate_up[:, ::2]), ("up", gate_up[:, 1::2]), ("down", down)):
            tensor = ours[f"model.layers.{layer}.mlp.experts.{name}_proj.weight"]
            assert tensor.type.name == "MXFP4"
            np.testing.assert_array_equal(dequantize(tensor), values)


def test_a_gpt_oss_in_mxfp4_gives_the_same_logits(mxfp4_folder, dequantised):
    tokens = np.random.default_rng(0).integers(SIZES["vocab_size"], size=90)
    with torch.no_grad():
        theirs = dequantised(torch.from_numpy(tokens)[None]).logits[0].numpy()
    ours = all_logits(load_decoder(mxfp4_folder, NumpyOps()), tokens)
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("case", ["mistral with a window", "olmo3", "gemma3", "gemma4"])
def test_an_engine_that_frees_what_has_left_a_window_weighs_the_same(case, ops, tmp_path):
    model_type, changes = CASES[case]
    model = random_model(model_type, changes, seed=3)
    model.save_pretrained(tmp_path)
    tokens = np.random.default_rng(3).integers(SIZES["vocab_size"], size=150)
    with torch.no_grad():
        theirs = model(torch.from_numpy(tokens)[None]).logits[0].double().log_softmax(-1).numpy()
    engine = Engine(load_decoder(tmp_path, OPS[ops]()), FakeTokenizer(), max_batch_tokens=16, max_sequences=2)
    request = ScoreRequest(id="q", prompt=tuple(tokens[:70].tolist()), continuations=(tuple(tokens[70:].tolist()),))
    for _ in range(2):  # the second time from known pages
        (scored,) = engine.score([request])
        expected = theirs[np.arange(69, 149), tokens[70:]]
        np.testing.assert_allclose(scored.logprobs[0], expected, atol=2e-3)
