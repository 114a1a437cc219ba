"""llama.cpp computes the same logits from the GGUF files that are written here of random models with experts."""

from __future__ import annotations

import numpy as np
import pytest

from greenlight.formats.gguf_writer import write_gguf
from greenlight.formats.quants import dequantize, quantise
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.export import plan_gguf
from greenlight.model.load import load_decoder
from greenlight.model.types import gguf_types
from greenlight.ops import native
from greenlight.ops.numpy_ops import Experts, Linear, NumpyOps, softmax
from tests.builders import all_logits
from tests.witness.llama_cpp_logits import llama_cpp_logits, with_rounded_bounds
from tests.witness.test_families import CASES, SIZES, as_mxfp4, random_model

TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit."""

THETA = {"rope_theta": 150_000.0}
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32, "truncate": False}
ROPES = {"not stretched": THETA | {"rope_type": "linear", "factor": 1.0}, "stretched": THETA | YARN}
TOKENS = np.random.default_rng(0).integers(SIZES["vocab_size"], size=200)
"""Several windows and pages long, and far beyond the original length of what is stretched."""


class Rounded(Linear):
    """An expert's weights in MXFP4."""


class RoundingOps(NumpyOps):
    """As llama.cpp multiplies with MXFP4: the other factor rounded to Q8_0 (ggml-cpu.c, type_traits_cpu)."""

    def pack_experts(self, *weights):
        made = super().pack_experts(*weights)
        parts = ([Rounded(each.weight, each.bias) for each in part] for part in (made.gate_up, made.down))
        return Experts(*map(tuple, parts))

    def linear(self, step, x, weight):
        if isinstance(weight, Rounded):
            rows = np.ascontiguousarray(x, np.float32)
            x = dequantize(Tensor("x", TensorType.Q8_0, rows.shape, quantise(rows, TensorType.Q8_0)))
        return super().linear(step, x, weight)


def written(checkpoint, path, experts=None):
    """A GGUF file of a model, its experts in another type if that is given, opened."""
    usual = gguf_types(None, tied_head=False)

    def type_of(name, tensor):
        return experts if experts and name.endswith("_exps.weight") else usual(name, tensor)

    plan = plan_gguf(checkpoint, type_of, {"tokenizer.ggml.model": "none"})
    write_gguf(path, plan.metadata, plan.tensors)
    return open_checkpoint(path)


def logits(checkpoint, ops=None):
    return all_logits(load_decoder(checkpoint, ops or NumpyOps()), TOKENS)


def distance(a, b):
    """Largest difference of logits, relative to the largest logit."""
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("case", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_llama_cpp_agrees_on_the_file_that_is_written_here(case, tmp_path):
    random_model(*CASES[case], seed=3).save_pretrained(tmp_path)
    folder = open_checkpoint(tmp_path)
    file = written(folder, tmp_path / "m.gguf")
    assert distance(logits(file), logits(folder)) <= 1e-5
    assert distance(logits(with_rounded_bounds(file)), llama_cpp_logits(file.path, TOKENS)) <= TOLERANCE


@pytest.fixture(scope="module", params=ROPES)
def gpt_oss(request, tmp_path_factory):
    """The file made of a folder as gpt-oss is published: experts in MXFP4's blocks and scales, sinks, a window in each
    second layer; and llama.cpp's logits."""
    folder = tmp_path_factory.mktemp("gpt_oss")
    changes = CASES["gpt_oss"][1] | {"rope_parameters": ROPES[request.param], "sliding_window": 40}
    random_model("gpt_oss", changes, seed=3).save_pretrained(folder)
    as_mxfp4(folder, seed=4)
    file = written(open_checkpoint(folder), folder / "m.gguf")
    types = {tensor.type for name, tensor in file.tensors.items() if name.endswith("experts.down_proj.weight")}
    assert types == {TensorType.MXFP4}
    return file, llama_cpp_logits(file.path, TOKENS)


def test_llama_cpp_agrees_on_the_values_that_mxfp4_stands_for(gpt_oss, tmp_path):
    """A twin of the file with the same values in float32: nobody rounds anything."""
    file, _ = gpt_oss
    twin = written(file, tmp_path / "twin.gguf", TensorType.F32)
    assert distance(logits(with_rounded_bounds(file)), llama_cpp_logits(twin.path, TOKENS)) <= TOLERANCE


def test_llama_cpp_agrees_on_experts_in_mxfp4(gpt_oss):
    """With what it rounds rounded here as well. A value between two steps may still fall to either side, which moves
    everything behind it: then by 0.3 %, where not rounding at all moves half of all logits by as much and some by 8 %.
    """
    file, theirs = gpt_oss
    found = np.abs(logits(with_rounded_bounds(file), RoundingOps()) - theirs).max(-1) / np.abs(theirs).max()
    assert np.median(found) <= TOLERANCE
    assert found.max() <= 0.02


@pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")
@pytest.mark.parametrize("precision", ["standard", "exact"])
def test_the_kernels_say_what_llama_cpp_says_of_experts_in_mxfp4(gpt_oss, precision):
    """Up to near ties, of tokens and of experts, for each rounds in its own way or not at all; KL in nats."""
    file, theirs = gpt_oss
    found = logits(with_rounded_bounds(file), native.NativeOps(kv="f32", precision=precision))
    first, second = np.sort(theirs, axis=-1)[:, [-1, -2]].T
    clear = first - second > 0.02 * np.abs(theirs).max()
    assert clear.sum() > len(TOKENS) / 2
    assert (found.argmax(-1) == theirs.argmax(-1))[clear].mean() >= 0.98
    assert (softmax(theirs) * np.log(softmax(theirs) / softmax(found))).sum(-1).mean() <= 5e-3
