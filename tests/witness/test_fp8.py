"""torch reads the same numbers out of FP8, and transformers computes the same logits from folders that hold them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from greenlight.compose.converting import Wish, convert
from greenlight.formats.quants import from_e4m3
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits
from tests.witness.draws import logits_of
from tests.witness.llama_cpp_logits import llama_cpp_logits
from tests.witness.test_families import random_model

TOKENS = np.random.default_rng(0).integers(97, size=70)
SQUARE = 32


def test_every_number_of_fp8_is_torchs():
    codes = torch.arange(256, dtype=torch.uint8)
    theirs = codes.view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(from_e4m3(codes.numpy()), theirs)


def as_fp8(folder, square):
    """The folder's linears in FP8, as transformers names what is beside them."""
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "proj.weight" in name]:
        weight, stem = tensors[name], name.removesuffix(".weight")
        if square:
            rows, columns = (n // square for n in weight.shape)
            tiles = weight.reshape(rows, square, columns, square)
            scale = tiles.abs().amax((1, 3)) / 448  # (rows, columns)
            tensors[name] = (tiles / scale[:, None, :, None]).reshape(weight.shape).to(torch.float8_e4m3fn)
        else:
            scale = weight.abs().max() / 448
            tensors[name] = (weight / scale).to(torch.float8_e4m3fn)
            tensors[f"{stem}.activation_scale"] = torch.tensor(0.1)
        tensors[f"{stem}.weight_scale_inv"] = scale
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    scheme = "dynamic" if square else "static"
    size = [square, square] if square else None
    settings = {"quant_method": "fp8", "activation_scheme": scheme, "weight_block_size": size}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))


@pytest.mark.parametrize("square", [None, SQUARE], ids=["one scale", "squares"])
def test_transformers_and_llama_cpp_compute_the_same_from_weights_in_fp8(tmp_path, square):
    folder = tmp_path / "fp8"
    random_model("qwen3", {"head_dim": 32}, seed=1).save_pretrained(folder)
    as_fp8(folder, square)
    quantisation = transformers.FineGrainedFP8Config(
        dequantize=True,
        activation_scheme="dynamic" if square else "static",
        weight_block_size=square and (square, square),
    )
    twin = transformers.AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=quantisation, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    theirs = logits_of(twin, TOKENS)
    ours = all_logits(load_decoder(open_checkpoint(folder), NumpyOps()), TOKENS)
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    convert(str(folder), tmp_path / "m.gguf", Wish(tokenizer=False))
    theirs = llama_cpp_logits(tmp_path / "m.gguf", TOKENS)
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
