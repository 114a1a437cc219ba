"""GGUF files of Gemma 4 as others write them, and what of them is refused."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.formats.gguf import GGUFFile
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.alike import differences
from greenlight.model.checkpoint import gguf_checkpoint
from greenlight.model.families.gemma4 import GEMMA4
from greenlight.model.fields import Fields
from greenlight.model.rope import FactorScaling, LinearScaling, PartialScaling
from tests.model.families import config_of


def tensor(name, *shape, values=None):
    data = np.zeros(shape, "<f4") if values is None else np.asarray(values, "<f4")
    return Tensor(name, TensorType.F32, data.shape, data.view(np.uint8).reshape(-1))


def file_of(case, keys=None, tensors=None, **changes):
    """A file of that model, some keys and tensors changed; None takes one away."""
    config = GEMMA4.config_from_hf(Fields("test", config_of(case, **changes)))
    there = {GEMMA4.gguf_name(name): tensor(name, *shape) for name, shape in GEMMA4.shapes(config).items()}
    there |= {name: tensor(name, values=values) for name, values in GEMMA4.gguf_more(config).items()}
    metadata = GEMMA4.gguf_metadata(config) | {f"gemma4.{key}": value for key, value in (keys or {}).items()}
    return GGUFFile(
        path=Path("m.gguf"),
        version=3,
        alignment=32,
        size=1,
        metadata={key: np.array(v) if isinstance(v, list) else v for key, v in metadata.items() if v is not None},
        tensors={name: part for name, part in (there | (tensors or {})).items() if part is not None},
    )


def test_keys_and_values_that_nothing_reads_are_left_out():
    """llama.cpp's converter writes what the folders on the hub hold: layers that share keys have some all the same."""
    file = file_of("gemma4 by layer")
    unread = {f"blk.4.attn_{name}.weight": tensor(name, 48, 64) for name in ("k", "v")}
    unread["blk.4.attn_k_norm.weight"] = tensor("k_norm", 24)
    opened = gguf_checkpoint(replace(file, tensors=file.tensors | unread))
    assert opened.tensors.keys() == gguf_checkpoint(file).tensors.keys()
    assert "model.layers.2.self_attn.k_proj.weight" in opened
    assert "model.layers.4.self_attn.k_proj.weight" not in opened


def test_a_file_that_is_silent_on_the_bound_of_logits_has_30():
    assert gguf_checkpoint(file_of("gemma4")).config.final_softcap is None
    assert gguf_checkpoint(file_of("gemma4", {"final_logit_softcapping": None})).config.final_softcap == 30.0


def test_layers_without_a_scale_of_their_own_are_not_scaled():
    gone = dict.fromkeys(f"blk.{layer}.layer_output_scale.weight" for layer in range(4))
    assert not gguf_checkpoint(file_of("gemma4", tensors=gone)).config.layer_scales


@pytest.mark.parametrize("n", [0, 1, 3, 5, 11, 15])
def test_the_share_that_turns_is_read_from_the_factors(n):
    factors = tensor("rope_freqs.weight", values=[2.0] * n + [1e30] * (16 - n))
    scaling = gguf_checkpoint(file_of("gemma4", tensors={"rope_freqs.weight": factors})).config.rope.scaling
    assert isinstance(scaling, PartialScaling)
    assert math.floor(scaling.share * 32 // 2) == n
    assert scaling.factor == (2.0 if n else 1.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0] * 16, None),
        ([4.0] * 16, LinearScaling(factor=4.0)),
        ([1.0, 2.0] * 8, FactorScaling(factors=(1.0, 2.0) * 8)),
        ([1e30, *[1.0] * 15], FactorScaling(factors=(float(np.float32(1e30)), *[1.0] * 15))),
    ],
)
def test_factors_that_are_no_share_are_kept_as_they_are(values, expected):
    factors = tensor("rope_freqs.weight", values=values)
    opened = gguf_checkpoint(file_of("gemma4", tensors={"rope_freqs.weight": factors}))
    assert opened.config.rope.scaling == expected


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"expert_count": 128}, "26B-A4B is not run"),
        ({"attention.key_length_swa": None}, "a field is missing"),
        ({"attention.value_length": 8}, "value_length"),
        ({"rope.dimension_count_swa": None}, "a field is missing"),
        ({"attention.sliding_window": None}, "a field is missing"),
        ({"attention.sliding_window_pattern": None}, "a field is missing"),
        ({"attention.sliding_window_pattern": 6}, "impossible value"),
        ({"attention.head_count_kv": [2, 1, 2]}, "impossible value"),
        ({"attention.head_count_kv": [2, 1, 1, 1]}, "one kind differ in attention.head_count_kv"),
        ({"feed_forward_length": [96, 96, 96, 48]}, "one kind differ in feed_forward_length"),
        ({"feed_forward_length": [96, 96, 96, 0]}, "impossible value"),
        ({"attention.shared_kv_layers": 4}, "impossible value"),
        ({"attention.shared_kv_layers": 3}, "there is none"),
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 2.0}, "another way of stretching"),
        ({"attention.logit_scale": 2.0}, "not known in this family"),
    ],
)
def test_keys_that_say_something_else_are_refused_by_name(keys, match):
    with pytest.raises(GreenlightError, match=match) as caught:
        gguf_checkpoint(file_of("gemma4", keys))
    assert caught.value.found or caught.value.where


def test_shared_keys_of_the_other_kind_are_refused():
    """llama.cpp takes them from the last layer with keys of its own, or from the one before, whatever these see."""
    local = [True, True, False, True, False]
    keys = {"attention.shared_kv_layers": 1, "feed_forward_length": 96, "attention.sliding_window_pattern": local}
    with pytest.raises(UnsupportedError, match="layer 4 would read"):
        gguf_checkpoint(file_of("gemma4 by layer", keys))


@pytest.mark.parametrize(
    ("tensors", "kind", "match"),
    [
        ({"rope_freqs.weight": None}, FormatError, "positions are missing"),
        ({"rope_freqs.weight": tensor("", values=[1.0] * 8)}, FormatError, "do not fit the heads"),
        ({"rope_freqs.weight": tensor("", values=[0.0] * 16)}, GreenlightError, "rope_freqs is 0"),
        ({"blk.1.attn_v.weight": tensor("", 32, 64)}, UnsupportedError, "values of their own"),
        ({"blk.0.attn_v.weight": None}, FormatError, "do not match"),
        ({"blk.2.layer_output_scale.weight": None}, FormatError, "do not match"),
        ({"blk.0.attn_q.bias": tensor("", 64)}, FormatError, "do not match"),
    ],
)
def test_tensors_that_fit_no_gemma_4_are_refused(tensors, kind, match):
    with pytest.raises(kind, match=match):
        gguf_checkpoint(file_of("gemma4", tensors=tensors))


@pytest.mark.parametrize("name", ["E2B", "E4B", "12B", "31B"])
def test_the_facts_of_released_models_survive_as_keys(name):
    released = tomllib.loads((Path(__file__).parents[2] / "docs/released.toml").read_text())["model"]
    (entry,) = (model for model in released if model["name"] == f"Gemma 4 {name}, text part")
    config = GEMMA4.config_from_hf(Fields("test", entry["config"]["text_config"]))
    there = {GEMMA4.gguf_name(name): tensor(name, 1) for name in GEMMA4.shapes(config)}
    there |= {name: tensor(name, values=values) for name, values in GEMMA4.gguf_more(config).items()}
    keys = {key: np.array(v) if isinstance(v, list) else v for key, v in GEMMA4.gguf_metadata(config).items()}
    again = GEMMA4.config_from_gguf(Fields("test", keys, prefix="gemma4."), there)
    assert differences(config, again) == {}
    facts = GEMMA4.hf_config(again)
    assert differences(config, GEMMA4.config_from_hf(Fields("test", facts))) == {}
    assert facts["rope_parameters"]["full_attention"]["partial_rotary_factor"] == 0.25
