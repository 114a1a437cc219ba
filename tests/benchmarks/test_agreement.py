from __future__ import annotations

import numpy as np
import pytest
from benchmarks.agreement import CHUNK, Agreement, agreement, joined, standard_error


def logits_of(*rows):
    return np.log(np.array(rows, np.float32))


def agreement_of(*same):
    return Agreement(np.array(same, bool), np.zeros(len(same)))


def test_divergence_is_of_the_run_from_the_reference_in_nats():
    reference, other = logits_of([0.5, 0.5], [0.25, 0.75]), logits_of([0.25, 0.75], [0.25, 0.75])
    found = agreement(reference, other + 3, np.array([0, 1], np.int32))
    assert found.kl.tolist() == pytest.approx([0.5 * np.log(2) + 0.5 * np.log(2 / 3), 0.0], abs=1e-6)
    assert found.mean_kl == pytest.approx(found.kl.sum() / 2)


def test_positions_with_the_same_likeliest_token_are_counted():
    reference = logits_of([0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.1, 0.2, 0.7])
    other = logits_of([0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8])
    found = agreement(reference, other, np.zeros(4, np.int32))
    assert found.same.tolist() == [True, False, True, True]
    assert found.n_same == 3


def test_texts_longer_than_a_chunk_are_compared_to_their_end():
    n, rng = CHUNK + 3, np.random.default_rng(0)
    reference, other = rng.standard_normal((2, n, 5)).astype(np.float32)
    following = np.zeros(n, np.int32)
    found = agreement(reference, other, following)
    last = agreement(reference[-3:], other[-3:], following[-3:])
    assert found.kl[-3:].tolist() == last.kl.tolist()
    assert found.same[-3:].tolist() == last.same.tolist()


def test_texts_are_joined_position_by_position():
    both = joined(
        [Agreement(np.array([True]), np.array([0.5])), Agreement(np.array([False, True]), np.array([1.0, 0]))]
    )
    assert both.same.tolist() == [True, False, True]
    assert both.kl.tolist() == [0.5, 1.0, 0.0]


def test_the_noise_of_a_difference_counts_positions_where_just_one_of_the_two_agrees():
    ours = agreement_of(True, True, False, False)
    assert standard_error(ours, ours) == 0
    # Differences 0, 1, -1, 0 have a mean of 0 and a variance of a half: the error of their sum is the root of 4 / 2.
    assert standard_error(ours, agreement_of(True, False, True, False)) == pytest.approx(2**0.5)
