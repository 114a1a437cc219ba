"""Files that llama.cpp quantised run here: the same values in every tensor, and its logits within what int8 costs."""

from __future__ import annotations

import ctypes

import gguf
import llama_cpp
import numpy as np
import pytest

from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.model.load import load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits, llama_config, llama_weights, write_llama_gguf
from tests.witness.llama_cpp_logits import llama_cpp_logits

KINDS = {
    **{"Q4_0": {"Q4_0"}, "Q4_1": {"Q4_1"}, "Q5_0": {"Q5_0"}, "Q5_1": {"Q5_1"}, "Q8_0": {"Q8_0"}},
    **{"Q2_K": {"Q2_K", "Q3_K"}, "Q3_K_M": {"Q3_K", "Q4_K"}, "Q4_K_M": {"Q4_K", "Q6_K"}},
    **{"Q5_K_M": {"Q5_K", "Q6_K"}, "Q6_K": {"Q6_K"}, "IQ4_NL": {"IQ4_NL"}, "IQ4_XS": {"IQ4_XS"}},
}
"""llama.cpp's mixtures, and types that must be among their tensors'."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A Llama whose rows fill blocks of 256."""
    config = llama_config(
        hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=8, head_dim=32, vocab_size=500
    )
    path = tmp_path_factory.mktemp("tiny") / "f32.gguf"
    return write_llama_gguf(path, config, llama_weights(config, np.random.default_rng(0)))


@pytest.fixture(scope="module", params=KINDS)
def quantised(request, tiny):
    target = tiny.parent / f"{request.param}.gguf"
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{request.param}")
    assert llama_cpp.llama_model_quantize(str(tiny).encode(), str(target).encode(), ctypes.byref(params)) == 0
    return request.param, target


def test_every_tensor_reads_alike(quantised):
    kind, path = quantised
    ours = read_gguf(path).tensors
    assert {tensor.type.name for tensor in ours.values()} >= KINDS[kind]
    for theirs in gguf.GGUFReader(path).tensors:
        expected = gguf.dequantize(theirs.data, theirs.tensor_type).reshape(ours[theirs.name].shape)
        np.testing.assert_array_equal(dequantize(ours[theirs.name]), expected, theirs.name)


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def test_logits_are_llama_cpps(quantised):
    """llama.cpp and native ops round activations to int8, each in its own way; numpy does not."""
    _, path = quantised
    tokens = np.random.default_rng(1).integers(500, size=60)
    exact, theirs = all_logits(load_decoder(path, NumpyOps()), tokens), llama_cpp_logits(path, tokens)
    assert relative(theirs, exact) < 0.1
    if native.available():
        ours = all_logits(load_decoder(path, native.NativeOps()), tokens)
        assert relative(ours, exact) < max(1.25 * relative(theirs, exact), 0.02)
