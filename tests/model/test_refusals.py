"""Bad inputs, each by name: what is wrong, where, what was found, what was expected, what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.families import FAMILIES
from greenlight.model.families.refused import REFUSED
from greenlight.text import Tokenizer
from tests.builders import (
    gguf_metadata,
    llama_config,
    llama_weights,
    write_gguf,
    write_llama_folder,
    write_llama_gguf,
    write_safetensors,
)
from tests.model.in_memory import CONFIGS, HELD, TINY, opened, zeros
from tests.text.vocabularies import folder as vocabulary_folder

CONFIG = llama_config()
WEIGHTS = llama_weights(CONFIG, np.random.default_rng(0))


def refusal(path):
    """The one error, whole: it says where, what was found and what to do."""
    with pytest.raises(GreenlightError) as caught:
        open_checkpoint(path)
    error = caught.value
    assert error.where
    assert error.found
    assert error.do
    return error


def sharded(path, parts, index=None, config=CONFIG):
    """A folder of shards, and an index of them or of what is said instead."""
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05}-of-{len(parts):05}.safetensors"
        write_safetensors(path / file, part)
        weight_map |= dict.fromkeys(part, file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index or weight_map}))
    return path


def halves(weights=WEIGHTS):
    names = list(weights)
    return [{name: weights[name] for name in part} for part in (names[:9], names[9:])]


@pytest.mark.parametrize(("design", "name"), [(design, name) for design in REFUSED for name in design.names])
def test_a_design_that_is_known_and_not_run_is_refused_with_its_reason(tmp_path, design, name):
    folder = write_llama_folder(tmp_path / "m", {"model_type": name}, {})
    file = write_gguf(tmp_path / "m.gguf", {"general.architecture": name}, {})
    for path in (folder, file):
        error = refusal(path)
        assert isinstance(error, UnsupportedError)
        assert error.what == f"{design.name} is not run here ({name})"
        assert error.found == f"{name}: {design.why}"
        assert error.do == design.do


def test_what_runs_is_not_refused():
    runs = {name for family in FAMILIES for name in (*family.hf_model_types, *family.gguf_architectures)}
    refused = [name for design in REFUSED for name in design.names]
    assert len(refused) == len(set(refused))
    assert not runs & set(refused)


@pytest.mark.parametrize("name", ["mamba", "gpt2", "", "LLAMA", "llama5"])
def test_a_design_that_nobody_told_us_of_is_refused_with_what_runs(tmp_path, name):
    error = refusal(write_llama_folder(tmp_path / "m", {"model_type": name}, {}))
    assert isinstance(error, UnsupportedError)
    assert error.found.startswith(f"{name}; supported: llama, mistral")


def test_a_missing_shard_is_named_and_counted(tmp_path):
    folder = sharded(tmp_path / "m", halves())
    (folder / "model-00002-of-00002.safetensors").unlink()
    error = refusal(folder)
    assert error.what == "a file of weights is missing"
    assert error.where.endswith("model-00002-of-00002.safetensors")
    assert "1 of the 2 files" in error.found


def test_a_tensor_of_another_shape_is_named_with_the_file_that_holds_it(tmp_path):
    wrong = WEIGHTS | {"model.layers.1.self_attn.q_proj.weight": np.zeros((32, 64), np.float32)}
    error = refusal(sharded(tmp_path / "m", halves(wrong)))
    assert error.where.endswith("model-00002-of-00002.safetensors, model.layers.1.self_attn.q_proj.weight")
    assert error.found == "(32, 64), expected (64, 64)"


@pytest.mark.parametrize("dtype", ["I64", "F64", "F8_E5M2", "BOOL"])
def test_a_tensor_of_a_type_that_is_no_weight_is_named_with_the_types_that_are(tmp_path, dtype):
    folder = write_llama_folder(tmp_path / "m", CONFIG, {})
    header = json.dumps({"model.norm.weight": {"dtype": dtype, "shape": [1], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    error = refusal(folder)
    assert error.where.endswith("model.safetensors, model.norm.weight")
    assert dtype in error.what
    assert "F32" in error.found


def test_bytes_where_a_weight_should_be_are_named(tmp_path):
    folder = write_llama_folder(tmp_path / "m", CONFIG, WEIGHTS)
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    entry = header["model.norm.weight"]
    start, end = entry["data_offsets"]
    header["model.norm.weight"] = entry | {"dtype": "U8", "shape": [end - start]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    error = refusal(folder)
    assert error.where.endswith("model.norm.weight")


def test_a_config_that_contradicts_the_weights_names_the_tensor_that_shows_it(tmp_path):
    error = refusal(write_llama_folder(tmp_path / "m", CONFIG | {"hidden_size": 128}, WEIGHTS))
    assert error.what == "weights do not match the config"
    assert error.where.endswith("model.safetensors, model.embed_tokens.weight")
    assert error.found == "(97, 64), expected (97, 128)"


def test_a_config_of_more_layers_than_there_are_names_what_is_missing(tmp_path):
    error = refusal(write_llama_folder(tmp_path / "m", CONFIG | {"num_hidden_layers": 3}, WEIGHTS))
    assert error.found.startswith("missing: model.layers.2.input_layernorm.weight")
    assert error.found.endswith("5 more")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"num_key_value_heads": 3}, "query heads cannot be shared out among kv heads"),
        ({"head_dim": 15}, "head_dim is 15"),
        ({"rms_norm_eps": 0}, "norm_eps is 0.0"),
        ({"model_type": None}, "the config does not say what model it is"),
    ],
)
def test_a_config_that_contradicts_itself_is_named(tmp_path, changes, what):
    error = refusal(write_llama_folder(tmp_path / "m", CONFIG | changes, WEIGHTS))
    assert error.what.startswith(what)
    assert error.where.startswith(str(tmp_path / "m/config.json"))


def test_a_pattern_of_windows_beside_other_kinds_of_layers_is_refused():
    config = CONFIGS["gemma3_text"] | {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}
    opened(config | {"sliding_window_pattern": 2}, HELD["gemma3_text"])
    with pytest.raises(FormatError, match="contradict each other"):
        opened(config | {"sliding_window_pattern": 3}, HELD["gemma3_text"])


@pytest.mark.parametrize("kind", [[], {}, ["sliding_attention"], 1, None])
def test_a_kind_of_layer_that_is_no_word_is_refused(kind):
    with pytest.raises(FormatError, match="impossible value"):
        opened(CONFIGS["olmo3"] | {"layer_types": [kind, "full_attention"]}, HELD["olmo3"])


@pytest.mark.parametrize("types", [5, True, "sliding_attention", ["sliding_attention", "full_attention"]])
def test_kinds_of_layers_without_a_window_to_go_with_are_refused(types):
    with pytest.raises(FormatError, match="impossible value"):
        opened(CONFIGS["qwen3"] | {"layer_types": types}, HELD["qwen3"])


@pytest.mark.parametrize("spelled", ["00", "٠", "+0", "9" * 5000, "-1", "3"])
@pytest.mark.parametrize(("name", "expert"), [("mixtral", ".experts.0.w1."), ("qwen3_moe", ".experts.0.up_proj.")])
def test_an_expert_has_one_spelling(name, expert, spelled):
    """Beside experts.0, experts.00 would be the same expert twice."""
    tensors = dict(HELD[name])
    first = next(tensor for tensor in tensors if expert in tensor)
    other = first.replace(".experts.0.", f".experts.{spelled}.")
    with pytest.raises(FormatError, match="do not match"):
        opened(CONFIGS[name], tensors | {other: zeros(other, tensors[first].shape)})
    with pytest.raises(FormatError, match="do not match"):
        opened(CONFIGS[name], {other if tensor == first else tensor: value for tensor, value in tensors.items()})


@pytest.mark.parametrize("name", ["mistral", "qwen2", "gemma2", "mixtral"])
def test_angles_that_old_checkpoints_keep_are_skipped_as_transformers_does(name):
    extra = "model.layers.0.self_attn.rotary_emb.inv_freq"
    assert extra not in opened(CONFIGS[name], HELD[name] | {extra: zeros(extra, (2,))})


def test_how_products_were_cut_up_in_training_changes_nothing():
    checkpoint = opened(TINY | {"pretraining_tp": 2}, HELD["llama"])
    assert checkpoint.unread == ()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "m.gguf"])
def test_what_git_left_in_a_large_files_place_is_told_from_a_damaged_file(tmp_path, file):
    folder = vocabulary_folder(write_llama_folder(tmp_path, CONFIG, WEIGHTS))
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")
    opened_by = Tokenizer.from_folder if file == "tokenizer.json" else open_checkpoint
    with pytest.raises(FormatError, match="was not fetched") as caught:
        opened_by(folder / file if file.endswith(".gguf") else folder)
    assert caught.value.where == str(folder / file)
    assert "git lfs pull" in caught.value.do


@pytest.mark.parametrize(
    ("file", "do"),
    [("tiny.gguf", "name the file itself"), ("adapter_config.json", "MODEL+"), ("notes.txt", "name the folder that")],
)
def test_a_folder_that_holds_no_model_is_told_by_what_it_holds(tmp_path, file, do):
    (tmp_path / file).write_text("{}")
    error = refusal(tmp_path)
    assert error.found == file
    assert error.do.startswith(do) or do in error.do


def test_files_of_two_models_in_one_folder_are_refused(tmp_path):
    folder = sharded(tmp_path / "m", halves())
    write_safetensors(folder / "model.safetensors", WEIGHTS)
    error = refusal(folder)
    assert error.what == "the folder has two sets of weights"
    assert "model.safetensors" in error.do


def test_a_shard_of_another_model_is_found_by_its_tensors(tmp_path):
    folder, other = sharded(tmp_path / "m", halves()), sharded(tmp_path / "other", halves()[::-1])
    name = "model-00001-of-00002.safetensors"
    (folder / name).write_bytes((other / name).read_bytes())
    error = refusal(folder)
    assert error.what == "a shard and the weight index disagree"
    assert name in error.where


def test_a_shard_of_another_size_of_model_is_found_by_its_shapes(tmp_path):
    bigger = llama_weights(CONFIG | {"intermediate_size": 128}, np.random.default_rng(1))
    error = refusal(sharded(tmp_path / "m", [halves()[0], halves(bigger)[1]]))
    assert "model-00002-of-00002.safetensors" in error.where
    assert "128" in error.found


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "su", "mrope"])
def test_an_unknown_way_of_stretching_positions_is_named(tmp_path, kind):
    config = CONFIG | {"rope_scaling": {"rope_type": kind, "factor": 2.0}}
    error = refusal(write_llama_folder(tmp_path / "m", config, WEIGHTS))
    assert error.what == f"rope type {kind!r} is not supported"
    assert "supported are default, linear, llama3 and yarn" in error.found
    assert "config.json" in error.where


def test_a_gguf_file_of_another_shape_names_file_tensor_and_both_shapes(tmp_path):
    tensors = {"token_embd.weight": ("F32", np.zeros((97, 32), np.float32))}
    path = write_gguf(tmp_path / "m.gguf", gguf_metadata(CONFIG, {"rope_theta": 1e4}), tensors)
    with pytest.raises(FormatError, match="do not match") as caught:
        open_checkpoint(path)
    assert str(path) in caught.value.where
    assert caught.value.do


def test_factors_of_angles_that_do_not_fit_the_heads_are_found_before_anything_is_packed(tmp_path):
    path = write_llama_gguf(tmp_path / "m.gguf", CONFIG, WEIGHTS, "F32", rope_freqs=np.ones(3, np.float32))
    error = refusal(path)
    assert error.what == "rope_freqs does not fit the heads"
    assert error.where == str(path)


def test_a_length_beyond_the_kernels_counters_says_how_much_is_allowed(tmp_path):
    error = refusal(write_llama_folder(tmp_path / "m", CONFIG | {"max_position_embeddings": 2**32 - 1}, WEIGHTS))
    assert error.found == "4294967295, expected a whole number of 1 to 2,147,483,647"
