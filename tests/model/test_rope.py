from __future__ import annotations

import math

import numpy as np
import pytest

from greenlight.errors import ConfigError, FormatError, UnsupportedError
from greenlight.model.fields import Fields
from greenlight.model.rope import (
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    RopeConfig,
    YarnScaling,
    rope_spec,
    yarn_attention_factor,
)
from greenlight.model.rope_sources import rope_from_gguf, rope_from_hf

LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def angles(scaling=None, head_dim=64, theta=5e5):
    return np.array(rope_spec(RopeConfig(rope_theta=theta, scaling=scaling), head_dim).inv_freq)


def from_hf(max_seq_len=2048, **config):
    return rope_from_hf(Fields("config.json", config), max_seq_len)


def from_gguf(max_seq_len=2048, **keys):
    values = {f"llama.rope.{name.replace('__', '.')}": value for name, value in keys.items()}
    return rope_from_gguf(Fields("m.gguf", values, "llama."), 16, max_seq_len, None)


def test_the_first_pair_turns_a_radian_a_position_and_the_last_hardly():
    plain = angles(head_dim=4, theta=1e4)
    np.testing.assert_allclose(plain, [1.0, 0.01], rtol=1e-7)


def test_linear_divides_every_angle():
    np.testing.assert_allclose(angles(LinearScaling(factor=4)), angles() / 4, rtol=1e-6)


def test_llama3_keeps_short_waves_and_divides_long_ones():
    scaling = Llama3Scaling(factor=8, low_freq_factor=1, high_freq_factor=4, original_max_seq_len=8192)
    ratio = angles() / angles(scaling)
    wave = 2 * math.pi / angles()
    np.testing.assert_allclose(ratio[wave < 8192 / 4], 1, rtol=1e-6)
    np.testing.assert_allclose(ratio[wave > 8192], 8, rtol=1e-6)
    between = ratio[(wave > 8192 / 4) & (wave < 8192)]
    assert len(between)
    assert np.all((between > 1) & (between < 8))
    assert np.all(np.diff(ratio) >= -1e-6)


def test_yarn_keeps_fast_dims_divides_slow_ones_and_sharpens():
    scaling = YarnScaling(factor=16, original_max_seq_len=4096, attention_factor=yarn_attention_factor(16))
    ratio = angles() / angles(scaling)
    assert ratio[0] == 1
    np.testing.assert_allclose(ratio[-1], 16, rtol=1e-6)
    spec = rope_spec(RopeConfig(scaling=scaling), 64)
    assert spec.scale == pytest.approx(0.1 * math.log(16) + 1)


def test_factors_divide_pair_by_pair():
    factors = tuple(float(i + 1) for i in range(32))
    np.testing.assert_allclose(angles(FactorScaling(factors=factors)), angles() / factors, rtol=1e-6)


def test_factors_of_another_length_are_refused():
    with pytest.raises(ConfigError, match="does not fit"):
        angles(FactorScaling(factors=(1.0, 2.0)))


def test_angles_beyond_float32_are_refused():
    with pytest.raises(ConfigError, match="beyond float32"):
        angles(FactorScaling(factors=(1e-45,) * 32))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_impossible_factors_are_refused(bad):
    with pytest.raises(ConfigError):
        LinearScaling(factor=bad)
    with pytest.raises(ConfigError):
        RopeConfig(rope_theta=bad)
    with pytest.raises(ConfigError):
        FactorScaling(factors=(1.0, bad))


def test_old_and_new_configs_say_the_same():
    old = from_hf(rope_theta=5e5, rope_scaling=LLAMA3)
    new = from_hf(rope_parameters={**LLAMA3, "rope_theta": 5e5})
    assert old == new
    assert old.rope_theta == 5e5
    assert isinstance(old.scaling, Llama3Scaling)


def test_the_oldest_name_of_the_type_is_read():
    assert from_hf(rope_scaling={"type": "linear", "factor": 2}).scaling == LinearScaling(factor=2)


@pytest.mark.parametrize("config", [{}, {"rope_scaling": None}, {"rope_parameters": {"rope_type": "default"}}])
def test_without_scaling_angles_are_plain(config):
    assert from_hf(**config) == RopeConfig()


def test_yarn_defaults_are_transformers_own():
    scaling = from_hf(max_seq_len=8192, rope_scaling={"rope_type": "yarn", "factor": 4.0}).scaling
    assert scaling == YarnScaling(factor=4, original_max_seq_len=8192, attention_factor=0.1 * math.log(4) + 1)


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "su", "mrope", "ntk"])
def test_other_types_are_refused_by_name(kind):
    with pytest.raises(UnsupportedError, match=f"'{kind}'"):
        from_hf(rope_scaling={"rope_type": kind, "factor": 2.0})
    with pytest.raises(UnsupportedError, match=f"'{kind}'"):
        from_gguf(scaling__type=kind)


@pytest.mark.parametrize(
    "config",
    [
        {"partial_rotary_factor": 0.5},
        {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0, "short_factor": [1.0]}},
        {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
    ],
)
def test_parameters_that_are_not_computed_are_refused(config):
    with pytest.raises(UnsupportedError):
        from_hf(**config)


@pytest.mark.parametrize(
    "config",
    [
        {"rope_scaling": {"rope_type": "linear"}},
        {"rope_scaling": {"rope_type": "linear", "factor": "2"}},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        {"rope_scaling": [2.0]},
        {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"type": "linear", "factor": 4.0}},
    ],
)
def test_missing_impossible_and_contradicting_parameters_are_named(config):
    with pytest.raises(FormatError) as caught:
        from_hf(**config)
    assert "config.json" in caught.value.where


def test_gguf_keys_say_the_same_as_configs():
    assert from_gguf(freq_base=1e5) == RopeConfig(rope_theta=1e5)
    assert from_gguf(scaling__type="linear", scaling__factor=2.0).scaling == LinearScaling(factor=2)
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}
    keys = {"scaling__type": "yarn", "scaling__factor": 4.0, "scaling__original_context_length": 512}
    assert from_gguf(**keys) == from_hf(rope_scaling=yarn)


OLMO3 = {"scaling__type": "yarn", "scaling__factor": 8.0, "scaling__original_context_length": 8192}


def test_an_attention_factor_that_follows_from_the_stretching_may_be_said():
    """As llama.cpp's converter writes it of OLMo 3, whose config.json says so."""
    said = {"scaling__yarn_attn_factor": float(np.float32(1.2079441541679836)), "scaling__yarn_ext_factor": 1.0}
    assert from_gguf(**OLMO3, **said) == from_gguf(**OLMO3)


@pytest.mark.parametrize(
    ("said", "match"),
    [({"scaling__yarn_attn_factor": 1.0}, "two things"), ({"scaling__yarn_ext_factor": 0.0}, "yarn_ext_factor")],
)
def test_an_attention_factor_that_llama_cpp_would_overrule_is_refused(said, match):
    with pytest.raises(UnsupportedError, match=match) as caught:
        from_gguf(**OLMO3, **said)
    assert next(iter(said)).replace("__", ".") in caught.value.where


@pytest.mark.parametrize("keys", [{"dimension_count": 8}, {"scale_linear": 2.0}, {"scaling__factor": 4.0}])
def test_gguf_keys_that_are_not_computed_are_refused(keys):
    with pytest.raises(UnsupportedError):
        from_gguf(**keys)
