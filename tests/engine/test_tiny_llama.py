"""The engine on a real, if tiny and random, Llama: against reading the whole sequence for each token."""

import numpy as np
import pytest

from greenlight.engine import Engine, GenerateRequest, SamplingParams, ScoreRequest
from greenlight.ops import native, select_ops
from tests.builders import all_logits, tiny_decoder
from tests.engine.fake_decoder import FakeTokenizer, log_softmax
from tests.engine.reference import greedy_tokens, logits_after, weigh


@pytest.fixture(scope="module", params=["numpy", "native"])
def decoder(request, tmp_path_factory):
    if request.param == "native" and not native.available():
        pytest.skip(f"the native ops are not built: {native.why_not()}")
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), select_ops(request.param))


@pytest.fixture
def prompts():
    rng = np.random.default_rng(4)
    shared = rng.integers(2, 97, 40).tolist()
    return [shared + rng.integers(2, 97, size).tolist() for size in (1, 24, 40)]


def test_greedy_answers_in_a_mixed_batch_are_those_of_full_reads(decoder, prompts):
    engine = Engine(decoder, FakeTokenizer(), max_batch_tokens=50)
    sampling = SamplingParams(max_tokens=8, ignore_eos=True)
    requests = [GenerateRequest(id=f"{i}", prompt=prompt, sampling=sampling) for i, prompt in enumerate(prompts)]
    answers = {answer.id: answer.tokens for answer in engine.generate(requests)}
    assert answers == {f"{i}": greedy_tokens(decoder, prompt, 8) for i, prompt in enumerate(prompts)}


def test_weights_are_the_log_softmax_of_full_reads(decoder, prompts):
    ways = ((5,), (6, 7, 8), (6, 7, 9, 10), (5, 11), tuple(range(2, 36)))
    requests = [ScoreRequest(id=f"{i}", prompt=prompt, continuations=ways) for i, prompt in enumerate(prompts)]
    for scored in Engine(decoder, FakeTokenizer(), max_batch_tokens=50).score(requests):
        prompt = prompts[int(scored.id)]
        for way, logprobs in zip(ways, scored.logprobs, strict=True):
            logits = all_logits(decoder, (*prompt, *way))[len(prompt) - 1 : -1].astype(np.float64)
            expected = [log_softmax(row)[token] for row, token in zip(logits, way, strict=True)]
            np.testing.assert_allclose(logprobs, expected, atol=2e-5)


def test_sampled_tokens_report_the_models_own_log_probabilities(decoder, prompts):
    sampling = SamplingParams(max_tokens=8, temperature=1.3, top_k=20, seed=3, logprobs=2, ignore_eos=True)
    request = GenerateRequest(id="a", prompt=prompts[1], sampling=sampling)
    (answer,) = Engine(decoder, FakeTokenizer()).generate([request])
    logprobs, _ = weigh(decoder, prompts[1], answer.tokens)
    np.testing.assert_allclose([entry.logprob for entry in answer.logprobs], logprobs, atol=2e-5)
    first = logits_after(decoder, prompts[1])
    assert [token for token, _ in answer.logprobs[0].top] == np.argsort(-first)[:2].tolist()
