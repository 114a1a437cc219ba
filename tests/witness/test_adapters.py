"""peft computes the same logits with the same adapter, for random models of three families, merged and beside.

So does llama.cpp with the same adapter in a GGUF file, laid out as its own converter does it.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import gguf
import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from greenlight.compose.converting import Wish, convert
from greenlight.model.load import load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits
from tests.witness.llama_cpp_logits import llama_cpp_logits

transformers.logging.set_verbosity_error()
# peft 0.21 still asks for what transformers 5.23 has renamed; nothing of it is about adapters.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

OPS: dict[str, Any] = {"numpy": NumpyOps}
if native.available():
    OPS["native"] = partial(native.NativeOps, kv="f32")
TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit."""

LLAMA_CPP_TOLERANCE = 1e-3
"""The same of llama.cpp's, which looks some functions up in float16."""

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 97,
    "max_position_embeddings": 128,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "gemma3": ("gemma3_text", {"sliding_window": 8, "query_pre_attn_scalar": 16, "final_logit_softcapping": None}),
    "qwen3": ("qwen3", {}),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "every linear": {"target_modules": "all-linear", "r": 4, "lora_alpha": 9},
    "some, rank stabilised": {"target_modules": ["q_proj", "v_proj", "up_proj"], "r": 8, "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "k_proj", "down_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "down_proj": 6},
        "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 3, "down_proj": 5},
    },
    "pattern of targets, two layers": {"target_modules": r".*\.[02]\.(self_attn\.o_proj|mlp\.gate_proj)", "r": 3},
    "norms and the head whole": {"target_modules": ["o_proj"], "modules_to_save": ["norm", "lm_head"]},
}


def adapted(path, family, settings, **more):
    """A random base and adapter of it, saved by peft; tokens, and what peft makes of them."""
    model_type, changes = FAMILIES[family]
    torch.manual_seed(len(settings))
    config = transformers.AutoConfig.for_model(model_type, **{**SIZES, "tie_word_embeddings": False, **changes, **more})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(path / "base")
    adapted = peft.get_peft_model(model, peft.LoraConfig(**SETTINGS[settings])).eval()
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(path / "adapter")
    tokens = np.random.default_rng(0).integers(config.vocab_size, size=24)
    return tokens, logits_of(adapted, tokens)


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor(tokens)[None]).logits[0].float().numpy()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_with_an_adapter_are_pefts(tmp_path, family, settings):
    tokens, expected = adapted(tmp_path, family, settings)
    for make in OPS.values():
        for how in ("merged", "beside"):
            decoder = load_decoder(tmp_path / "base", make(), adapter=tmp_path / "adapter", how=how)
            np.testing.assert_allclose(all_logits(decoder, tokens), expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize(
    ("family", "settings"),
    [*((family, "every linear") for family in FAMILIES), ("llama", "norms and the head whole")],
)
def test_what_is_merged_and_written_is_pefts_in_transformers_and_in_llama_cpp(tmp_path, family, settings, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_HOME", str(tmp_path / "home"))
    tokens, expected = adapted(tmp_path, family, settings, tie_word_embeddings=family == "gemma3")
    reference = f"{tmp_path / 'base'}+{tmp_path / 'adapter'}"
    for target in ("merged", "merged.gguf"):
        convert(reference, tmp_path / target, Wish(tokenizer=False))
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    most = np.abs(expected).max()
    np.testing.assert_allclose(logits_of(merged.eval(), tokens), expected, atol=TOLERANCE * most)
    theirs = llama_cpp_logits(tmp_path / "merged.gguf", tokens)
    np.testing.assert_allclose(theirs, expected, atol=LLAMA_CPP_TOLERANCE * most)


def lora_file(path, adapter, base):
    """A PEFT adapter as llama.cpp's convert_lora_to_gguf.py writes it, by the gguf package's writer and names."""
    config = json.loads((base / "config.json").read_text())
    architecture = {
        "llama": gguf.MODEL_ARCH.LLAMA,
        "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
        "qwen3": gguf.MODEL_ARCH.QWEN3,
    }
    architecture = architecture[config["model_type"]]
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    alpha = json.loads((adapter / "adapter_config.json").read_text())["lora_alpha"]
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(alpha))
    for name, values in load_file(adapter / "adapter_model.safetensors").items():
        module, _, half = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".lora_")
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(module.rpartition(".")[2])
        if heads and half == "B" and architecture is gguf.MODEL_ARCH.LLAMA:
            # LlamaModel.permute of conversion/llama.py
            n_heads = config[heads]
            shape = (n_heads, 2, len(values) // n_heads // 2, *values.shape[1:])
            values = values.reshape(shape).swapaxes(1, 2).reshape(values.shape)
        weight = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        writer.add_tensor(f"{weight}.lora_{half.lower()}", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_in_gguf_is_llama_cpps_and_pefts(tmp_path, family, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_HOME", str(tmp_path / "home"))
    tokens, expected = adapted(tmp_path, family, "every linear", tie_word_embeddings=family == "gemma3")
    base, most = tmp_path / "base.gguf", np.abs(expected).max()
    convert(str(tmp_path / "base"), base, Wish(tokenizer=False))
    folder = tmp_path / "adapter"
    lora, again = (lora_file(tmp_path / name, folder, tmp_path / "base") for name in ("lora.gguf", "again.gguf"))
    theirs, twice = llama_cpp_logits(base, tokens, lora), llama_cpp_logits(base, tokens, lora, again)
    np.testing.assert_allclose(theirs, expected, atol=LLAMA_CPP_TOLERANCE * most)
    assert np.abs(llama_cpp_logits(base, tokens) - theirs).max() > 0.05 * most
    for make in OPS.values():
        for path, how in ((base, "merged"), (base, "beside"), (tmp_path / "base", "merged")):
            ours = all_logits(load_decoder(path, make(), adapter=lora, how=how), tokens)
            np.testing.assert_allclose(ours, theirs, atol=LLAMA_CPP_TOLERANCE * most)
            np.testing.assert_allclose(ours, expected, atol=TOLERANCE * most)
        both = all_logits(load_decoder(base, make(), adapter=[lora, folder]), tokens)
        np.testing.assert_allclose(both, twice, atol=LLAMA_CPP_TOLERANCE * np.abs(twice).max())
