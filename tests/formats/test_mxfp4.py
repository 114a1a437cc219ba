import numpy as np
import pytest

from greenlight.errors import FormatError
from greenlight.formats.mxfp4 import join
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType

NUMBERS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def test_blocks_and_scales_are_neighbours_in_one_byte_times_a_power_of_two():
    rng = np.random.default_rng(0)
    blocks = rng.integers(256, size=(3, 2, 16), dtype=np.uint8)
    scales = rng.integers(90, 160, size=(3, 2), dtype=np.uint8)
    pairs = np.stack([NUMBERS[blocks & 15], NUMBERS[blocks >> 4]], axis=-1).reshape(3, 2, 32)
    expected = pairs * np.exp2(scales.astype(np.float32) - 127)[..., None]
    tensor = join("w", blocks, scales)
    assert (tensor.type, tensor.shape, tensor.data.size) == (TensorType.MXFP4, (3, 64), tensor.n_bytes)
    np.testing.assert_array_equal(dequantize(tensor), expected.reshape(3, 64))


def test_the_smallest_scales_are_exact():
    block = np.full((1, 16), 0x71, np.uint8)
    values = dequantize(join("w", block, np.array([0], np.uint8)))
    np.testing.assert_array_equal(values, np.tile(np.float32([2.0**-128, 6 * 2.0**-127]), 16))


def test_a_scale_that_is_no_number_is_refused():
    with pytest.raises(FormatError, match="not a number"):
        join("w", np.zeros((1, 16), np.uint8), np.array([255], np.uint8))


def test_bytes_by_themselves_are_no_weight():
    with pytest.raises(FormatError, match="bytes stand"):
        dequantize(Tensor("w", TensorType.U8, (4,), np.zeros(4, np.uint8)))
