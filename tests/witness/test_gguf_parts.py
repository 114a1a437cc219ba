"""llama.cpp and the gguf package mean the same by a model in several files."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from greenlight.formats.gguf import read_gguf
from greenlight.formats.gguf_parts import read_gguf_model
from greenlight.model.load import load_decoder
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits, llama_config, llama_weights, write_llama_gguf
from tests.gguf_parts import split_gguf
from tests.witness.llama_cpp_logits import llama_cpp_logits

TOKENS = np.random.default_rng(0).integers(97, size=50)


@pytest.mark.parametrize("first", [0, 7])
def test_llama_cpp_computes_the_same_from_parts(tmp_path, first):
    config = llama_config()
    file = write_llama_gguf(tmp_path / "m.gguf", config, llama_weights(config, np.random.default_rng(1)))
    whole, n_tensors = llama_cpp_logits(file, TOKENS), len(read_gguf(file).tensors)
    parts = split_gguf(file, first, 5, n_tensors - first - 5)
    np.testing.assert_array_equal(llama_cpp_logits(parts[0], TOKENS), whole)
    ours = all_logits(load_decoder(parts[1], NumpyOps()), TOKENS)
    assert np.abs(ours - whole).max() <= 1e-4 * np.abs(whole).max()


def test_parts_that_the_gguf_package_writes_are_read(tmp_path):
    rng = np.random.default_rng(2)
    tensors = {f"blk.{n}.attn_q.weight": rng.normal(size=(4, 32)).astype(np.float32) for n in range(5)}
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    writer.add_block_count(5)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = read_gguf_model(tmp_path / "m-00002-of-00003.gguf")
    assert (model.path.name, model.metadata["llama.block_count"]) == ("m-00001-of-00003.gguf", 5)
    assert {name: tensor.data.tobytes() for name, tensor in model.tensors.items()} == {
        name: values.tobytes() for name, values in tensors.items()
    }
