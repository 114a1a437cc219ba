from __future__ import annotations

import numpy as np
import pytest

from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops.listening import ListeningOps
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits, tiny_decoder


def weight(name, rows, rng):
    values = rng.normal(size=(rows, 8)).astype(np.float32)
    return Tensor(name, TensorType.F32, values.shape, values.view(np.uint8).reshape(-1))


def test_inputs_are_remembered_by_each_weight_that_they_meet():
    ops, rng = ListeningOps(), np.random.default_rng(0)
    stacked = ops.pack_linear([weight("q", 4, rng), weight("k", 2, rng)], [None, None])
    alone = ops.pack_linear([weight("o", 3, rng)], [None])
    ops.pack_linear([weight("never", 3, rng)], [None])
    first, second, other = (rng.normal(size=(n, 8)).astype(np.float32) for n in (5, 2, 3))
    for x in (first, second):
        ops.linear(None, x, stacked)
    ops.linear(None, other, alone)
    means = ops.means()
    assert means.keys() == {"q", "k", "o"}
    np.testing.assert_allclose(means["q"], (np.concatenate([first, second]) ** 2).mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(means["q"], means["k"])
    np.testing.assert_allclose(means["o"], (other**2).mean(axis=0), rtol=1e-6)


def test_listening_changes_no_bit(tmp_path):
    tokens = np.arange(30) * 7 % 97
    listened, plain = (all_logits(tiny_decoder(tmp_path, ops), tokens) for ops in (ListeningOps(), NumpyOps()))
    np.testing.assert_array_equal(listened, plain)


@pytest.mark.parametrize("name", ["blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output.weight"])
def test_every_linear_of_a_model_is_heard(tmp_path, name):
    ops = ListeningOps()
    all_logits(tiny_decoder(tmp_path, ops), np.arange(9))
    assert ops.means()[name].min() > 0
