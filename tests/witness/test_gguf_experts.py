"""llama.cpp computes the same logits from the GGUF files that are written here of random models with experts."""

from __future__ import annotations

import numpy as np
import pytest

from greenlight.formats.gguf_writer import write_gguf
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.export import plan_gguf
from greenlight.model.load import load_decoder
from greenlight.model.types import gguf_types
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits
from tests.witness.llama_cpp_logits import llama_cpp_logits
from tests.witness.test_families import CASES, SIZES, random_model

TOLERANCE = 2e-3
"""Largest difference of logits, relative to the largest logit."""


@pytest.mark.parametrize("case", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_llama_cpp_agrees_on_the_file_that_is_written_here(case, tmp_path):
    model_type, changes = CASES[case]
    if model_type == "gpt_oss":
        # llama.cpp rounds YaRN's bounds, which gpt-oss does not: stretched by 1, both turn alike.
        changes = changes | {"rope_parameters": {"rope_type": "linear", "factor": 1.0, "rope_theta": 150_000.0}}
        changes = changes | {"sliding_window": 128}
    model = random_model(model_type, changes, seed=3)
    model.save_pretrained(tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    plan = plan_gguf(checkpoint, gguf_types(None, tied_head=False), {"tokenizer.ggml.model": "none"})
    write_gguf(tmp_path / "m.gguf", plan.metadata, plan.tensors)
    tokens = np.random.default_rng(0).integers(SIZES["vocab_size"], size=90)
    from_folder = all_logits(load_decoder(checkpoint, NumpyOps()), tokens)
    from_file = all_logits(load_decoder(tmp_path / "m.gguf", NumpyOps()), tokens)
    np.testing.assert_allclose(from_file, from_folder, rtol=0, atol=1e-5 * np.abs(from_folder).max())
    theirs = llama_cpp_logits(tmp_path / "m.gguf", tokens)
    assert np.abs(from_file - theirs).max() <= TOLERANCE * np.abs(theirs).max()
