from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.formats.quants import dequantize, from_e4m3
from greenlight.formats.safetensors import read_folder
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import folder_checkpoint, open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from tests.builders import all_logits
from tests.model.families import config_of, random_folder, random_weights

NUMPY = select_ops("numpy")
ONE_SCALE = {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None, "dequantize": False}
SQUARES = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [24, 40]}
PLAIN = ("norm.weight", "embed_tokens.weight", "lm_head.weight", ".bias")


def in_fp8(folder, said, seed=0, **changes):
    """A random model whose linears are FP8, as a folder; and its weights, by name, as they are to be read."""
    config = config_of("qwen3") | changes
    rng, stored, wide = np.random.default_rng(seed), {}, {}
    for name, values in random_weights(config, seed).items():
        if name.endswith(PLAIN):
            stored[name], wide[name] = ("F32", values), values
            continue
        codes = rng.integers(256, size=values.shape).astype(np.uint8)
        codes[codes & 127 == 127] = 0  # no number
        stem, square = name.removesuffix(".weight"), said["weight_block_size"]
        shape = () if square is None else tuple(-(-n // size) for n, size in zip(values.shape, square, strict=True))
        scale = rng.uniform(0.5, 2, shape).astype(np.float32) * np.float32(1e-3)
        stored |= {name: ("F8_E4M3", codes), f"{stem}.weight_scale_inv": ("F32", scale)}
        if said["activation_scheme"] == "static":
            stored[f"{stem}.activation_scale"] = ("F32", np.float32(2))
        each = (
            scale
            if square is None
            else scale[np.ix_(*(np.arange(n) // s for n, s in zip(values.shape, square, strict=True)))]
        )
        wide[name] = e4m3(codes) * each
    write(folder, config | {"quantization_config": said}, stored)
    return wide


def e4m3(codes):
    """By the letter of the paper, one by one."""

    def value(code):
        exponent, fraction = code >> 3 & 15, code & 7
        size = fraction * 2.0**-9 if exponent == 0 else (8 + fraction) * 2.0 ** (exponent - 10)
        return -size if code & 128 else size

    return np.vectorize(value, otypes=[np.float32])(codes)


def write(folder, config, tensors):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, data = {}, b""
    for name, (kind, values) in tensors.items():
        blob = np.asarray(values).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(np.shape(values)),
            "data_offsets": [len(data), len(data) + len(blob)],
        }
        data += blob
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture(scope="module")
def fp8_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("any") / "fp8"
    in_fp8(folder, SQUARES)
    return folder


def test_the_largest_the_smallest_and_no_number():
    assert from_e4m3(np.array([0x7E, 0xFE, 0x01, 0x08, 0x38], np.uint8)).tolist() == [448, -448, 2**-9, 2**-6, 1]
    assert np.isnan(from_e4m3(np.array([0x7F, 0xFF], np.uint8))).all()
    numbers = np.array([code for code in range(256) if code & 127 != 127], np.uint8)
    np.testing.assert_array_equal(from_e4m3(numbers), e4m3(numbers))


@pytest.mark.parametrize("settings", [ONE_SCALE, SQUARES], ids=["one scale", "squares"])
def test_weights_in_fp8_are_their_products_with_their_scales(tmp_path, settings):
    wide = in_fp8(tmp_path / "fp8", settings)
    opened = open_checkpoint(tmp_path / "fp8")
    assert {tensor.type for tensor in opened.tensors.values()} == {TensorType.F32}
    for name, values in wide.items():
        np.testing.assert_array_equal(dequantize(opened[name]), values, err_msg=name)
    assert opened.left_out == (("28 scales of activations",) if settings is ONE_SCALE else ())
    assert np.isfinite(all_logits(load_decoder(opened, NUMPY), np.arange(9))).all()


def test_the_text_part_of_a_whole_in_fp8_is_read_by_the_wholes_settings(tmp_path):
    """As Ministral 3 is published: what sees is plain, and the config of the whole says what is FP8."""
    wide = in_fp8(tmp_path / "text", ONE_SCALE, model_type="mistral", sliding_window=None)
    text = json.loads((tmp_path / "text/config.json").read_text())
    whole = {"model_type": "mistral3", "quantization_config": text.pop("quantization_config"), "text_config": text}
    whole["quantization_config"]["modules_to_not_convert"] = ["model.vision_tower", "lm_head"]
    (tmp_path / "text/config.json").write_text(json.dumps(whole | {"vision_config": {}}))
    data = (tmp_path / "text/model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = {f"language_model.{name}": entry for name, entry in json.loads(data[8 : 8 + length]).items()}
    renamed = json.dumps(header).encode()
    (tmp_path / "text/model.safetensors").write_bytes(len(renamed).to_bytes(8, "little") + renamed + data[8 + length :])
    opened = open_checkpoint(tmp_path / "text")
    assert opened.left_out == ("28 scales of activations",)
    assert opened.unread == ()
    for name, values in wide.items():
        np.testing.assert_array_equal(dequantize(opened[name]), values, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "kind", "match"),
    [
        ({"weight_block_size": [24]}, FormatError, "impossible value"),
        ({"weight_block_size": [16, 40]}, FormatError, "does not fit its weight"),
        ({"weight_block_size": None}, FormatError, "does not fit its weight"),
        ({"fmt": "e5m2"}, UnsupportedError, "fmt"),
        ({"scale_fmt": "ue8m0"}, UnsupportedError, "scale_fmt"),
        ({"kv_cache_scheme": "fp8"}, UnsupportedError, "kv_cache_scheme is not known"),
        ({"quant_method": "awq"}, UnsupportedError, "quantiser packed"),
    ],
)
def test_settings_that_are_not_those_of_the_weights_are_refused(tmp_path, changes, kind, match):
    in_fp8(tmp_path / "fp8", SQUARES)
    config = json.loads((tmp_path / "fp8/config.json").read_text())
    config["quantization_config"] |= changes
    (tmp_path / "fp8/config.json").write_text(json.dumps(config))
    with pytest.raises(kind, match=match) as caught:
        open_checkpoint(tmp_path / "fp8")
    assert str(tmp_path / "fp8") in caught.value.where
    assert caught.value.do


def test_a_weight_without_a_scale_and_one_that_is_no_number_are_named(tmp_path):
    name = "model.layers.0.self_attn.q_proj.weight"
    config = config_of("qwen3") | {"quantization_config": ONE_SCALE}
    weights = {name_: ("F32", values) for name_, values in random_weights(config).items()}
    codes = np.full(weights[name][1].shape, 0x7F, np.uint8)
    write(tmp_path / "one", config, weights | {name: ("F8_E4M3", codes)})
    with pytest.raises(FormatError, match="no scale") as caught:
        open_checkpoint(tmp_path / "one")
    assert caught.value.where == f"{tmp_path / 'one'}, {name}"
    scale = {name.replace("weight", "weight_scale_inv"): ("F32", np.ones(1, np.float32))}
    write(tmp_path / "two", config, weights | {name: ("F8_E4M3", codes)} | scale)
    opened = open_checkpoint(tmp_path / "two")
    with pytest.raises(FormatError, match="not a number"):
        opened[name]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1 << 40),
    st.floats(),
    st.sampled_from(["fp8", "e4m3", "float", "static", ""]),
    st.lists(st.one_of(st.integers(-1, 128), st.floats(), st.text(max_size=1)), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(
    said=st.dictionaries(
        st.sampled_from([*SQUARES, "scale_fmt", "dequantize", "expert_dtype", "odd"]), VALUES, max_size=3
    )
)
def test_any_settings_give_the_model_or_one_error(fp8_folder, said):
    opened = read_folder(fp8_folder)
    config = opened.config | {"quantization_config": SQUARES | said}
    error = None
    try:
        folder_checkpoint(replace(opened, config=config))
    except GreenlightError as caught:
        error = caught
    square = (SQUARES | said)["weight_block_size"] == SQUARES["weight_block_size"]
    assert error is not None or square
    assert error is None or str(fp8_folder) in error.where


def test_plain_weights_under_a_config_of_fp8_are_refused(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("qwen3", quantization_config=ONE_SCALE))
    with pytest.raises(FormatError, match="and none is") as caught:
        open_checkpoint(folder)
    assert (caught.value.found, "config.json" in caught.value.where) == ("F32", True)


def test_experts_in_fp8_are_refused_with_what_to_take(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("qwen3 moe", quantization_config=ONE_SCALE))
    with pytest.raises(UnsupportedError, match="quantiser packed") as caught:
        open_checkpoint(folder)
    assert (caught.value.found, "GGUF" in caught.value.do) == ("fp8", True)
