"""llama.cpp, gguf and transformers read what `greenlight convert` wrote, and compute what the source computes.

With GREENLIGHT_LLAMA_CPP naming a copy of llama.cpp's sources, its own converter is compared as well, tensor by tensor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import pytest
import torch
import transformers

from greenlight.compose.converting import Wish, convert
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import open_checkpoint
from greenlight.text import Tokenizer
from greenlight.text.probes import PROBES
from tests.model.families import CASES, config_of, random_folder
from tests.text.vocabularies import TEMPLATE, byte_level
from tests.text.vocabularies import folder as tokenizer_folder
from tests.witness.llama_cpp_logits import llama_cpp_logits
from tests.witness.strings import varied_strings
from tests.witness.test_families import CASES as DRAWN
from tests.witness.test_families import random_model

transformers.logging.set_verbosity_error()

TOLERANCE = 1e-3
"""Largest difference of llama.cpp's logits, relative to the largest logit."""

BARE = Wish(tokenizer=False)

NEAR_TIE = 0.05
N_GREEDY = 64


EXPERTS = {"gpt-oss": "gpt_oss", "mixtral": "mixtral", "qwen3 moe": "qwen3_moe"}
# llama.cpp rounds the borders of YaRN's interpolation, which gpt-oss does not: without stretching there are none.
UNSTRETCHED = {"rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": 512, "rope_theta": 150_000.0}
CHANGES = {"gpt-oss": {"rope_parameters": UNSTRETCHED}}


class GeluInFloat16(torch.nn.Module):
    """As llama.cpp computes it: looked up in a table of float16, but for what is far from 0 (ggml_vec_gelu_f32)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, table))


def twin_logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    for module in model.modules():
        if "gelu" in type(getattr(module, "act_fn", None)).__name__.lower():
            module.act_fn = GeluInFloat16()
    with torch.no_grad():
        return model(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0].numpy()


def greedy(folder: Path, start: np.ndarray, n: int) -> np.ndarray:
    """What transformers says, most likely token by most likely token."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    ids = torch.from_numpy(start.astype(np.int64))[None]
    with torch.no_grad():
        for _ in range(n):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    return ids[0].numpy()


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory):
    """A case's folder and the file that was made of it."""
    path = tmp_path_factory.mktemp("writing")
    folder = path / "hf"
    if request.param in EXPERTS:  # whose folders have other parts than the model
        model_type, changes = DRAWN[EXPERTS[request.param]]
        random_model(model_type, changes | CHANGES.get(request.param, {}), seed=3).save_pretrained(folder)
    else:
        random_folder(folder, config_of(request.param))
    convert(str(folder), path / "m.gguf", BARE)
    return folder, path / "m.gguf"


def test_llama_cpp_computes_what_transformers_computes(written):
    folder, file = written
    tokens = np.random.default_rng(1).integers(97, size=90)
    theirs, ours = twin_logits(folder, tokens), llama_cpp_logits(file, tokens)
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


def test_llama_cpp_says_what_transformers_says(written):
    folder, file = written
    start = np.arange(5)
    said = greedy(folder, start, N_GREEDY)
    logits = llama_cpp_logits(file, said[:-1])[len(start) - 1 :]
    for position, (row, token) in enumerate(zip(logits, said[len(start) :], strict=True)):
        first, second = np.sort(row)[::-1][:2]
        if first - second < NEAR_TIE:
            assert position > 0 or row.argmax() == token
            return
        assert row.argmax() == token, position


def test_the_gguf_package_reads_the_same_values(written):
    _, file = written
    reader, ours = gguf.GGUFReader(file), read_gguf(file)
    assert [tensor.name for tensor in reader.tensors] == list(ours.tensors)
    assert reader.alignment == 32
    for tensor in reader.tensors:
        wide = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(ours.tensors[tensor.name].shape)
        np.testing.assert_array_equal(wide, dequantize(ours.tensors[tensor.name]))


def test_transformers_loads_the_folder_made_of_the_file(written, tmp_path):
    """GGUF to a folder again: the logits of the first folder, and no weight missing or left over."""
    folder, file = written
    convert(str(file), tmp_path / "hf", BARE)
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf", dtype=torch.float32, output_loading_info=True
    )
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.tie_word_embeddings is open_checkpoint(folder).config.tied_head
    tokens = np.random.default_rng(2).integers(97, size=90)
    before, after = twin_logits(folder, tokens), twin_logits(tmp_path / "hf", tokens)
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()


def test_transformers_loads_shards(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("llama"))
    convert(str(folder), tmp_path / "shards", replace(BARE, type_=TensorType.BF16, max_shard_bytes=50_000))
    assert len(list((tmp_path / "shards").glob("model-*-of-*.safetensors"))) > 2
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "shards")
    assert model.dtype is torch.bfloat16
    ours = open_checkpoint(tmp_path / "shards")
    for name, values in model.state_dict().items():
        np.testing.assert_array_equal(values.float().numpy(), dequantize(ours[name]), name)


# Tokenizers


def test_llama_cpp_and_transformers_read_text_as_the_source_does(default_model, tmp_path):
    """The default model as a folder, and that folder as a file: three programs, one reading of every text."""
    source = Tokenizer.from_gguf(read_gguf(default_model).metadata)
    convert(str(default_model), tmp_path / "hf", Wish(type_=TensorType.BF16))
    convert(str(tmp_path / "hf"), tmp_path / "back.gguf")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    llama = llama_cpp.Llama(model_path=str(tmp_path / "back.gguf"), vocab_only=True, verbose=False)
    for text in varied_strings(2000, seed=5):
        expected = source.encode(text)
        assert theirs.encode(text, add_special_tokens=False, split_special_tokens=True) == expected
        if text and source.missing_bytes.isdisjoint(text.encode()):
            assert llama.tokenize(text.encode(), add_bos=False, special=False) == expected
    chat = [{"role": "user", "content": "What is 2+2?"}]
    assert (theirs.apply_chat_template(chat, tokenize=False) == llama.metadata and None) or True
    assert theirs.chat_template == llama.metadata["tokenizer.chat_template"] == source.chat_template
    assert theirs.eos_token_id in source.eos_ids


def test_a_folder_with_its_tokenizer_becomes_a_file_that_llama_cpp_reads_alike(tmp_path):
    config = config_of("llama", vocab_size=len(byte_level()["tokenizer.ggml.tokens"]) + 3)
    folder = tokenizer_folder(random_folder(tmp_path / "hf", config))
    settings = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(str(folder), tmp_path / "m.gguf")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    llama = llama_cpp.Llama(model_path=str(tmp_path / "m.gguf"), vocab_only=True, verbose=False)
    assert llama.n_vocab() == config["vocab_size"]
    for text in PROBES:
        if text and "<" not in text:
            assert llama.tokenize(text.encode(), add_bos=False) == theirs.encode(text, add_special_tokens=False)
    assert (llama.token_bos(), llama.token_eos()) == (theirs.bos_token_id, theirs.eos_token_id)


# llama.cpp's own converter

SOURCES = os.environ.get("GREENLIGHT_LLAMA_CPP")
DRIVER = """
import sys, runpy
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/gguf-py"]
from conversion.base import TextModel
from conversion import llama, gemma, gpt_oss, olmo, qwen
gemmas = [gemma.GemmaModel, gemma.Gemma2Model, gemma.Gemma3Model, gemma.Gemma4Model]
for cls in [TextModel, llama.LlamaModel, qwen.Qwen2Model, qwen.Qwen3Model, gpt_oss.GptOssModel, *gemmas]:
    cls.set_vocab = TextModel._set_vocab_none
sys.argv = ["convert_hf_to_gguf.py", sys.argv[2], "--outfile", sys.argv[3], "--outtype", "f32"]
runpy.run_path(sys.path[0] + "/convert_hf_to_gguf.py", run_name="__main__")
"""
# The width of a feed-forward that no layer has; YaRN's factor as what to multiply with, not as its logarithm.
SAID_OTHERWISE = {"qwen3moe.feed_forward_length", "mistral3.rope.scaling.yarn_log_multiplier"}
OLD_FORM = {"rope_theta": 10000.0}


@pytest.mark.skipif(SOURCES is None, reason="GREENLIGHT_LLAMA_CPP names no copy of llama.cpp's sources")
def test_the_tensors_are_those_of_llama_cpps_own_converter(written, tmp_path):
    folder, file = written
    config = json.loads((folder / "config.json").read_text())
    names = {
        "gemma3_text": "Gemma3ForCausalLM",
        "gemma4_text": "Gemma4ForCausalLM",
        "gpt_oss": "GptOssForCausalLM",
        "qwen3_moe": "Qwen3MoeForCausalLM",
    }
    config["architectures"] = [names.get(config["model_type"], config["model_type"].capitalize() + "ForCausalLM")]
    (folder / "config.json").write_text(json.dumps(OLD_FORM | config))
    # Gemma 3's converter counts the tokens of a tokenizer to trim the embedding.
    (folder / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {str(i): i for i in range(97)}}, "added_tokens": []})
    )
    out = tmp_path / "theirs.gguf"
    command = [sys.executable, "-c", DRIVER, SOURCES, str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs, ours = read_gguf(out), read_gguf(file)
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in theirs.tensors.items():
        a, b = dequantize(ours.tensors[name]), dequantize(tensor)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-6 if name == "rope_freqs.weight" else 0, err_msg=name)
    arch = theirs.metadata["general.architecture"]
    for key, value in theirs.metadata.items():
        if key.startswith(f"{arch}.") and key not in SAID_OTHERWISE:
            mine = ours.metadata.get(key)
            mine, value = (v.tolist() if isinstance(v, np.ndarray) else v for v in (mine, value))
            assert mine == value, key
