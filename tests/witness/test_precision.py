"""How far is the exact precision from float32 on the default model's own file? Bounds on what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from greenlight.compose.identity import Text, predictions, windows_of
from greenlight.engine.local import tokenizer_of
from greenlight.measure.divergence import Divergence
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import native, select_ops

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

POSITIONS = 400
BOUNDS = {"native": (0.93, 0.02), "native+exact": (0.99, 0.0005)}
"""Least agreement on the most likely token and largest mean KL (nats), against float32 with the same weights."""


@pytest.fixture(scope="module")
def reference(default_model):
    checkpoint = open_checkpoint(default_model)
    window = windows_of(Text.packaged(), tokenizer_of(checkpoint), checkpoint.config.max_seq_len)[0][:POSITIONS]
    return checkpoint, window, logits(checkpoint, "numpy", window)


def logits(checkpoint, ops, window):
    decoder = load_decoder(checkpoint, select_ops(ops))
    return np.concatenate([rows for _, rows in predictions(decoder, window)])[: len(window) - 1]


@pytest.mark.parametrize("ops", BOUNDS)
def test_the_precisions_keep_their_distance_from_float32(reference, ops):
    checkpoint, window, expected = reference
    found = Divergence()
    found.window()
    found.add(expected, logits(checkpoint, ops, window), window[1:])
    agreement, kl = found.n_same / found.n, float(np.concatenate(found.kl).mean())
    least, most = BOUNDS[ops]
    assert agreement >= least, (agreement, kl)
    assert kl <= most, (agreement, kl)
