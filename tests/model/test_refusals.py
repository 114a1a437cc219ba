"""Bad inputs, each by name: what is wrong, where, what was found, what was expected, what to do."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.formats.gguf import GGUFFile
from greenlight.formats.jsonfile import parse_json
from greenlight.formats.safetensors import SafetensorsFolder
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.checkpoint import folder_checkpoint, gguf_checkpoint, open_checkpoint
from greenlight.model.families import FAMILIES, family_of_model_type
from greenlight.model.families.refused import REFUSED
from greenlight.model.fields import Fields
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from greenlight.text import Tokenizer
from tests.builders import (
    all_logits,
    gguf_metadata,
    llama_config,
    llama_weights,
    write_gguf,
    write_llama_folder,
    write_llama_gguf,
    write_safetensors,
)
from tests.text.vocabularies import folder as vocabulary_folder

NUMPY = select_ops("numpy")
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


# Any config.json

TINY = llama_config(
    hidden_size=8, intermediate_size=6, num_attention_heads=2, num_key_value_heads=1, head_dim=4, vocab_size=5
)
EXPERTS = {"num_local_experts": 3, "num_experts_per_tok": 2, "attention_bias": True}
GEMMA4 = {
    **{"model_type": "gemma4_text", "layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 6},
    **{"hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 5, "attention_k_eq_v": True},
    **{"num_global_key_value_heads": 2, "tie_word_embeddings": True},
}
MXFP4 = {"quantization_config": {"quant_method": "mxfp4"}}
CONFIGS = {
    "llama": TINY,
    "mistral": TINY | {"model_type": "mistral", "sliding_window": 8},
    "ministral": TINY | {"model_type": "ministral", "layer_types": ["sliding_attention", "full_attention"]},
    "ministral3": TINY | {"model_type": "ministral3"},
    "qwen2": TINY | {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": TINY | {"model_type": "qwen3"},
    "olmo2": TINY | {"model_type": "olmo2"},
    "olmo3": TINY | {"model_type": "olmo3", "layer_types": ["sliding_attention", "full_attention"]},
    "gemma": TINY | {"model_type": "gemma", "hidden_act": "gelu"},
    "gemma2": TINY | {"model_type": "gemma2", "hidden_act": None, "query_pre_attn_scalar": 4},
    "gemma3_text": TINY | {"model_type": "gemma3_text", "hidden_act": None, "rope_parameters": {}},
    "gemma3": {"model_type": "gemma3", "text_config": TINY | {"model_type": "gemma3_text"}, "vision_config": {}},
    "gemma4_text": TINY | GEMMA4,
    "gemma4": {"model_type": "gemma4", "text_config": TINY | GEMMA4, "vision_config": {}},
    "gemma4_unified": {
        "model_type": "gemma4_unified",
        "text_config": TINY | GEMMA4 | {"model_type": "gemma4_unified_text", "hidden_size_per_layer_input": 0},
    },
    "mistral3": {"model_type": "mistral3", "text_config": TINY | {"model_type": "mistral"}},
    "mixtral": TINY | {"model_type": "mixtral", "sliding_window": 8} | EXPERTS,
    "qwen3_moe": TINY | {"model_type": "qwen3_moe", "moe_intermediate_size": 6, "num_experts": 3} | EXPERTS,
    "gpt_oss": TINY | {"model_type": "gpt_oss", "sliding_window": 8} | EXPERTS,
    "gpt_oss mxfp4": TINY | {"model_type": "gpt_oss", "hidden_size": 32, "intermediate_size": 32} | EXPERTS | MXFP4,
}
FIELDS = sorted(
    {name for config in CONFIGS.values() for name in config}
    | {"rope_scaling", "rope_parameters", "attn_logit_softcapping", "final_logit_softcapping", "sliding_window_pattern"}
    | {"experts_per_token", "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers", "swiglu_limit", "layer_types"}
    | {"num_kv_shared_layers", "use_double_wide_mlp", "per_layer_config", "enable_moe_block", "global_head_dim"}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.sampled_from([0, 2**31, 2**63, 10**30, 10**400, -1, 0.5, 1e-320, 1e308, -0.0]),
    st.sampled_from(["", "silu", "yarn", "linear", "full_attention", "64"]),
)
PARAMETERS = (
    *("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "rope_theta"),
    *("beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor", "truncate"),
    "partial_rotary_factor",
)
ROPES = st.fixed_dictionaries(
    {"rope_type": st.sampled_from(["default", "linear", "llama3", "yarn", "proportional", "longrope"])},
    optional=dict.fromkeys(PARAMETERS, SCALARS),
)
VALUES = st.one_of(
    SCALARS,
    ROPES,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(["full_attention", "sliding_attention", *FIELDS[:9]]), SCALARS | ROPES, max_size=3),
)


def held(config):
    """The tensors that a text model's config promises, all of zeros, as a folder in memory has them."""
    family = family_of_model_type(config["model_type"], "test")
    facts = family.config_from_hf(Fields("test", config))
    found = {}
    for name, shape in family.shapes(facts).items():
        if family.name == "gpt_oss" and ".experts." in name:
            found |= in_gpt_oss(name, shape, packed="quantization_config" in config)
        else:
            parts = family.hf_parts(name, facts) if family.hf_parts else (name,)
            found |= dict.fromkeys(parts, shape if len(parts) == 1 else shape[1:])
    return {name: zeros(name, shape) for name, shape in found.items()}


def in_gpt_oss(name, shape, *, packed):
    """What a folder of gpt-oss calls a part of its experts; gate and up share a tensor, whose rows take turns."""
    name = name.removesuffix(".weight")
    if ".gate_proj" in name:
        return {}
    if ".up_proj" in name:
        name, shape = name.replace("up_proj", "gate_up_proj"), (shape[0], 2 * shape[1], *shape[2:])
    if name.endswith(".bias"):
        return {name.replace(".bias", "_bias"): shape}
    if packed:
        blocks = (*shape[:2], shape[2] // 32)
        return {f"{name}_blocks": (*blocks, 16), f"{name}_scales": blocks}
    return {name: (shape[0], shape[2], shape[1])}


def zeros(name, shape):
    type_ = TensorType.U8 if name.endswith(("_blocks", "_scales")) else TensorType.F32
    return Tensor(name, type_, shape, ZEROS[: type_.block_bytes * math.prod(shape)])


ZEROS = np.zeros(1 << 15, np.uint8)
HELD = {name: held(config.get("text_config", config)) for name, config in CONFIGS.items()}


def opened(config, tensors):
    """A folder in memory, opened."""
    return folder_checkpoint(SafetensorsFolder(path=Path("any"), size=1, config=config, tensors=tensors, homes={}))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_config_gives_a_model_or_one_error(data):
    """Valid configs of every family, some fields changed: nothing but a model or a GreenlightError comes of it."""
    name = data.draw(st.sampled_from(sorted(CONFIGS)))
    config = copy.deepcopy(CONFIGS[name])
    changed = config["text_config"] if "text_config" in config and data.draw(st.booleans()) else config
    for field in data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3)):
        changed[field] = data.draw(VALUES)
    config = parse_json(json.dumps(config).encode(), "test")
    error = None
    try:
        decoder = load_decoder(opened(config, HELD[name]), NUMPY)
    except GreenlightError as caught:
        error = caught
    assert decoder.config.n_layers == 2 if error is None else error.where or error.found or error.do


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_that_are_changed_there_load_as_they_are(name):
    assert np.isfinite(all_logits(load_decoder(opened(CONFIGS[name], HELD[name]), NUMPY), [0, 4, 2])).all()


COUNTS = (
    *("num_hidden_layers", "num_local_experts", "num_experts", "num_experts_per_tok", "hidden_size", "vocab_size"),
    *("sliding_window", "sliding_window_pattern", "max_window_layers", "moe_intermediate_size"),
    *("num_kv_shared_layers", "hidden_size_per_layer_input", "vocab_size_per_layer_input", "global_head_dim"),
)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("count", [2**31, 2**62, 10**30, 10**400])
def test_no_number_in_a_config_makes_a_list_as_long_as_it_says(name, count):
    """Within the memory there is: a count of layers or experts is believed only where tensors bear it out."""
    for field in COUNTS:
        config = copy.deepcopy(CONFIGS[name])
        changed = config.get("text_config", config)
        error = None
        try:
            opened(config | {field: count} if changed is config else config, HELD[name])
            changed[field] = count
            opened(config, HELD[name])
        except GreenlightError as caught:
            error = caught
        assert error is None or error.where or error.found


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


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "gpt_oss", "gpt_oss mxfp4"])
def test_a_part_of_an_expert_that_is_missing_or_of_another_shape_or_type_is_one_error(name):
    """Each tensor of experts taken away, cut, and stored otherwise, in turn."""
    for tensor in [tensor for tensor in HELD[name] if ".experts." in tensor]:
        shape = HELD[name][tensor].shape
        other = TensorType.F32 if HELD[name][tensor].type is TensorType.U8 else TensorType.U8
        damaged = (
            {},
            {tensor: zeros(tensor, (*shape[:-1], shape[-1] + 1))},
            {tensor: zeros(tensor, shape[1:])},
            {tensor: Tensor(tensor, other, shape, ZEROS[: other.block_bytes * math.prod(shape)])},
        )
        rest = {key: value for key, value in HELD[name].items() if key != tensor}
        for instead in damaged:
            with pytest.raises(GreenlightError) as caught:
                opened(CONFIGS[name], rest | instead)
            assert caught.value.where


# Any metadata of a GGUF file

EXPERT_KEYS = (
    *("expert_count", "expert_used_count", "expert_feed_forward_length", "expert_shared_count", "expert_gating_func"),
    *("expert_weights_norm", "expert_weights_scale", "attention.sliding_window", "attention.sliding_window_pattern"),
    *(
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
        "leading_dense_block_count",
        "attention.shared_kv_layers",
        "feed_forward_length",
    ),
)
ARRAYS = st.one_of(
    st.lists(st.booleans(), max_size=3).map(np.array),
    st.lists(st.integers(-1, 2**31 - 1), max_size=3).map(lambda values: np.array(values, np.int32)),
    st.lists(st.floats(width=32), max_size=3).map(lambda values: np.array(values, np.float32)),
    st.lists(st.text(max_size=3), max_size=3),
)


def as_read(metadata):
    """Lists are arrays, once they were in a file."""
    return {key: np.array(value) if isinstance(value, list) else value for key, value in metadata.items()}


def gguf_of(name):
    """A GGUF file in memory of the same facts, all of zeros."""
    family = family_of_model_type(CONFIGS[name]["model_type"], "test")
    said = {"sliding_window": None, "attention_bias": False, "tie_word_embeddings": family.name.startswith("gemma")}
    facts = family.config_from_hf(Fields("test", CONFIGS[name] | said))
    tensors = {family.gguf_name(tensor): shape for tensor, shape in family.shapes(facts).items()}
    facts_of_pairs = {
        tensor: Tensor(tensor, TensorType.F32, values.shape, values.view(np.uint8))
        for tensor, values in family.gguf_more(facts).items()
    }
    return GGUFFile(
        path=Path("any.gguf"),
        version=3,
        alignment=32,
        size=1,
        metadata=as_read(family.gguf_metadata(facts)),
        tensors={tensor: zeros(tensor, shape) for tensor, shape in tensors.items()} | facts_of_pairs,
    )


FILES = {
    name: gguf_of(name) for name in ("mixtral", "qwen3_moe", "gpt_oss", "olmo2", "gemma2", "gemma3_text", "gemma4_text")
}


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_are_changed_there_load_as_they_are(name):
    assert np.isfinite(all_logits(load_decoder(gguf_checkpoint(FILES[name]), NUMPY), [0, 4, 2])).all()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_metadata_of_any_family_gives_a_model_or_one_error(data):
    name = data.draw(st.sampled_from(sorted(FILES)))
    metadata = dict(FILES[name].metadata)
    architecture = metadata["general.architecture"]
    keys = [*metadata, *(f"{architecture}.{key}" for key in EXPERT_KEYS)]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        metadata[key] = data.draw(SCALARS | ARRAYS)
    tensors = dict(FILES[name].tensors)
    for tensor in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=1)):
        tensors[tensor] = zeros(tensor, data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))))
    error = None
    try:
        decoder = load_decoder(gguf_checkpoint(replace(FILES[name], metadata=metadata, tensors=tensors)), NUMPY)
    except GreenlightError as caught:
        error = caught
    assert decoder.config.n_layers == 2 if error is None else error.where or error.found or error.do
