from __future__ import annotations

import numpy as np
import pytest

from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from greenlight.ops.protocol import PAGE_SIZE, Batch
from tests.builders import all_logits, one_sequence, tiny_decoder
from tests.model.families import CASES, config_of, random_folder

TOKENS = np.random.default_rng(3).integers(97, size=70)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), select_ops("numpy"))


def assert_near(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("chunk", [1, 7, 32, 33])
def test_cached_decoding_equals_one_full_forward(decoder, chunk):
    pages = decoder.new_pages(3)
    steps = [
        decoder.forward(one_sequence(TOKENS[at : at + chunk], past=at), pages) for at in range(0, len(TOKENS), chunk)
    ]
    assert_near(np.concatenate(steps), all_logits(decoder, TOKENS))


def test_a_sequence_does_not_see_its_neighbours(decoder):
    a, b = TOKENS[:40], TOKENS[40:]
    tables = np.array([[5, 0], [2, -1]], np.int32)
    starts = np.array([0, len(a), len(TOKENS)], np.int32)
    batch = Batch(
        tokens=TOKENS.astype(np.int32),
        starts=starts,
        past=np.zeros(2, np.int32),
        page_tables=tables,
        outputs=np.arange(len(TOKENS), dtype=np.int32),
    )
    logits = decoder.forward(batch, decoder.new_pages(6))
    assert_near(logits[: len(a)], all_logits(decoder, a))
    assert_near(logits[len(a) :], all_logits(decoder, b))


def test_only_the_rows_asked_for_come_back(decoder):
    batch = one_sequence(TOKENS[:10], outputs=[3, 9])
    assert_near(decoder.forward(batch, decoder.new_pages(1)), all_logits(decoder, TOKENS[:10])[[3, 9]])


@pytest.mark.parametrize("case", CASES)
def test_rows_nobody_asks_for_change_no_bit_of_the_others_nor_of_later_steps(tmp_path, case):
    decoder = load_decoder(random_folder(tmp_path / "m", config_of(case)), select_ops("native"))
    everything = all_logits(decoder, TOKENS[:40])
    for asked in ([3, 9, 32], [], [9, 3, 9]):
        pages = decoder.new_pages(2)
        first = decoder.forward(one_sequence(TOKENS[:33], outputs=asked), pages)
        np.testing.assert_array_equal(first, everything[asked])
        # Keys and values of all rows are there, of the last layer's too.
        then = decoder.forward(one_sequence(TOKENS[33:40], past=33), pages)
        np.testing.assert_array_equal(then, everything[33:40])


@pytest.mark.parametrize("case", ["llama", "olmo2", "gemma2"])  # norms before, after, and on both sides
def test_the_last_block_computes_the_rows_asked_for_alone(tmp_path, monkeypatch, case):
    config = config_of(case, num_hidden_layers=2)
    decoder, rows = load_decoder(random_folder(tmp_path / "m", config), select_ops("numpy")), []
    linear = decoder.ops.linear  # NumPy's other products are made of it

    def counted(step, x, weight):
        rows.append(len(x))
        return linear(step, x, weight)

    monkeypatch.setattr(decoder.ops, "linear", counted)
    decoder.forward(one_sequence(TOKENS[:10], outputs=[3, 9]), decoder.new_pages(1))
    # Queries, keys and values; then what attention mixed, gate with up, and down; after the blocks, the head.
    assert rows == [10, 10, 10, 10, 10, 2, 2, 2, 2]


def test_later_tokens_do_not_change_earlier_logits(decoder):
    changed = TOKENS.copy()
    changed[50:] = (changed[50:] + 1) % 97
    assert_near(all_logits(decoder, changed)[:50], all_logits(decoder, TOKENS)[:50])


def test_two_sequences_can_share_full_pages(decoder):
    """One prefix, computed once, continued by two sequences at once."""
    pages = decoder.new_pages(3)
    decoder.forward(one_sequence(TOKENS[:PAGE_SIZE]), pages)
    ends = [TOKENS[40:45], TOKENS[50:55]]
    batch = Batch(
        tokens=np.concatenate(ends).astype(np.int32),
        starts=np.array([0, 5, 10], np.int32),
        past=np.full(2, PAGE_SIZE, np.int32),
        page_tables=np.array([[0, 1], [0, 2]], np.int32),
        outputs=np.array([4, 9], np.int32),
    )
    logits = decoder.forward(batch, pages)
    for row, end in zip(logits, ends, strict=True):
        assert_near(row, all_logits(decoder, np.concatenate([TOKENS[:PAGE_SIZE], end]))[-1])


def test_a_copied_page_continues_like_its_source(decoder):
    pages = decoder.new_pages(4)
    decoder.forward(one_sequence(TOKENS[:20]), pages)
    decoder.ops.copy_page(pages, 0, 3)
    ours = decoder.forward(one_sequence(TOKENS[20:25], past=20, first_page=3), pages)
    assert_near(ours, all_logits(decoder, TOKENS[:25])[20:])


def test_scores_are_log_softmax_of_the_logits(decoder):
    logits = all_logits(decoder, TOKENS).astype(np.float64)
    wanted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.where(np.arange(70) % 2, np.roll(TOKENS, -1), logits.argmax(axis=1)).astype(np.int32)
    logprobs, greedy = decoder.score(one_sequence(TOKENS), decoder.new_pages(3), targets)
    np.testing.assert_allclose(logprobs, wanted[np.arange(70), targets], atol=1e-4)
    np.testing.assert_array_equal(greedy, logits.argmax(axis=1) == targets)
    assert greedy[::2].all()


def test_a_decoder_knows_its_size(decoder):
    assert len(decoder.kv_layers) == decoder.config.n_layers == 2
    assert decoder.n_parameters == 2 * 97 * 64 + 64 + 2 * (2 * 64 + (64 + 32 + 32) * 64 + 64 * 64 + 3 * 96 * 64)


@pytest.mark.parametrize("ops", ["numpy", "native"])
@pytest.mark.parametrize("change", [{}, {"num_hidden_layers": 1}])
def test_the_last_layer_of_the_lens_says_what_the_model_says(tmp_path, ops, change):
    decoder = tiny_decoder(tmp_path, select_ops(ops), **change)
    batch = one_sequence(TOKENS[:10], outputs=[3, 9])
    layers = list(decoder.lens(batch, decoder.new_pages(1)))
    assert len(layers) == decoder.config.n_layers
    np.testing.assert_array_equal(layers[-1], decoder.forward(batch, decoder.new_pages(1)))
    assert len(layers) == 1 or np.abs(layers[0] - layers[-1]).max() > 1e-3


def test_logits_stay_within_the_bound_that_a_model_sets(tmp_path):
    capped = config_of("gemma2", final_logit_softcapping=1.5)
    logits = all_logits(load_decoder(random_folder(tmp_path / "m", capped), select_ops("numpy")), TOKENS)
    free = config_of("gemma2", final_logit_softcapping=None)
    plain = all_logits(load_decoder(random_folder(tmp_path / "n", free), select_ops("numpy")), TOKENS)
    assert np.abs(plain).max() > 3
    np.testing.assert_allclose(logits, 1.5 * np.tanh(plain / 1.5), atol=1e-4)
