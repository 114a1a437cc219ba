from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import ConfigError, FormatError, GreenlightError, UnsupportedError
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import describe, load_decoder
from greenlight.ops import select_ops
from tests.builders import (
    all_logits,
    gguf_metadata,
    llama_config,
    llama_weights,
    write_gguf,
    write_llama_folder,
    write_llama_gguf,
)
from tests.gguf_parts import split_gguf
from tests.model.families import config_of, random_folder

NUMPY = select_ops("numpy")
RNG = np.random.default_rng(9)
TOKENS = np.arange(20) * 7 % 97


@pytest.fixture
def config():
    return llama_config()


@pytest.fixture
def weights(config):
    return llama_weights(config, np.random.default_rng(0))


def folder_with(tmp_path, weights, **changes):
    return write_llama_folder(tmp_path / "m", llama_config(**changes), weights)


def assert_near(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_gguf_and_safetensors_of_one_model_are_the_same_model(tmp_path, tied, bias):
    """Rows that GGUF stores in another order are moved whole: every weight is the same, bit for bit."""
    config = llama_config(tie_word_embeddings=tied, attention_bias=bias, mlp_bias=bias)
    weights = llama_weights(config, np.random.default_rng(1))
    folder = write_llama_folder(tmp_path / "hf", config, weights)
    file = write_llama_gguf(tmp_path / "m.gguf", config, weights)
    opened = open_checkpoint(file)
    assert opened.keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(dequantize(opened[name]), values, name)
    ours, theirs = load_decoder(file, NUMPY), load_decoder(folder, NUMPY)
    assert ours.config.tied_head is theirs.config.tied_head is tied
    assert_near(all_logits(ours, TOKENS), all_logits(theirs, TOKENS))


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1", "Q4_0"])
def test_every_type_of_weight_computes_with_the_values_it_stands_for(tmp_path, config, weights, kind):
    file = write_llama_gguf(tmp_path / "m.gguf", config, weights, kind)
    wide = {name: dequantize(tensor) for name, tensor in open_checkpoint(file).items()}
    assert any(not np.array_equal(wide[name], weights[name]) for name in weights)
    folder = write_llama_folder(tmp_path / "hf", config, wide)
    assert_near(all_logits(load_decoder(file, NUMPY), TOKENS), all_logits(load_decoder(folder, NUMPY), TOKENS))


def test_layers_may_mix_types(tmp_path, config, weights):
    """A quantiser may keep v in a finer type than q and k, which are stacked with it."""
    file = read_gguf(write_llama_gguf(tmp_path / "m.gguf", config, weights, "Q8_0"))
    tensors = {name: (tensor.type.name, dequantize(tensor)) for name, tensor in file.tensors.items()}
    tensors["blk.0.attn_v.weight"] = ("F16", tensors["blk.0.attn_v.weight"][1])
    mixed = write_gguf(tmp_path / "mixed.gguf", gguf_metadata(config, {"rope_theta": 1e4}), tensors)
    wide = {name: dequantize(tensor) for name, tensor in open_checkpoint(mixed).items()}
    folder = write_llama_folder(tmp_path / "hf", config, wide)
    assert_near(all_logits(load_decoder(mixed, NUMPY), TOKENS), all_logits(load_decoder(folder, NUMPY), TOKENS))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model_type": "sphinx"}, "family 'sphinx'"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantiser packed"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"num_local_experts": 8}, "num_local_experts"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ({"residual_multiplier": 0.2}, "residual_multiplier"),
    ],
)
def test_a_config_that_computes_something_else_is_refused_by_name(tmp_path, weights, changes, match):
    with pytest.raises(UnsupportedError, match=match) as caught:
        load_decoder(folder_with(tmp_path, weights, **changes), NUMPY)
    assert "config.json" in caught.value.where


def test_what_a_quantiser_packed_is_refused_with_its_name_and_what_to_take(tmp_path, weights):
    with pytest.raises(UnsupportedError, match="quantiser packed") as caught:
        open_checkpoint(folder_with(tmp_path, weights, quantization_config={"quant_method": "awq", "bits": 4}))
    assert caught.value.found == "awq"
    assert "BF16" in caught.value.do
    assert open_checkpoint(folder_with(tmp_path / "plain", weights, quantization_config=False)).config.n_layers == 2


def test_a_refusal_names_what_is_supported(tmp_path, weights):
    with pytest.raises(UnsupportedError) as caught:
        load_decoder(folder_with(tmp_path, weights, model_type="mamba"), NUMPY)
    assert "llama" in caught.value.found


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"num_attention_heads": 0}, FormatError),
        ({"hidden_size": "64"}, FormatError),
        ({"hidden_size": None}, FormatError),
        ({"rms_norm_eps": -1e-5}, ConfigError),
        ({"head_dim": 15}, ConfigError),
        ({"num_key_value_heads": 3}, ConfigError),
        ({"tie_word_embeddings": 1}, FormatError),
        ({"model_type": None}, FormatError),
    ],
)
def test_an_impossible_config_is_one_clear_error(tmp_path, weights, changes, kind):
    config = llama_config(**changes)
    folder = write_llama_folder(tmp_path / "m", config, weights)
    with pytest.raises(kind):
        load_decoder(folder, NUMPY)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path, weights):
    with pytest.raises(FormatError, match="do not match") as caught:
        load_decoder(folder_with(tmp_path, weights, intermediate_size=128), NUMPY)
    assert "mlp.gate_proj.weight" in caught.value.where
    assert caught.value.found == "(96, 64), expected (128, 64)"


def test_missing_and_unexpected_tensors_are_named(tmp_path, weights):
    weights["extra.weight"] = weights.pop("model.norm.weight")
    with pytest.raises(FormatError, match="do not match") as caught:
        load_decoder(folder_with(tmp_path, weights), NUMPY)
    assert caught.value.found == "missing: model.norm.weight; unexpected: extra.weight"


def test_biases_that_the_config_does_not_promise_are_unexpected(tmp_path):
    biased = llama_weights(llama_config(attention_bias=True), np.random.default_rng(0))
    with pytest.raises(FormatError, match="do not match") as caught:
        load_decoder(folder_with(tmp_path, biased), NUMPY)
    assert "self_attn.q_proj.bias" in caught.value.found


def test_stored_rope_tables_of_old_checkpoints_are_skipped(tmp_path, weights):
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    assert load_decoder(folder_with(tmp_path, weights), NUMPY).config.n_layers == 2


def test_a_tied_head_may_be_stored_if_it_is_the_embedding(tmp_path, weights):
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    assert load_decoder(folder_with(tmp_path, weights, tie_word_embeddings=True), NUMPY).config.tied_head


def test_a_tied_head_that_differs_is_refused(tmp_path, weights):
    with pytest.raises(FormatError, match="ties the head"):
        load_decoder(folder_with(tmp_path, weights, tie_word_embeddings=True), NUMPY)


def gguf_with(tmp_path, config, **keys):
    metadata = gguf_metadata(config, {"rope_theta": 1e4}) | keys
    return write_gguf(tmp_path / "m.gguf", {k: v for k, v in metadata.items() if v is not None}, {})


@pytest.mark.parametrize(
    ("keys", "kind", "match"),
    [
        ({"general.architecture": "phi3"}, UnsupportedError, r"Phi is not run here \(phi3\)"),
        ({"general.architecture": None}, FormatError, "does not say what model"),
        ({"llama.expert_shared_count": 1}, UnsupportedError, "llama.expert_shared_count is not known"),
        ({"llama.expert_count": 8}, FormatError, "missing"),
        ({"llama.attention.sliding_window": 512}, UnsupportedError, "sliding_window"),
        ({"llama.attention.scale": 0.5}, UnsupportedError, "llama.attention.scale is not known"),
        ({"llama.rope.dimension_count": 8}, UnsupportedError, "dimension_count"),
        ({"llama.attention.value_length": 32}, UnsupportedError, "value_length"),
        ({"llama.attention.head_count_kv": [2, 1]}, FormatError, "impossible value"),
        ({"llama.block_count": None}, FormatError, "missing"),
        ({"split.count": 3}, FormatError, "one part of a model, and its name does not say which"),
        ({"llama.block_count": -1.5}, FormatError, "impossible value"),
        ({}, FormatError, "do not match"),
    ],
)
def test_gguf_metadata_that_cannot_be_computed_is_refused_by_name(tmp_path, config, keys, kind, match):
    path = gguf_with(tmp_path, config, **keys)
    with pytest.raises(kind, match=match) as caught:
        load_decoder(path, NUMPY)
    assert str(path) in caught.value.where


def test_a_mistral_small_is_read_under_the_name_that_llama_cpp_gives_the_text_part_of_its_wrapper(
    tmp_path, config, weights
):
    """Its converter calls all of Mistral3ForConditionalGeneration mistral3, Small 3.1 without stretching too."""
    path = write_llama_gguf(tmp_path / "m.gguf", config, weights)
    keys = {key.replace("llama.", "mistral3.", 1): value for key, value in read_gguf(path).metadata.items()}
    tensors = {name: (t.type.name, dequantize(t)) for name, t in read_gguf(path).tensors.items()}
    other = write_gguf(tmp_path / "o.gguf", keys | {"general.architecture": "mistral3"}, tensors)
    assert open_checkpoint(other).config.temperature_beta == 0
    np.testing.assert_array_equal(*(all_logits(load_decoder(file, NUMPY), TOKENS) for file in (path, other)))


def test_a_model_in_parts_is_the_model(tmp_path, config, weights):
    path = write_llama_gguf(tmp_path / "m.gguf", config, weights, kind="Q8_0")
    whole = all_logits(load_decoder(path, NUMPY), TOKENS)
    for part in split_gguf(path, 0, 9, len(read_gguf(path).tensors) - 9):
        np.testing.assert_array_equal(all_logits(load_decoder(part, NUMPY), TOKENS), whole)


def test_a_tensor_of_another_shape_names_the_part_that_holds_it(tmp_path, config, weights):
    weights["model.norm.weight"] = np.ones(32, np.float32)
    path = write_llama_gguf(tmp_path / "m.gguf", config, weights)
    places = [place for place, name in enumerate(read_gguf(path).tensors) if name == "output_norm.weight"]
    first, second = split_gguf(path, places[0], len(read_gguf(path).tensors) - places[0])
    with pytest.raises(FormatError, match="do not match") as caught:
        load_decoder(first, NUMPY)
    assert caught.value.where == f"{second}, output_norm.weight"


def test_an_absurd_number_of_layers_does_not_take_memory(tmp_path, config):
    with pytest.raises(GreenlightError):
        load_decoder(gguf_with(tmp_path, config, **{"llama.block_count": 2**32 - 1}), NUMPY)


VALUES = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 1]),
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from(["none", "linear", "yarn", "llama", "", "x"]),
    st.booleans(),
    st.lists(st.integers(0, 3), max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_metadata_gives_a_model_or_one_error(tmp_path_factory, data):
    config = llama_config(num_hidden_layers=1, vocab_size=5)
    path = write_llama_gguf(tmp_path_factory.getbasetemp() / "any.gguf", config, llama_weights(config, RNG))
    file = read_gguf(path)
    metadata = dict(file.metadata)
    names = sorted(metadata) + [f"llama.rope.scaling.{name}" for name in ("type", "factor", "original_context_length")]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        metadata[name] = data.draw(VALUES)
    tensors = {name: (tensor.type.name, dequantize(tensor)) for name, tensor in file.tensors.items()}
    write_gguf(path, metadata, tensors)
    error = None
    try:
        decoder = load_decoder(path, NUMPY)
    except GreenlightError as caught:
        error = caught
    assert error or np.isfinite(decoder.config.norm_eps)


def test_description_counts_parts_types_and_origin(tmp_path, config, weights):
    origin = {"general.base_model.0.name": "Parent", "general.tags": ["a", "b"]}
    facts = describe(write_llama_gguf(tmp_path / "m.gguf", config, weights, "Q8_0", origin))
    assert facts.family == "llama"
    assert facts.n_parameters == sum(values.size for values in weights.values())
    assert {part.name for part in facts.parts} == {"embedding", "head", "attention", "feed-forward", "norms"}
    assert sum(part.n_parameters for part in facts.parts) == facts.n_parameters
    assert facts.types.keys() == {"Q8_0", "F32"}
    assert facts.licence == "apache-2.0"
    assert facts.provenance["general.base_model.0.name"] == "Parent"
    assert facts.provenance["general.tags"] == ["a", "b"]
    assert json.dumps(facts.to_json())


def test_description_of_a_folder_reads_its_card_and_names_unread_fields(tmp_path, weights):
    folder = folder_with(tmp_path, weights, mystery=3, torch_dtype="bfloat16")
    (folder / "README.md").write_text("---\nlicense: llama3.1\nbase_model:\n- a/b\n  - 'c/d'\n---\n# Card\n")
    facts = describe(folder)
    assert facts.licence == "llama3.1"
    assert facts.provenance["base_model"] == ["a/b", "c/d"]
    assert facts.unread == ("mystery",)


def test_a_folder_without_card_has_no_licence(tmp_path, weights):
    facts = describe(folder_with(tmp_path, weights))
    assert facts.licence is None
    assert facts.provenance == {}


def test_an_opened_model_can_be_described_and_loaded_without_reading_it_again(tmp_path, config, weights):
    path = write_llama_gguf(tmp_path / "m.gguf", config, weights, "Q8_0")
    opened = open_checkpoint(path)
    before = {name: dequantize(tensor) for name, tensor in opened.items()}
    path.unlink()
    assert describe(opened).n_parameters == load_decoder(opened, NUMPY).n_parameters
    for name, values in before.items():  # its pages were let go, its bytes were not
        np.testing.assert_array_equal(dequantize(opened[name]), values)


def test_the_memory_plan_adds_up_and_grows_with_context(tmp_path, config, weights):
    path = write_llama_gguf(tmp_path / "m.gguf", config, weights)
    plan = load_decoder(path, NUMPY).memory(context=100, sequences=3)
    assert plan.kv_bytes_per_position == 2 * 2 * 2 * 16 * 4
    assert plan.kv_bytes == plan.kv_bytes_per_position * 128 * 3  # four pages of 32 each
    assert plan.total_bytes == plan.weights_bytes + plan.kv_bytes + plan.activations_bytes
    native = describe(path).memory(100, 3, "native")
    assert native.kv_bytes * 2 == plan.kv_bytes


@pytest.mark.parametrize("ops", ["numpy", "native"])
def test_keys_that_are_values_too_are_packed_twice_and_counted_so(tmp_path, ops):
    alike = {"num_global_key_value_heads": None}
    one, two = (
        describe(random_folder(tmp_path / str(shared), config_of("gemma4", attention_k_eq_v=shared, **alike)))
        for shared in (True, False)
    )
    assert one.n_parameters == two.n_parameters - 2 * (2 * 32 * 64)  # two layers' v projections
    assert one.memory(64, 1, ops) == two.memory(64, 1, ops)


@pytest.mark.parametrize("case", ["llama", "mixtral", "gpt-oss"])
def test_a_token_uses_the_experts_that_it_chooses_and_all_the_rest(tmp_path, case):
    facts = describe(random_folder(tmp_path / "model", config_of(case)))
    experts = 0 if case == "llama" else 4 * 4 * 3 * 64 * 96 + (4 * 4 * (96 + 96 + 64) if case == "gpt-oss" else 0)
    assert facts.n_active_parameters == facts.n_parameters - experts // 2
