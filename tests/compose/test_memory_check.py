from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greenlight.cli.inspect import _measured
from greenlight.compose import inspection, memory_check
from greenlight.compose.converting import Wish, convert
from greenlight.compose.inspection import inspect
from greenlight.compose.memory_check import Asked, compared, measure_memory, tokens_written
from greenlight.errors import EngineError, UnsupportedError, UsageError
from greenlight.formats.tensors import TensorType
from greenlight.model.load import describe
from greenlight.model.memory import STEP_ROWS
from tests.chat_model import tiny_chat_model
from tests.model.families import config_of, random_folder

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel does not tell")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = random_folder(tmp_path_factory.mktemp("m") / "hf", config_of("gemma3", sliding_window=64))
    return describe(folder).memory(512, 2, "native")


def taken(plan, **changes):
    found = {
        "ops": "native/1",
        "program_bytes": 70_000_000,
        "weights_bytes": plan.weights_bytes - plan.mapped_bytes,
        "load_peak_bytes": plan.load_peak_bytes,
        "kv_bytes": plan.kv_bytes,
        "activations_bytes": plan.activations_bytes,
        "running_bytes": plan.total_bytes - plan.mapped_bytes,
        "looked_up_bytes": 9 << 20,
        "pages": {("all" if k.window is None else str(k.window)): k.kv_bytes // plan.page_bytes for k in plan.kv_kinds},
    }
    return json.loads(json.dumps(found | changes))


def test_every_part_stands_beside_what_was_planned(plan):
    found = compared(plan, taken(plan))
    assert [part["name"] for part in found["parts"]] == [
        *("weights", "peak while loading", "keys and values, window of 64", "keys and values, layers that see all"),
        *("keys and values", "activations", "all of it, loaded"),
    ]
    assert {part["ratio"] for part in found["parts"]} == {1}
    assert found["as_planned"]
    assert "not as planned" not in "\n".join(_measured(found))
    assert "every part is within 20% or 8 MiB of the plan" in _measured(found)[-1]


def test_a_part_that_is_not_as_planned_is_said_plainly(plan):
    large = replace(plan, weights_bytes=100 << 20, mapped_bytes=0)
    found = compared(large, taken(large, weights_bytes=125 << 20))
    assert [part["name"] for part in found["parts"] if not part["as_planned"]] == ["weights"]
    text = _measured(found)
    assert next(line for line in text if "weights" in line).endswith("1.25  not as planned")
    assert "THE PLAN IS WRONG HERE" in text[-1]
    assert compared(large, taken(large, weights_bytes=119 << 20))["as_planned"]


def test_little_is_compared_in_bytes_and_not_by_ratio(plan):
    assert compared(plan, taken(plan, activations_bytes=plan.activations_bytes + (8 << 20)))["as_planned"]
    assert not compared(plan, taken(plan, activations_bytes=plan.activations_bytes + (8 << 20) + 1))["as_planned"]


def test_a_system_that_does_not_tell_what_a_process_holds_is_named(plan, monkeypatch, tmp_path):
    monkeypatch.setattr(memory_check, "_ROLLUP", tmp_path / "absent")
    with pytest.raises(UnsupportedError, match="cannot be read on this system"):
        measure_memory(plan, Asked(path="m", adapters=(), ops="numpy", context=64, sequences=1))


def test_what_is_measured_is_what_was_asked_for(tmp_path, monkeypatch):
    path, asked = tiny_chat_model(tmp_path / "tiny.gguf"), []
    monkeypatch.setattr(inspection, "measure_memory", lambda plan, what: asked.append((plan, what)))
    inspect(str(path), measure=True, sequences=3)
    ((plan, what),) = asked
    assert (what.path, what.adapters, what.context, what.sequences) == (str(path), (), 2048, 3)
    assert (plan.context, plan.sequences) == (2048, 3)
    for context in (1, 8193):
        with pytest.raises(UsageError, match="so many positions"):
            inspect(str(path), measure=True, context=context)


def test_windows_shared_by_many_sequences_add_one_step_and_not_one_each(plan, tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("gemma3", sliding_window=64, max_position_embeddings=4096))
    one, many = (
        next(kind for kind in describe(folder).memory(4096, n, "native").kv_kinds if kind.window).kv_bytes
        for n in (1, 16)
    )
    assert many < 5 * one


@pytest.mark.parametrize(("context", "sequences"), [(2048, 1), (2048, 8), (512, 24), (64, 2), (4096, 16)])
def test_all_sequences_are_there_at_once(context, sequences):
    """Steps alone are counted: whoever is read first still writes when the last one begins to."""
    written = tokens_written(context, sequences)
    left, ages = [context - written] * sequences, [0] * sequences
    while left[-1] > 0:
        rows = STEP_ROWS - sum(age > 0 for age in ages)
        ages = [age + (age > 0) for age in ages]
        for number in range(sequences):
            read = min(rows, left[number])
            rows, left[number] = rows - read, left[number] - read
            ages[number] = ages[number] or int(left[number] <= 0)
    assert ages[0] < written < context


# Held against real memory; seconds each


def with_tokenizer(folder, tmp_path):
    """Give a random model the vocabulary of the tiny one."""
    convert(str(tiny_chat_model(tmp_path / "tiny.gguf")), tmp_path / "tiny")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tmp_path / "tiny" / name, folder / name)
    return folder


def write_blocks(folder, config):
    """gpt-oss as it is released: experts in MXFP4, all else in BF16; random bytes that stand for small numbers."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    rng, entries, blobs, at = np.random.default_rng(0), {}, [], 0
    dim, ffn, experts = config["hidden_size"], config["intermediate_size"], config["num_local_experts"]
    heads, kv = (config[n] * config["head_dim"] for n in ("num_attention_heads", "num_key_value_heads"))

    def add(name, shape, dtype="BF16"):
        nonlocal at
        n_bytes = int(np.prod(shape)) * (2 if dtype == "BF16" else 1)
        # Exponents near 2**-9 as bfloat16, and near 2**-7 as scales of blocks.
        data = rng.integers(0, 256, n_bytes, np.uint8) if name.endswith("_blocks") else np.full(n_bytes, 120, np.uint8)
        if dtype == "BF16":
            data = np.tile(np.array([0, 0x3B], np.uint8), n_bytes // 2)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + n_bytes]}
        blobs.append(data.tobytes())
        at += n_bytes

    for name in ("model.embed_tokens", "lm_head"):
        add(f"{name}.weight", (config["vocab_size"], dim))
    add("model.norm.weight", (dim,))
    for layer in range(config["num_hidden_layers"]):
        at_layer = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            add(f"{at_layer}.{name}.weight", (dim,))
        for name, rows, columns in (("q", heads, dim), ("k", kv, dim), ("v", kv, dim), ("o", dim, heads)):
            add(f"{at_layer}.self_attn.{name}_proj.weight", (rows, columns))
            add(f"{at_layer}.self_attn.{name}_proj.bias", (rows,))
        add(f"{at_layer}.self_attn.sinks", (config["num_attention_heads"],))
        add(f"{at_layer}.mlp.router.weight", (experts, dim))
        add(f"{at_layer}.mlp.router.bias", (experts,))
        for name, rows, columns in (("gate_up_proj", 2 * ffn, dim), ("down_proj", dim, ffn)):
            add(f"{at_layer}.mlp.experts.{name}_blocks", (experts, rows, columns // 32, 16), "U8")
            add(f"{at_layer}.mlp.experts.{name}_scales", (experts, rows, columns // 32), "U8")
            add(f"{at_layer}.mlp.experts.{name}_bias", (experts, rows))
    header = json.dumps(entries).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"".join(blobs))
    return folder


def gemma3_shaped(tmp_path, vocab_size):
    """Gemma 3 1B's width and windows, six of its layers."""
    config = config_of(
        "gemma3",
        **{"hidden_size": 1152, "intermediate_size": 6912, "num_key_value_heads": 1, "head_dim": 256},
        **{"num_hidden_layers": 6, "sliding_window": 512, "max_position_embeddings": 32768, "vocab_size": vocab_size},
    )
    return random_folder(tmp_path / "gemma3", config, kind="BF16")


def gpt_oss_shaped(tmp_path, vocab_size):
    """gpt-oss's width, heads and windows; two of its layers, eight of its experts."""
    config = config_of(
        "gpt-oss",
        **{"hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64, "num_key_value_heads": 8},
        **{"head_dim": 64, "num_hidden_layers": 2, "sliding_window": 128, "max_position_embeddings": 131072},
        **{"num_local_experts": 8, "num_experts_per_tok": 4, "vocab_size": vocab_size},
        quantization_config={"quant_method": "mxfp4"},
    )
    return write_blocks(tmp_path / "gpt-oss", config)


def llama_shaped(tmp_path, vocab_size):
    """Llama 8B's width, two of its layers."""
    config = config_of(
        "llama",
        **{"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8},
        **{"num_hidden_layers": 2, "max_position_embeddings": 8192, "vocab_size": vocab_size},
    )
    return random_folder(tmp_path / "llama", config, kind="BF16")


@ON_LINUX
@pytest.mark.slow
def test_a_model_in_blocks_of_real_width_takes_what_is_planned(tmp_path):
    """Its activations are laid out as int8, a third of what floats take."""
    tiny = describe(tiny_chat_model(tmp_path / "size.gguf"))
    folder = with_tokenizer(llama_shaped(tmp_path, tiny.config.vocab_size), tmp_path)
    convert(str(folder), tmp_path / "q8.gguf", Wish(type_=TensorType.Q8_0))
    found = inspect(str(tmp_path / "q8.gguf"), context=1024, sequences=2, measure=True)["memory"]["measured"]
    assert found["as_planned"], found["parts"]


@ON_LINUX
@pytest.mark.slow
@pytest.mark.parametrize("make", [gemma3_shaped, gpt_oss_shaped])
def test_random_models_of_real_width_take_what_is_planned(make, tmp_path):
    tiny = describe(tiny_chat_model(tmp_path / "size.gguf"))
    folder = with_tokenizer(make(tmp_path, tiny.config.vocab_size), tmp_path)
    found = inspect(str(folder), context=1024, sequences=2, measure=True)["memory"]["measured"]
    assert found["as_planned"], found["parts"]


@ON_LINUX
@pytest.mark.slow
@pytest.mark.parametrize("ops", ["native", "numpy"])
def test_the_default_model_takes_what_is_planned(default_model, ops, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_OPS", ops)
    found = inspect(str(default_model), context=128, sequences=2, measure=True)["memory"]["measured"]
    assert found["ops"].startswith(ops)
    assert found["as_planned"], found["parts"]


@ON_LINUX
@pytest.mark.slow
def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(EngineError, match="in a process of its own") as caught:
        measure_memory(None, Asked(path=str(tmp_path / "no"), adapters=(), ops="numpy", context=64, sequences=1))
    assert caught.value.found
