"""What comes of any config, any metadata, any damage to experts? A model or one error, and nothing else."""

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

from greenlight.errors import GreenlightError
from greenlight.formats.gguf import GGUFFile
from greenlight.formats.jsonfile import parse_json
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.checkpoint import gguf_checkpoint
from greenlight.model.families import family_of_model_type
from greenlight.model.fields import Fields
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from tests.builders import all_logits
from tests.model.in_memory import CONFIGS, HELD, ZEROS, opened, zeros

NUMPY = select_ops("numpy")


# Any config.json

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
