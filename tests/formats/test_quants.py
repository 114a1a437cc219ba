from __future__ import annotations

import numpy as np
import pytest

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.quants import (
    QUANTISERS,
    codebook,
    dequantize,
    mxfp4_from_blocks,
    mxfp4_to_blocks,
    quantise,
    writing,
)
from greenlight.formats.quants.codebook import TWICE_E2M1, UNEVEN, half_power, nearest_small_floats, nearest_uneven
from greenlight.formats.quants.k import six_bit_bytes, six_bits
from greenlight.formats.tensors import SCALED_ELSEWHERE, Tensor, TensorType
from tests.builders import encode


def tensor(kind: str, values: np.ndarray) -> Tensor:
    return Tensor("t", TensorType[kind], values.shape, np.frombuffer(encode(values, kind), np.uint8))


def block(kind: TensorType, *parts: bytes) -> Tensor:
    return Tensor("t", kind, (32,), np.frombuffer(b"".join(parts), np.uint8))


HALF, QUARTER = np.float16(0.5).tobytes(), np.float16(-0.25).tobytes()
CODES = bytes(range(0x10, 0x20))  # low nibbles 0 to 15, high nibbles 1


def test_q4_0_is_scale_times_code_minus_eight():
    expected = [*(0.5 * (code - 8) for code in range(16)), *[0.5 * (1 - 8)] * 16]
    np.testing.assert_array_equal(dequantize(block(TensorType.Q4_0, HALF, CODES)), expected)


def test_q4_1_is_scale_times_code_plus_minimum():
    expected = [*(0.5 * code - 0.25 for code in range(16)), *[0.25] * 16]
    np.testing.assert_array_equal(dequantize(block(TensorType.Q4_1, HALF, QUARTER, CODES)), expected)


def test_q8_0_is_scale_times_signed_code():
    codes = np.arange(-16, 16, dtype=np.int8) * 8
    np.testing.assert_array_equal(dequantize(block(TensorType.Q8_0, QUARTER, codes.tobytes())), codes * -0.25)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_values_that_a_plain_type_can_hold_come_back(kind):
    values = np.array([[0.0, -1.5, 2.0], [0.125, -256.0, 1.0]], np.float32)
    np.testing.assert_array_equal(dequantize(tensor(kind, values)), values)


@pytest.mark.parametrize(("kind", "step"), [("Q4_0", 1 / 8), ("Q4_1", 1 / 15), ("Q8_0", 1 / 254)])
def test_quantised_values_come_back_within_a_step(kind, step):
    values = np.random.default_rng(0).uniform(-1, 1, (5, 96)).astype(np.float32)
    np.testing.assert_allclose(dequantize(tensor(kind, values)), values, atol=1.05 * step)


@pytest.mark.parametrize("kind", ["F32", "BF16", "Q4_0", "Q8_0"])
def test_rows_move_whole(kind):
    source = tensor(kind, np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32))
    order = np.array([2, 0, 3, 2])
    moved = source.take_rows(order)
    assert moved.type is source.type
    np.testing.assert_array_equal(dequantize(moved), dequantize(source)[order])


READ = [type_ for type_ in TensorType if type_ not in SCALED_ELSEWHERE]
BY_NAME = {"ids": lambda type_: type_.name}


@pytest.mark.parametrize("type_", READ, **BY_NAME)
def test_random_bytes_of_every_type_are_some_values(type_):
    for seed in range(4):
        data = np.random.default_rng(seed).integers(
            0, 256, (3, 512 // type_.block_values * type_.block_bytes), np.uint8
        )
        values = dequantize(Tensor("t", type_, (3, 512), data.reshape(-1)))
        assert values.shape == (3, 512)
        assert values.dtype == np.float32


def test_mxfp4_is_a_power_of_two_times_a_small_float():
    data = bytes([128]) + bytes(range(0x10, 0x20))
    expected = [*(2.0 * TWICE_E2M1 / 2), *[2.0 * 0.5] * 16]
    np.testing.assert_array_equal(dequantize(block(TensorType.MXFP4, data)), expected)


@pytest.mark.parametrize("exponent", [0, 1, 2, 251])
def test_mxfp4_scales_are_exact_at_the_ends_of_their_range(exponent):
    values = dequantize(block(TensorType.MXFP4, bytes([exponent]), bytes([0x72] * 16)))
    assert values[0] == 2.0 ** (exponent - 127)
    assert values[16] == np.float32(6) * 2.0 ** (exponent - 127)


def test_blocks_and_scales_of_hugging_face_are_the_same_values():
    rng = np.random.default_rng(0)
    codes, exponents = rng.integers(0, 16, (2, 3, 4, 32)), rng.integers(120, 130, (2, 3, 4))
    blocks = Tensor(
        "b", TensorType.U8, (2, 3, 4, 16), (codes[..., ::2] | codes[..., 1::2] << 4).astype(np.uint8).ravel()
    )
    scales = Tensor("s", TensorType.U8, (2, 3, 4), exponents.astype(np.uint8).ravel())
    tensor = mxfp4_from_blocks(blocks, scales, "w")
    assert (tensor.name, tensor.shape) == ("w", (2, 3, 128))
    expected = TWICE_E2M1[codes] / 2 * 2.0 ** (exponents[..., None] - 127)
    np.testing.assert_array_equal(dequantize(tensor), expected.reshape(2, 3, 128))


def test_every_block_of_a_large_tensor_is_put_in_order_and_back():
    n = 2 * codebook._CHUNK_BLOCKS + 3
    rng = np.random.default_rng(1)
    blocks, scales = rng.integers(0, 256, (n, 16), np.uint8), rng.integers(0, 255, (1, n)).astype(np.uint8)
    tensor = mxfp4_from_blocks(
        Tensor("b", TensorType.U8, (1, n, 16), blocks.reshape(-1)),
        Tensor("s", TensorType.U8, (1, n), scales.reshape(-1)),
        "w",
    )
    codes = np.stack([blocks & 15, blocks >> 4], axis=2).reshape(n, 32)
    expected = np.concatenate([scales.T, codes[:, :16] | codes[:, 16:] << 4], axis=1)
    np.testing.assert_array_equal(tensor.data.reshape(n, 17), expected)
    back = mxfp4_to_blocks(tensor.data)
    np.testing.assert_array_equal(back[0], blocks)
    np.testing.assert_array_equal(back[1], scales[0])


def test_blocks_without_their_scales_are_refused():
    blocks = Tensor("b", TensorType.U8, (2, 4, 16), np.zeros(128, np.uint8))
    with pytest.raises(FormatError, match=r"U8 \(2, 4, 16\) beside U8 \(2, 3\) of s"):
        mxfp4_from_blocks(blocks, Tensor("s", TensorType.U8, (2, 3), np.zeros(6, np.uint8)), "w")


def test_codes_alone_are_no_weights():
    with pytest.raises(UnsupportedError, match="holds codes, not weights"):
        dequantize(Tensor("b", TensorType.U8, (2, 4), np.zeros(8, np.uint8)))


def test_six_bits_come_back_from_twelve_bytes():
    rng = np.random.default_rng(0)
    scales, minima = rng.integers(0, 64, (2, 50, 8), np.uint8)
    for ours, expected in zip(six_bits(six_bit_bytes(scales, minima)), (scales, minima), strict=True):
        np.testing.assert_array_equal(ours, expected)


WRITTEN_WITHIN = {"F32": 0, "F16": 0.0003, "BF16": 0.003, "Q8_0": 0.006, "Q5_0": 0.05, "Q5_1": 0.05}
"""Relative error of normal weights, root of mean squares; 0.12 for the rest, which have 16 steps."""


@pytest.mark.parametrize("type_", QUANTISERS, **BY_NAME)
def test_written_values_come_back_nearly(type_):
    values = np.random.default_rng(0).standard_normal((7, 512)).astype(np.float32)
    values[2] = 0
    back = dequantize(Tensor("t", type_, values.shape, quantise(values, type_)))
    assert not back[2].any()
    assert np.linalg.norm(back - values) <= WRITTEN_WITHIN.get(type_.name, 0.12) * np.linalg.norm(values)


@pytest.mark.parametrize("type_", QUANTISERS, **BY_NAME)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_not_written(type_, wrong):
    values = np.zeros((2, 256), np.float32)
    values[1, 7] = wrong
    with pytest.raises(FormatError, match="not a finite number"):
        quantise(values, type_, name="blk.0.w")


@pytest.mark.parametrize("type_", [type_ for type_ in QUANTISERS if type_.quantised], **BY_NAME)
def test_rows_that_are_no_whole_blocks_are_refused_by_name(type_):
    with pytest.raises(FormatError) as caught:
        quantise(np.zeros((2, 250), np.float32), type_, name="blk.0.w")
    assert "blk.0.w" in str(caught.value)
    assert "(2, 250)" in str(caught.value)
    assert f"multiple of {type_.block_values}" in str(caught.value)


def test_types_that_are_only_read_are_not_written():
    with pytest.raises(UnsupportedError, match="Q2_K cannot be written"):
        quantise(np.zeros(256, np.float32), TensorType.Q2_K)


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q8_0"])
def test_values_beyond_sixteen_bits_are_not_written(kind):
    with pytest.raises(FormatError, match="too large"):
        quantise(np.full((1, 32), 1e30, np.float32), TensorType[kind])


def lost(values, type_, importance, weights):
    back = dequantize(Tensor("t", type_, values.shape, quantise(values, type_, importance)))
    return float((weights * (back - values) ** 2).sum())


WEIGHTED = [TensorType[name] for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4")]


@pytest.mark.parametrize("type_", WEIGHTED, **BY_NAME)
def test_inputs_that_matter_more_lose_less(type_):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((40, 512)).astype(np.float32)
    importance = rng.gamma(0.3, 1, 512).astype(np.float32)
    assert lost(values, type_, importance, importance) < 0.9 * lost(values, type_, None, importance)


@pytest.mark.parametrize("type_", WEIGHTED, **BY_NAME)
def test_importance_of_zero_leaves_nothing_to_chance(type_):
    values = np.random.default_rng(1).standard_normal((2, 256)).astype(np.float32)
    importance = np.zeros(256, np.float32)
    assert lost(values, type_, importance, 1) < 0.05 * (values**2).sum()
    importance[:32] = 1
    assert lost(values, type_, importance, 1) < 0.05 * (values**2).sum()


@pytest.mark.parametrize(
    "wrong", [np.full(256, -1, np.float32), np.full(256, np.nan, np.float32), np.ones(255, np.float32)]
)
def test_importance_that_is_none_is_refused(wrong):
    with pytest.raises(FormatError, match="importance"):
        quantise(np.ones((2, 256), np.float32), TensorType.Q4_K, wrong)


@pytest.mark.parametrize("name", ["Q4_K", "Q5_K", "Q6_K", "Q4_0", "IQ4_NL"])
@pytest.mark.parametrize("values", [np.zeros(256), np.full(256, 3.5), np.eye(1, 256)[0], -np.arange(256) / 64 - 1])
def test_rows_with_little_to_tell_apart_are_written(name, values):
    type_, values = TensorType[name], values.astype(np.float32)
    back = dequantize(Tensor("t", type_, (256,), quantise(values, type_)))
    np.testing.assert_allclose(back, values, atol=0.07 * np.abs(values).max())


@pytest.mark.parametrize("type_", [type_ for type_ in QUANTISERS if type_.quantised], **BY_NAME)
def test_a_block_is_written_alike_in_every_place(type_, monkeypatch):
    """Parts are written in turns; the importance of a row goes with it."""
    monkeypatch.setattr(writing, "CHUNK_VALUES", 2560)
    rng = np.random.default_rng(2)
    row, importance = rng.standard_normal(1024).astype(np.float32), rng.gamma(1, 1, 1024).astype(np.float32)
    many = quantise(np.tile(row, (9, 1)), type_, importance).reshape(9, -1)
    assert (many == quantise(row, type_, importance)).all()


def test_mxfp4_takes_the_nearest_entry_and_of_equal_ones_the_first():
    for exponent in (0, 1, 125, 250):
        values = np.arange(-64, 64, dtype=np.float32).reshape(4, 32) / 4 * half_power(np.array([exponent], np.uint8))
        codes = nearest_small_floats(values, np.full((4, 1), exponent, np.uint8))
        entries = (TWICE_E2M1 * half_power(np.array([exponent], np.uint8))).astype(np.float64)
        np.testing.assert_array_equal(codes, np.abs(values[..., None] - entries).argmin(axis=2))


def test_iq4_nl_takes_the_nearest_entry():
    values = np.random.default_rng(0).uniform(-140, 130, 5000).astype(np.float32)
    left = np.abs(values - UNEVEN[nearest_uneven(values)])
    np.testing.assert_array_equal(left, np.abs(values[:, None] - UNEVEN).min(axis=1))
