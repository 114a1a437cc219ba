from __future__ import annotations

import numpy as np
import pytest

from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
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
