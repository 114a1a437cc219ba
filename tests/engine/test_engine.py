import numpy as np
import pytest

from greenlight.engine import Engine, GenerateRequest, Generation, SamplingParams, ScoreRequest, TokenEvent
from greenlight.engine.sampler import Row, Sampler
from greenlight.errors import ConfigError, EngineError
from tests.engine.fake_decoder import FakeDecoder, FakeTokenizer
from tests.engine.reference import greedy_tokens, logits_after, weigh


@pytest.fixture
def decoder():
    return FakeDecoder()


@pytest.fixture
def make_engine(decoder):
    return lambda **settings: Engine(decoder, FakeTokenizer(decoder.config.vocab_size), **settings)


def ask(name, prompt, **settings):
    return GenerateRequest(id=name, prompt=tuple(prompt), sampling=SamplingParams(**settings))


def drain(engine):
    events = []
    while not engine.idle:
        events += engine.step()
    return events


def test_a_greedy_answer_is_what_reading_the_whole_sequence_for_each_token_gives(make_engine, decoder):
    prompt = range(2, 45)
    (answer,) = make_engine().generate([ask("a", prompt, max_tokens=40)])
    assert answer.tokens == greedy_tokens(FakeDecoder(), prompt, 40, eos_ids={1})
    assert answer.finish == ("stop" if answer.tokens[-1] == 1 else "length")
    assert answer.prompt_tokens == 43


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 63, 64, 65, 90])
def test_weights_are_those_of_each_continuation_alone_whatever_the_length_of_the_question(make_engine, length, decoder):
    prompt = [2 + i % 50 for i in range(length)]
    ways = ((5,), (6,), (5, 7), (5, 7, 8, *range(2, 40)), (5, 7, 9), (5,), (60, 61, 62), (60, 61, 63), tuple(range(70)))
    (scored,) = make_engine().score([ScoreRequest(id="q", prompt=prompt, continuations=ways)])
    for way, logprobs, greedy in zip(ways, scored.logprobs, scored.greedy, strict=True):
        expected, expected_greedy = weigh(FakeDecoder(), prompt, way)
        np.testing.assert_allclose(logprobs, expected, rtol=1e-6)
        assert greedy == expected_greedy


def test_greedy_is_true_for_the_answer_that_generation_gives(make_engine):
    (answer,) = make_engine().generate([ask("a", range(2, 40), max_tokens=8, ignore_eos=True)])
    other = (*answer.tokens[:-1], (answer.tokens[-1] + 1) % 97)
    request = ScoreRequest(id="q", prompt=range(2, 40), continuations=(answer.tokens, other))
    (scored,) = make_engine().score([request])
    assert scored.greedy == (True, False)


def test_one_token_that_is_not_the_most_likely_makes_a_continuation_not_greedy(make_engine):
    start = (*range(2, 40), 50)
    best = greedy_tokens(FakeDecoder(), start, 3)
    request = ScoreRequest(id="q", prompt=start[:-1], continuations=((50, *best),))
    (scored,) = make_engine().score([request])
    assert scored.greedy == (greedy_tokens(FakeDecoder(), start[:-1], 1) == (50,),) == (False,)


def test_a_token_is_drawn_by_seed_and_position_in_the_sequence(make_engine):
    params = SamplingParams(temperature=1.5, seed=7, max_tokens=10, ignore_eos=True)
    (answer,) = make_engine().generate([GenerateRequest(id="a", prompt=tuple(range(2, 40)), sampling=params)])
    tokens = list(range(2, 40))
    for _ in range(10):
        (draw,) = Sampler().draw(logits_after(FakeDecoder(), tokens)[None], [Row(params, len(tokens), None)])
        tokens.append(draw.token)
    assert answer.tokens == tuple(tokens[38:])


def test_a_question_is_read_once_for_all_its_continuations(make_engine, decoder):
    request = ScoreRequest(id="q", prompt=range(2, 72), continuations=((2, 3, 4), (5, 6, 7), (5, 8, 9), (11,)))
    list(make_engine(prefix_cache=False).score([request]))
    assert decoder.n_tokens == 70 + 2 + 3  # the prompt; 2 3; 5 and its ways 6, 8
    assert decoder.ops.n_copies == 2  # each part of the tree of continuations but the last to write copies its page


def test_an_empty_prompt_stands_for_the_beginning_of_text(make_engine):
    requests = [ScoreRequest(id=n, prompt=p, continuations=((5, 6),)) for n, p in (("empty", ()), ("bos", (0,)))]
    empty, bos = make_engine().score(requests)
    assert empty.logprobs == bos.logprobs


def test_a_tokenizer_without_beginning_of_text_begins_with_its_end_of_text(make_engine):
    engine = make_engine()
    engine.tokenizer.bos_id = None
    requests = [ScoreRequest(id=n, prompt=p, continuations=((5, 6),)) for n, p in (("empty", ()), ("eos", (1,)))]
    empty, eos = engine.score(requests)
    assert empty.logprobs == eos.logprobs


def test_events_tell_the_answer_token_by_token(make_engine):
    *tokens, answer = make_engine().stream(ask("a", range(2, 30), max_tokens=30, logprobs=2, ignore_eos=True))
    assert all(isinstance(event, TokenEvent) for event in tokens)
    assert isinstance(answer, Generation)
    assert tuple(event.token for event in tokens) == answer.tokens
    assert "".join(event.text for event in tokens) == answer.text
    assert [event.logprob for event in tokens] == [entry.logprob for entry in answer.logprobs]
    assert all(entry.top[0] == (entry.token, entry.logprob) for entry in answer.logprobs)
    assert all(len(entry.top) == 2 for entry in answer.logprobs)


def test_a_stop_string_ends_the_answer_before_it_even_across_tokens(make_engine):
    (whole,) = make_engine().generate([ask("a", range(2, 30), max_tokens=30, ignore_eos=True)])
    stop = whole.text[9:13]
    *tokens, answer = make_engine().stream(ask("a", range(2, 30), max_tokens=30, ignore_eos=True, stop=(stop,)))
    assert answer.finish == "stop_string"
    assert answer.text == whole.text[: whole.text.index(stop)] == "".join(event.text for event in tokens)
    assert answer.tokens == whole.tokens[: len(answer.tokens)]


def test_the_end_token_is_a_token_of_the_answer_but_not_of_its_text(make_engine):
    answers = make_engine().generate(ask(f"{i}", (2 + i, 3), max_tokens=200) for i in range(40))
    ended = [answer for answer in answers if answer.finish == "stop"]
    assert ended
    assert all(answer.tokens.index(1) == len(answer.tokens) - 1 for answer in ended)
    (ignoring,) = make_engine().generate([ask("0", (2 + int(ended[0].id), 3), max_tokens=200, ignore_eos=True)])
    assert len(ignoring.tokens) == 200
    assert ignoring.text.startswith(ended[0].text)


def test_an_answer_that_reaches_the_end_of_the_context_says_so(make_engine):
    (answer,) = make_engine().generate([ask("a", [2] * 250, max_tokens=100, ignore_eos=True)])
    assert (answer.finish, len(answer.tokens)) == ("context", 6)


def test_a_prompt_without_room_for_an_answer_is_refused_not_cut(make_engine):
    with pytest.raises(EngineError, match=r"no room(.|\n)*256 tokens; the model's max_seq_len is 256"):
        make_engine().submit(ask("a", [2] * 256))
    with pytest.raises(EngineError, match=r"longer than the context(.|\n)*257"):
        make_engine().submit(ScoreRequest(id="q", prompt=[2] * 250, continuations=([2] * 8,)))
    make_engine().submit(ScoreRequest(id="q", prompt=[2] * 250, continuations=([2] * 7,)))


def test_an_empty_prompt_takes_a_position_of_the_context(make_engine):
    with pytest.raises(EngineError, match=r"longer than the context(.|\n)*257"):
        make_engine().submit(ScoreRequest(id="q", prompt=(), continuations=([2] * 257,)))
    (scored,) = make_engine().score([ScoreRequest(id="q", prompt=(), continuations=([2] * 256,))])
    assert len(scored.logprobs[0]) == 256


def test_a_request_that_no_pool_of_this_size_could_hold_names_the_setting(make_engine):
    with pytest.raises(EngineError, match=r"161 tokens.* 6 pages; there are 5(.|\n)*kv_bytes to 1536 \(n_pages 6\)"):
        make_engine(n_pages=5).submit(ask("a", [2] * 62, max_tokens=100))
    make_engine(n_pages=5).submit(ask("a", [2] * 61, max_tokens=100))


def test_ids_in_flight_are_unique_and_free_again_at_the_end(make_engine):
    engine = make_engine()
    engine.submit(ask("a", [2], max_tokens=2))
    with pytest.raises(EngineError, match="id is in flight"):
        engine.submit(ScoreRequest(id="a", prompt=[2], continuations=((3,),)))
    drain(engine)
    engine.submit(ask("a", [2], max_tokens=2))


@pytest.mark.parametrize("token", [-1, 97])
def test_token_ids_outside_the_vocabulary_are_refused_by_place(make_engine, token):
    with pytest.raises(EngineError, match=f"prompt of request 'a'(.|\n)*{token}; ids go from 0 to 96"):
        make_engine().submit(ask("a", [2, token]))
    with pytest.raises(EngineError, match="continuation 1 of request 'q'"):
        make_engine().submit(ScoreRequest(id="q", prompt=[2], continuations=((3,), (token,))))


def test_cancelling_twice_or_what_was_never_there_is_an_error(make_engine):
    engine = make_engine()
    with pytest.raises(EngineError, match="no request of this id is in flight"):
        engine.cancel("a")
    engine.submit(ask("a", [2]))
    engine.cancel("a")
    with pytest.raises(EngineError, match="no request of this id is in flight"):
        engine.cancel("a")


@pytest.mark.parametrize("n_steps", [0, 1, 5])
def test_cancelling_frees_pages_at_once_and_returns_what_there_is(make_engine, n_steps):
    engine = make_engine(n_pages=16)
    engine.submit(ask("a", range(2, 60), max_tokens=100, ignore_eos=True))
    engine.submit(ScoreRequest(id="q", prompt=range(2, 80), continuations=(range(2, 40), range(3, 60))))
    for _ in range(n_steps):
        engine.step()
    results = {name: engine.cancel(name) for name in engine.in_flight}
    assert engine.n_free_pages == 16
    assert results["a"].finish == "cancelled"
    assert len(results["a"].tokens) == n_steps
    assert results.get("q") is None
    assert engine.idle
    assert engine.step() == []


def test_closing_an_iterator_cancels_what_it_asked_for(make_engine):
    engine = make_engine()
    stream = engine.stream(ask("a", range(2, 60), max_tokens=100, ignore_eos=True))
    next(stream)
    stream.close()
    answers = engine.generate(ask(f"{i}", [2 + i] * 40, max_tokens=2 + i) for i in range(50))
    next(answers)
    answers.close()
    assert engine.idle
    assert engine.n_free_pages == engine.limits.n_pages


def test_iterators_side_by_side_get_their_own_events(make_engine):
    engine = make_engine()
    first = engine.stream(ask("a", range(2, 20), max_tokens=12, ignore_eos=True))
    second = engine.generate(ask(f"{i}", [2 + i], max_tokens=5) for i in range(3))
    engine.submit(ask("loose", [2, 3], max_tokens=3, ignore_eos=True))
    seen = [next(first), next(second), *first, *second]
    assert {event.id for event in seen} == {"a", "0", "1", "2"}
    assert [event.id for event in drain(engine)] == ["loose"] * 4


def test_an_iterator_whose_last_request_is_cancelled_by_another_still_yields_its_end(make_engine):
    engine = make_engine()
    stream = engine.stream(ask("a", range(2, 20), max_tokens=12, ignore_eos=True))
    next(stream)
    answer = engine.cancel("a")
    assert answer.finish == "cancelled"
    assert list(stream) == [answer]
    engine = make_engine(max_batch_tokens=64)
    scores = engine.score(ScoreRequest(id=f"{i}", prompt=[2], continuations=((3,) * (1 + 150 * i),)) for i in range(2))
    next(scores)
    assert engine.cancel("1") is None
    assert list(scores) == []


def test_requests_are_taken_as_room_is_made(make_engine):
    taken = []

    def requests():
        for i in range(100):
            taken.append(i)
            yield ask(f"{i}", [2 + i % 90], max_tokens=3, ignore_eos=True)

    engine = make_engine(max_sequences=4)
    answers = engine.generate(requests())
    next(answers)
    assert len(taken) <= 16
    assert len(list(answers)) == 99


def test_an_impossible_request_among_others_cancels_them_and_says_which(make_engine):
    engine = make_engine()
    requests = [ask("a", [2]), ask("b", [2] * 300)]
    with pytest.raises(EngineError, match="'b'"):
        list(engine.generate(requests))
    assert engine.idle


def test_a_verb_refuses_the_other_verbs_requests(make_engine):
    with pytest.raises(ConfigError, match="GenerateRequest in place of ScoreRequest"):
        list(make_engine().score([ask("a", [2])]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_sequences": 0}, "max_sequences is 0"),
        ({"max_batch_tokens": 8, "max_sequences": 8}, "max_batch_tokens is 8"),
        ({"n_pages": 0}, "no memory for a single page"),
        ({"kv_bytes": 255}, "raise kv_bytes to at least 256"),
        ({"n_pages": 1, "kv_bytes": 512}, "both kv_bytes and n_pages"),
    ],
)
def test_impossible_settings_are_refused(make_engine, settings, message):
    with pytest.raises(ConfigError, match=message):
        make_engine(**settings)


def test_no_step_holds_more_tokens_than_allowed(make_engine, decoder):
    engine = make_engine(max_batch_tokens=20, max_sequences=6)
    list(engine.generate(ask(f"{i}", [2 + i] * 50, max_tokens=9) for i in range(12)))
    assert decoder.most_tokens == 20


def test_the_same_requests_give_the_same_events_in_the_same_steps(decoder):
    def events():
        engine = Engine(FakeDecoder(), FakeTokenizer(), n_pages=12, max_batch_tokens=48)
        for i in range(20):
            engine.submit(ask(f"{i}", [2 + i % 3] * (10 + 7 * i), max_tokens=30, temperature=1.0, seed=i))
            engine.submit(ScoreRequest(id=f"q{i}", prompt=[3] * (5 + i), continuations=((4, i), (5, 6, i))))
        steps = []
        while not engine.idle:
            steps.append(engine.step())
        return steps

    assert events() == events()


def test_logits_that_are_not_numbers_are_an_error_not_an_answer(make_engine, decoder, monkeypatch):
    monkeypatch.setattr(decoder, "_logits", lambda states: np.full((len(states), 97), np.nan, np.float32))
    engine = make_engine()
    with pytest.raises(EngineError, match="not finite"):
        list(engine.generate([ask("a", [2])]))
    with pytest.raises(EngineError, match="not finite"):
        list(engine.score([ScoreRequest(id="q", prompt=[2], continuations=((3,),))]))
    assert engine.idle
