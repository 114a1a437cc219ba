from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr

from greenlight.measure.divergence import Divergence

RNG = np.random.default_rng(4)


def logits(rows=20, vocab=50):
    return RNG.normal(0, 2, (rows, vocab)).astype(np.float32)


def tally(*windows):
    found = Divergence()
    for parent, child, following in windows:
        found.window()
        found.add(parent, child, following)
    return found.summary()


def test_a_model_is_no_distance_from_itself():
    parent = logits()
    found = tally((parent, parent.copy(), np.zeros(20, np.int32)))
    assert found["kl"] == {"mean": 0.0, "standard_error": None, "p99.9": 0.0, "max": 0.0}
    assert (found["top1"]["share"], found["first_difference"]) == (1.0, None)
    assert found["perplexity"]["parent"] == found["perplexity"]["child"]


def test_numbers_are_those_of_scipy():
    parent, child, following = logits(), logits(), RNG.integers(50, size=20).astype(np.int32)
    found = tally((parent, child, following))
    p, q = (np.exp(log_softmax(side.astype(float), axis=-1)) for side in (parent, child))
    kl = rel_entr(p, q).sum(axis=-1)
    assert found["kl"]["mean"] == pytest.approx(kl.mean())
    assert found["kl"]["max"] == pytest.approx(kl.max())
    assert found["perplexity"]["child"] == pytest.approx(np.exp(-np.log(q[np.arange(20), following]).mean()))
    assert found["top1"]["same"] == (p.argmax(-1) == q.argmax(-1)).sum()


def test_the_first_difference_is_counted_over_windows_and_says_how_close_it_was():
    same = logits(5)
    parent = np.zeros((3, 50), np.float32)
    parent[:, 7], parent[:, 9] = 2.0, 1.5
    child = parent.copy()
    child[1, 9] = 3.0
    found = tally((same, same, np.zeros(5, np.int32)), (parent, child, np.zeros(3, np.int32)))
    assert found["first_difference"] == {"position": 6, "parent": 7, "child": 9, "margin": 0.5}


def test_pieces_of_a_window_count_as_the_window():
    parent, child, following = logits(), logits(), np.zeros(20, np.int32)
    found = Divergence()
    found.window()
    for part in (slice(0, 7), slice(7, 20)):
        found.add(parent[part], child[part], following[part])
    whole = tally((parent, child, following))
    assert found.summary()["kl"]["mean"] == pytest.approx(whole["kl"]["mean"])
    assert found.summary()["windows"] == 1


def test_the_standard_error_is_of_windows():
    same, following = np.zeros((4, 50), np.float32), np.zeros(4, np.int32)
    other = same.copy()
    other[:, 0] = 3.0
    found = tally((same, other, following), (same, same, following), (same, same, following))
    one = found["kl"]["max"]
    assert found["kl"]["mean"] == pytest.approx(one / 3)
    assert found["kl"]["standard_error"] == pytest.approx(np.std([one, 0, 0], ddof=1) / np.sqrt(3))


def test_nothing_counted_is_no_result():
    found = Divergence()
    found.window()
    with pytest.raises(ValueError, match="no position"):
        found.summary()
