"""Files of random weights hold what their names say, and run."""

import numpy as np
import pytest
from benchmarks.random_models import SHAPES, random_blocks, random_file
from benchmarks.setting import per_token

from benchmarks import random_models
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.load import load_decoder
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits

SMALL = {
    "Llama 1B": {"hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 512, "vocab_size": 300}
    | {"num_attention_heads": 16},
    "Llama 8B": {"hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 512, "vocab_size": 300}
    | {"num_attention_heads": 16},
    "gpt-oss, 4 layers": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 300}
    | {"num_attention_heads": 8, "head_dim": 16, "num_local_experts": 8},
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(random_models, "SHAPES", {name: SHAPES[name] | sizes for name, sizes in SMALL.items()})


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q6_K", "MXFP4"])
def test_values_have_the_spread_that_keeps_activations_their_size(kind):
    type_, width = TensorType[kind], 1024
    blocks = random_blocks(type_, 4096, width, np.random.default_rng(0))
    n = 4096 * type_.block_values
    values = dequantize(Tensor("x", type_, (1, n), blocks.reshape(-1)))
    assert abs(values.mean()) < 0.15 * width**-0.5  # four bits from -8 to 7 have a mean of -1/2
    assert 0.6 < values.std() * width**0.5 < 1.6


@pytest.mark.parametrize(
    ("shape", "kind", "head"),
    [("Llama 1B", "Q4_0", "Q6_K"), ("Llama 8B", "Q8_0", "Q8_0"), ("gpt-oss, 4 layers", "MXFP4", None)],
)
def test_a_file_of_a_shape_has_its_types_and_runs(tmp_path, shape, kind, head):
    path = random_file(tmp_path, shape, kind)
    types = {name: tensor.type.name for name, tensor in read_gguf(path).tensors.items()}
    if head:
        assert types["token_embd.weight"] == head
        assert types["blk.1.ffn_down.weight"] == kind
    else:
        assert types["blk.1.ffn_down_exps.weight"] == kind
    logits = all_logits(load_decoder(path, NumpyOps()), list(range(7)))
    assert np.isfinite(logits).all()
    assert 0.1 < logits.std() < 10
    assert random_file(tmp_path, shape, kind) == path


def test_a_token_reads_the_experts_that_it_chooses_and_no_embedding_but_its_head(tmp_path):
    tied, own_head = (random_file(tmp_path, shape, "Q8_0") for shape in ("Llama 1B", "Llama 8B"))
    linears = 2 * (256 * (16 + 2 * 8) * 16 + 16 * 16 * 256 + 3 * 256 * 512)
    assert per_token(tied).products == per_token(own_head).products == linears
    assert per_token(tied).read_bytes == sum(tensor.n_bytes for tensor in read_gguf(tied).tensors.values())
    head = read_gguf(own_head).tensors["output.weight"].n_bytes
    assert per_token(own_head).read_bytes == per_token(tied).read_bytes
    assert head == read_gguf(tied).tensors["token_embd.weight"].n_bytes
    experts = random_file(tmp_path, "gpt-oss, 4 layers", "MXFP4")
    attention = 64 * (8 + 2 * 8) * 16 + 8 * 16 * 64 + 8 * 64  # with the router
    assert per_token(experts).products == 2 * (attention + 4 * 3 * 64 * 96)
