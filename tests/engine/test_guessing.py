"""Guesses save steps and change no answer: not where they are half right, not on scarce pages, not at any limit."""

import dataclasses

import numpy as np
import pytest

from greenlight.engine import Engine, GenerateRequest, SamplingParams
from greenlight.engine.guessing import FIRST, LONGEST_REST, MOST, Guessing
from greenlight.engine.local import LocalModel
from greenlight.model.decoder import Decoder
from greenlight.ops import native
from tests.engine.fake_decoder import FakeDecoder, FakeTokenizer
from tests.engine.test_invariance import run
from tests.engine.workload import make_requests

FEW_WORDS = 4
"""So that what was there before comes again, and about a third of all guesses are right."""

CIRCUMSTANCES = {
    "one at a time": {"max_sequences": 1},
    "two at a time in small bites": {"max_sequences": 2, "max_batch_tokens": 7},
    "four at a time on few pages": {"max_sequences": 4, "max_batch_tokens": 16},
    "one at a time without a prefix cache": {"max_sequences": 1, "prefix_cache": False},
}


@pytest.fixture(scope="module")
def requests():
    """Answers of a few words; ends and stop strings fall into guesses."""
    made = make_requests(60, FEW_WORDS, max_prompt=110, max_tokens=60, seed=5)
    own = [
        dataclasses.replace(r, sampling=dataclasses.replace(r.sampling, stop=("bab", "aaaa")[i % 2 :]))
        if isinstance(r, GenerateRequest)
        else r
        for i, r in enumerate(made)
    ]
    at_the_end = SamplingParams(max_tokens=500, ignore_eos=True)
    return [*own, GenerateRequest(id="to the last position", prompt=[2, 3] * 15, sampling=at_the_end)]


@pytest.mark.parametrize(("windows", "few"), [((None,), 7), ((None, 40, 5), 13)], ids=["all positions", "windows"])
@pytest.mark.parametrize("circumstances", CIRCUMSTANCES)
def test_answers_are_the_same_in_fewer_steps(requests, circumstances, windows, few):
    found, passes, settings = [], [], dict(CIRCUMSTANCES[circumstances])
    if "few pages" in circumstances:
        settings["n_pages"] = few  # no more than the longest request needs
    for guesses in (False, True):
        decoder = FakeDecoder(FEW_WORDS, max_seq_len=200, windows=windows)
        engine = Engine(decoder, FakeTokenizer(FEW_WORDS), guesses=guesses, **settings)
        found.append(run(engine, requests))
        passes.append(decoder.n_passes)
        assert engine.n_free_pages == engine.limits.n_pages
    assert found[0] == found[1]
    assert found[0]["to the last position"].finish == "context"
    assert passes[1] < passes[0]


@pytest.mark.skipif(not native.available(), reason=f"the native ops are not built: {native.why_not()}")
@pytest.mark.parametrize(("temperature", "at_most"), [(0.0, 30), (0.7, 50)])
def test_on_the_kernels_a_repeated_text_takes_fewer_steps(default_model, monkeypatch, temperature, at_most):
    model = LocalModel.load(default_model, ops="native")
    text = "The quick brown fox jumps over the lazy dog. " * 6
    sampling = SamplingParams(temperature=temperature, max_tokens=60, logprobs=2, ignore_eos=True)
    ask = GenerateRequest(id="a", prompt=tuple(model.encode(text)), sampling=sampling)
    steps, forward = [], model.decoder.forward
    monkeypatch.setattr(Decoder, "forward", lambda _, batch, pages: (steps.append(1), forward(batch, pages))[1])
    expected = run(model.engine(guesses=False), [ask])["a"]
    assert len(steps) == 60
    steps.clear()
    assert run(model.engine(), [ask])["a"] == expected
    assert len(steps) < at_most


class Monotone(FakeDecoder):
    """Says one word for ever: each guess is right, and they grow as long as they may."""

    def _logits(self, states):
        return np.tile(np.eye(1, self.config.vocab_size, 3, dtype=np.float32), (len(states), 1))


@pytest.mark.parametrize(("max_tokens", "finish", "n_tokens"), [(43, "length", 43), (500, "context", 70)])
def test_no_guess_reaches_beyond_the_answers_last_token_or_the_models_last_position(max_tokens, finish, n_tokens):
    decoder = Monotone(FEW_WORDS, max_seq_len=100)  # which looks at positions itself
    sampling = SamplingParams(max_tokens=max_tokens, ignore_eos=True)
    answer = run(
        Engine(decoder, FakeTokenizer(FEW_WORDS)), [GenerateRequest(id="a", prompt=[3] * 30, sampling=sampling)]
    )["a"]
    assert (answer.finish, answer.tokens) == (finish, (3,) * n_tokens)
    assert decoder.n_tokens == 30 + n_tokens - 1
    assert decoder.n_passes < n_tokens / 4


def test_operations_whose_bits_depend_on_the_batch_are_not_given_guesses(requests):
    decoder = FakeDecoder(FEW_WORDS, max_seq_len=200)
    decoder.ops.batch_invariant = False
    engine = Engine(decoder, FakeTokenizer(FEW_WORDS), max_sequences=1)
    run(engine, [GenerateRequest(id="a", prompt=[2, 3] * 15, sampling=SamplingParams(max_tokens=50, ignore_eos=True))])
    assert decoder.n_tokens == 30 + 49


def test_what_followed_the_last_time_is_guessed_and_nothing_that_was_never_there():
    tokens = [1, 2, 3, 4, 5, 6, 9, 1, 2, 3]
    guessing = Guessing(tokens)
    assert guessing.guess(8) == (4, 5)
    assert guessing.guess(1) == (4,)
    assert guessing.guess(0) == ()
    tokens += [7, 8]
    assert guessing.guess(8) == ()
    tokens += [1, 2, 3]
    assert guessing.guess(8) == (7, 8), "what came last, not what came first"


def test_right_guesses_grow_and_wrong_ones_rest_ever_longer():
    guessing = Guessing([1, 2, 3] * 20)
    for length in (FIRST, 2 * FIRST, MOST, MOST):
        assert len(guessing.guess(100)) == length
        guessing.learn(length, length)
    rests = []
    for _ in range(9):
        guessing.learn(2, 0)
        rests.append(next(n for n in range(1000) if guessing.guess(100)))
    assert rests == [1, 2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST, LONGEST_REST]
    assert len(guessing.guess(100)) == FIRST


def test_wrong_guesses_cost_few_rows():
    """A model that never repeats itself: its three tokens come again, what follows does not."""
    rng = np.random.default_rng(0)
    tokens = [1, 2, 3]
    guessing, n_guessed = Guessing(tokens), 0
    for _ in range(300):
        tokens += [int(rng.integers(100, 10**9)), 1, 2, 3]
        n_guessed += len(guess := guessing.guess(8))
        if guess:
            guessing.learn(len(guess), 0)
    assert 0 < n_guessed < 30
