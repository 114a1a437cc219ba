"""The promise of the engine: what a request gets depends on the request and the model, and on nothing else."""

import numpy as np
import pytest

from greenlight.engine import Engine, GenerateRequest, Generation, SamplingParams, ScoreRequest, TokenEvent
from greenlight.ops.protocol import PAGE_SIZE
from tests.engine.fake_decoder import FakeDecoder, FakeTokenizer
from tests.engine.reference import greedy_tokens
from tests.engine.workload import make_requests

N_REQUESTS = 150

CIRCUMSTANCES = {
    "in one go": {},
    "without a prefix cache": {"prefix_cache": False},
    "two at a time in small bites": {"max_sequences": 2, "max_batch_tokens": 16},
    "many at a time": {"max_sequences": 100, "max_batch_tokens": 4096},
    "on so few pages that many are evicted": {"n_pages": 24},
    "on so few pages that some start again": {"n_pages": 7, "max_sequences": 16, "max_batch_tokens": 40},
    "on few pages without a prefix cache": {"n_pages": 9, "prefix_cache": False, "max_batch_tokens": 100},
}


def run(engine, requests, *, cancel=None):
    """All results by request, the requests submitted little by little; `cancel` may name one to cancel per step."""
    results, waiting = {}, list(requests)
    for n_steps in range(100_000):
        while waiting and engine.n_in_flight < 40:
            engine.submit(waiting.pop(0))
        for event in engine.step():
            if not isinstance(event, TokenEvent):
                results[event.id] = event
        victim = cancel and cancel(n_steps, engine)
        if victim and (answer := engine.cancel(victim)) is not None:
            results[victim] = answer
        if engine.idle and not waiting:
            return results
    raise AssertionError("the engine stands still")


@pytest.fixture(scope="module")
def requests():
    return make_requests(N_REQUESTS, 97)


@pytest.fixture(scope="module")
def alone(requests):
    """What each request gets from an engine of its own."""
    return {r.id: next(iter(run(Engine(FakeDecoder(), FakeTokenizer()), [r]).values())) for r in requests}


def test_the_workload_exercises_what_it_should(alone):
    answers = [result for result in alone.values() if isinstance(result, Generation)]
    assert {answer.finish for answer in answers} == {"stop", "stop_string", "length"}
    assert 0.3 < len(answers) / len(alone) < 0.7


@pytest.mark.parametrize("circumstances", CIRCUMSTANCES)
def test_a_request_gets_what_it_gets_alone(requests, alone, circumstances):
    decoder = FakeDecoder()
    engine = Engine(decoder, FakeTokenizer(), **CIRCUMSTANCES[circumstances])
    order = np.random.default_rng(len(circumstances)).permutation(len(requests))
    assert run(engine, [requests[i] for i in order]) == alone
    assert engine.n_free_pages == engine.limits.n_pages
    if "start again" in circumstances:
        assert engine.n_preempted > 10
    if "evicted" in circumstances:
        assert engine.n_evicted > 50


def test_a_second_time_everything_comes_from_the_cache_and_is_the_same(requests, alone):
    engine = Engine(FakeDecoder(), FakeTokenizer(), n_pages=4000)
    assert run(engine, requests) == alone
    again = run(engine, requests)
    assert again == alone
    answers = [result for result in again.values() if isinstance(result, Generation)]
    assert all(answer.cached_tokens == (answer.prompt_tokens - 1) // 32 * 32 for answer in answers)


def test_cancelling_some_changes_nothing_for_the_others(requests, alone):
    rng = np.random.default_rng(5)
    victims = {request.id for request in requests if rng.random() < 0.4}

    def cancel(n_steps, engine):
        in_flight = sorted(victims & engine.in_flight)
        return in_flight[rng.integers(len(in_flight))] if in_flight else None

    engine = Engine(FakeDecoder(), FakeTokenizer(), n_pages=20, max_batch_tokens=64)
    results = run(engine, requests, cancel=cancel)
    cancelled = {name for name in alone if name not in results or getattr(results[name], "finish", "") == "cancelled"}
    assert len(cancelled) > 50
    assert cancelled <= victims
    assert {name: results[name] for name in alone if name not in cancelled} == {
        name: result for name, result in alone.items() if name not in cancelled
    }
    for name in cancelled & results.keys():
        n_tokens = len(results[name].tokens)
        assert results[name].tokens == alone[name].tokens[:n_tokens]
        assert alone[name].text.startswith(results[name].text)
    assert engine.n_free_pages == 20


def test_the_three_verbs_agree(requests, alone):
    answers = [r for r in requests if isinstance(r, GenerateRequest)]
    questions = [r for r in requests if isinstance(r, ScoreRequest)]
    engine = Engine(FakeDecoder(), FakeTokenizer())
    assert {result.id: result for result in engine.generate(answers)} == {r.id: alone[r.id] for r in answers}
    assert {result.id: result for result in engine.score(questions)} == {r.id: alone[r.id] for r in questions}
    for request in answers[:20]:
        *_, answer = engine.stream(request)
        assert answer == alone[request.id]


WINDOWS = {
    "half of the layers": (None, 20),
    "all layers": (40, 40),
    "most layers, and one sees itself alone": (None, 70, 70, 1),
}


@pytest.mark.parametrize("windows", WINDOWS)
def test_layers_with_windows_change_nothing_and_hold_few_pages(windows):
    requests = make_requests(24, 97)
    alone = {}
    for request in requests:
        (alone[request.id],) = run(Engine(FakeDecoder(windows=WINDOWS[windows]), FakeTokenizer()), [request]).values()
    answer = next(r for r in requests if isinstance(r, GenerateRequest) and r.sampling.temperature == 0)
    expected = greedy_tokens(FakeDecoder(windows=WINDOWS[windows]), answer.prompt, len(alone[answer.id].tokens))
    assert alone[answer.id].tokens == expected
    for circumstances in ({}, {"n_pages": 40, "max_sequences": 16, "max_batch_tokens": 40}, {"prefix_cache": False}):
        engine = Engine(FakeDecoder(windows=WINDOWS[windows]), FakeTokenizer(), **circumstances)
        assert run(engine, requests) == alone
        assert run(engine, requests[::-1]).keys() == alone.keys()
        assert engine.n_free_pages == engine.limits.n_pages


def test_a_window_lets_an_answer_be_longer_than_all_pages_hold():
    decoder = FakeDecoder(windows=(16,))
    engine = Engine(decoder, FakeTokenizer(), n_pages=3, max_batch_tokens=8, max_sequences=2)
    request = GenerateRequest(id="long", prompt=(5,) * 100, sampling=SamplingParams(max_tokens=100, temperature=0.0))
    (answer,) = engine.generate([request])
    assert answer.prompt_tokens + len(answer.tokens) > 3 * PAGE_SIZE
    assert answer.tokens == greedy_tokens(FakeDecoder(windows=(16,)), request.prompt, len(answer.tokens))
