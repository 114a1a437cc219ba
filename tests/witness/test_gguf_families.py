"""llama.cpp computes the same logits from the GGUF file that is written here of a random model of each family."""

from __future__ import annotations

import json

import numpy as np
import pytest
import transformers

from greenlight.formats.gguf_writer import write_gguf
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.export import plan_gguf
from greenlight.model.load import load_decoder
from greenlight.model.rope import yarn_attention_factor
from greenlight.model.types import gguf_types
from greenlight.ops import numpy_ops
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits
from tests.model.families import config_of, random_folder
from tests.witness.draws import DESIGNS, N_GGUF_DRAWS, draw_gguf_config, logits_of, random_model
from tests.witness.llama_cpp_logits import llama_cpp_logits, with_rounded_bounds

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

TOLERANCE = 1e-3
"""Largest difference of logits, relative to the largest logit."""

NUDGE, N_NUDGES, SLACK, MOST = 3e-6, 3, 4, 1e-2
"""Where GELU's table of float16 makes much of a last bit: by how much its input is moved, how often, how many times
farther than that moves our own logits llama.cpp's may lie, and how far at most."""

FAMILIES = [family for family, design in DESIGNS.items() if design.in_gguf]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.fixture
def gelu_in_float16(monkeypatch):
    """As llama.cpp does: it looks GELU up in a table of float16 (ggml-cpu/vec.h, ggml_vec_gelu_f32)."""

    nudge = 0.0
    rng = np.random.default_rng(0)

    def activate(x: np.ndarray, activation: str) -> np.ndarray:
        if activation == "silu":
            return exact(x, activation)
        x = (x * (1 + nudge * rng.standard_normal(x.shape))).astype(np.float32)
        table = exact(x.astype(np.float16).astype(np.float32), activation).astype(np.float16).astype(np.float32)
        return np.where(x <= -10, 0, np.where(x >= 10, x, table)).astype(np.float32)

    def patch(by: float = 0.0) -> None:
        nonlocal nudge
        nudge = by
        monkeypatch.setattr(numpy_ops, "activate", activate)

    exact = numpy_ops.activate
    return patch


@pytest.mark.parametrize("seed", range(N_GGUF_DRAWS))
@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_agrees_on_the_file_that_is_written_here(family, seed, tmp_path, gelu_in_float16):
    config = draw_gguf_config(family, seed)
    model = random_model(config, seed)
    folder = tmp_path / "m"
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(folder)
    types = gguf_types(None, tied_head=checkpoint.config.tied_head)
    plan = plan_gguf(checkpoint, types, {"tokenizer.ggml.model": "none"})
    write_gguf(tmp_path / "m.gguf", plan.metadata, plan.tensors)
    tokens = np.random.default_rng(seed).integers(config["vocab_size"], size=100)
    from_folder = all_logits(load_decoder(checkpoint, NumpyOps()), tokens)
    from_file = all_logits(load_decoder(tmp_path / "m.gguf", NumpyOps()), tokens)
    assert distance(from_folder, logits_of(model, tokens)) <= 1e-4
    assert distance(from_file, from_folder) <= 1e-5
    gelu_in_float16()
    opened = with_rounded_bounds(open_checkpoint(tmp_path / "m.gguf"))
    from_file = all_logits(load_decoder(opened, NumpyOps()), tokens)
    error = distance(from_file, llama_cpp_logits(tmp_path / "m.gguf", tokens))
    if error > TOLERANCE:
        gelu_in_float16(NUDGE)
        again = (all_logits(load_decoder(opened, NumpyOps()), tokens) for _ in range(N_NUDGES))
        assert error <= min(MOST, SLACK * max(distance(moved, from_file) for moved in again))


@pytest.mark.parametrize("said", [float(yarn_attention_factor(4.0)), 3.0])
def test_llama_cpp_overrules_the_attention_factor_that_its_converter_copies(said, tmp_path):
    """So a file that says another than follows from the stretching is refused; OLMo 3's say the one that follows."""
    folder = random_folder(tmp_path / "hf", config_of("qwen2 yarn"))
    plan = plan_gguf(open_checkpoint(folder), gguf_types(None, tied_head=True), {"tokenizer.ggml.model": "none"})
    write_gguf(tmp_path / "plain.gguf", plan.metadata, plan.tensors)
    write_gguf(tmp_path / "said.gguf", plan.metadata | {"qwen2.rope.scaling.yarn_attn_factor": said}, plan.tensors)
    plain, with_it = (llama_cpp_logits(tmp_path / f"{name}.gguf", np.arange(90)) for name in ("plain", "said"))
    np.testing.assert_array_equal(plain, with_it)
