"""What is written loses no more than what llama.cpp's own library writes, with and without importance."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np
import pytest

from greenlight.formats.gguf import TYPES
from greenlight.formats.quants import dequantize, quantise
from greenlight.formats.tensors import Tensor, TensorType

IDS = {type_: id_ for id_, type_ in TYPES.items()}
WRITTEN = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4")
TOLERANCE = 1.05


@pytest.fixture(scope="module")
def library():
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p),
    ]
    return library


def theirs(library, values, type_, importance):
    out = np.zeros(values.size // type_.block_values * type_.block_bytes, np.uint8)
    weights = None if importance is None else importance.ctypes.data
    library.ggml_quantize_chunk(IDS[type_], values.ctypes.data, out.ctypes.data, 0, *values.shape, weights)
    return out


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("kind", WRITTEN)
def test_errors_are_no_larger_than_llama_cpps(library, kind, tails, weighted):
    rng, type_ = np.random.default_rng(0), TensorType[kind]
    draw = rng.standard_normal if tails == "normal" else lambda size: rng.standard_t(4, size)
    values = (draw((128, 1024)) * rng.uniform(0.1, 2, (128, 1))).astype(np.float32)
    importance = rng.gamma(0.5, 1, 1024).astype(np.float32) if weighted else None

    def lost(data):
        left = dequantize(Tensor("t", type_, values.shape, data)) - values
        return np.sqrt((left**2 * (1 if importance is None else importance)).mean())

    ours = lost(quantise(values, type_, importance))
    assert ours <= TOLERANCE * lost(theirs(library, values, type_, importance))
