import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from greenlight.engine import SamplingParams
from greenlight.engine.sampler import History, Noise, Row, Sampler, largest, pick, surviving

LOGITS = np.array([0.0, 2.0, 1.0, -1.0, 2.0, 0.5, -3.0, 1.5], np.float32)


def row(position=0, history=None, **params):
    return Row(SamplingParams(**params), position, history)


def softmax(logits):
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def cut(probabilities, kept):
    out = np.where(np.isin(np.arange(len(probabilities)), kept), probabilities, 0.0)
    return out / out.sum()


def test_the_most_likely_token_wins_and_of_equals_the_lowest_id():
    logits = np.stack([LOGITS, np.zeros(8, np.float32), LOGITS[::-1]])
    assert [draw.token for draw in Sampler().draw(logits, [row()] * 3)] == [1, 0, 3]


P = softmax(LOGITS)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"temperature": 1.0}, P),
        ({"temperature": 0.5}, softmax(LOGITS / np.float32(0.5))),
        ({"temperature": 2.0}, softmax(LOGITS / np.float32(2.0))),
        ({"temperature": 1.0, "top_k": 3}, cut(P, [1, 4, 7])),
        ({"temperature": 1.0, "top_p": 0.6}, cut(P, [1, 4, 7])),  # 0.295 + 0.295 < 0.6
        ({"temperature": 1.0, "min_p": 0.3}, cut(P, [1, 4, 7, 2])),  # e^-1 = 0.37 ≥ 0.3 > e^-1.5 = 0.22
        ({"temperature": 1.0, "top_k": 4, "top_p": 0.5, "min_p": 0.9}, cut(P, [1, 4])),
    ],
)
def test_tokens_come_as_often_as_their_definition_says(params, expected):
    n = 4000
    rows = [row(position, seed=11, **params) for position in range(n)]
    tokens = [draw.token for draw in Sampler().draw(np.tile(LOGITS, (n, 1)), rows)]
    counts = np.bincount(tokens, minlength=8)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert stats.chisquare(counts[possible], n * expected[possible]).pvalue > 1e-3


def test_noise_is_uniform_and_depends_on_seed_and_position_alone():
    noise = Noise()
    table = np.array([[noise.uniform(seed, position) for position in range(60)] for seed in range(50)])
    assert stats.kstest(table.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(table[:, :-1].ravel(), table[:, 1:].ravel())[0, 1]) < 0.06
    assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.06
    assert Noise().uniform(7, 9) == table[7, 9]


def test_noise_is_philox_as_numpy_gives_it():
    assert Noise().uniform(5, 3) == np.random.Generator(np.random.Philox(key=5, counter=3)).random()
    seed = 2**64 - 1
    assert Noise().uniform(seed, 10**6) == np.random.Generator(np.random.Philox(key=seed, counter=10**6)).random()


def test_a_row_is_drawn_alike_alone_and_among_others():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(40, 1000)).astype(np.float32)
    rows = [
        row(
            i, History([1, 2, 3]), temperature=i % 3, top_k=i % 7, top_p=0.9, seed=i, repetition_penalty=1.2, logprobs=3
        )
        for i in range(40)
    ]
    together = Sampler().draw(logits, rows)
    assert together == [Sampler().draw(logits[i : i + 1], rows[i : i + 1])[0] for i in range(40)]


def test_penalties_follow_their_definitions():
    history = History([1, 3])
    for token in (4, 4, 3):
        history.add(token)
    logits = LOGITS.copy()
    history.penalise(logits, SamplingParams(repetition_penalty=2.0, frequency_penalty=0.25, presence_penalty=0.1))
    expected = [0.0, 2.0 / 2, 1.0, -1.0 * 2 - 0.25 - 0.1, 2.0 / 2 - 0.5 - 0.1, 0.5, -3.0, 1.5]
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


def test_a_penalised_greedy_token_is_the_best_of_the_changed_logits():
    (draw,) = Sampler().draw(LOGITS[None], [row(0, History([1, 4]), repetition_penalty=2.0)])
    assert draw.token == 7


def test_log_probabilities_are_the_models_own_whatever_the_settings():
    params = {"temperature": 0.1, "top_k": 1, "repetition_penalty": 3.0, "logprobs": 3}
    (draw,) = Sampler().draw(LOGITS[None], [row(0, History([1, 4]), **params)])
    assert draw.token == 7
    np.testing.assert_allclose(draw.logprob, np.log(P[7]), rtol=1e-6)
    assert [token for token, _ in draw.top] == [1, 4, 7]
    np.testing.assert_allclose([logprob for _, logprob in draw.top], np.log(P[[1, 4, 7]]), rtol=1e-6)


def test_more_top_tokens_than_there_are_gives_all():
    (draw,) = Sampler().draw(LOGITS[None], [row(logprobs=100)])
    assert len(draw.top) == 8


@pytest.mark.parametrize("temperature", [1e-300, 1e-5, 1e300])
def test_no_temperature_overflows(temperature):
    rows = [row(position, temperature=temperature) for position in range(50)]
    tokens = {draw.token for draw in Sampler().draw(np.tile(LOGITS, (50, 1)), rows)}
    assert tokens <= {1, 4} if temperature < 1 else len(tokens) > 4


def test_top_k_of_one_is_greedy_even_among_equals():
    rows = [row(position, temperature=5.0, top_k=1) for position in range(50)]
    assert {draw.token for draw in Sampler().draw(np.zeros((50, 8), np.float32), rows)} == {0}


VALUES = st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 2**-8, 2**-17, 2**-30, 1.0]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=200)
@given(VALUES, st.integers(1, 40))
def test_the_largest_are_those_of_a_stable_sort(values, k):
    order = sorted(range(len(values)), key=lambda i: -values[i])
    assert largest(np.array(values, np.float32), k).tolist() == sorted(order[:k])


def test_the_largest_of_a_whole_vocabulary_are_those_of_a_stable_sort():
    values = np.round(np.random.default_rng(0).normal(size=5000) * 8).astype(np.float32)
    for k in (1, 7, 19, 20, 300, 4999, 5000):
        assert largest(values, k).tolist() == sorted(np.argsort(-values, kind="stable")[:k].tolist())


@settings(deadline=None, max_examples=300)
@given(VALUES, st.sampled_from([0.1, 0.5, 0.9, 0.999999, 1.0]), st.integers(0, 10), st.sampled_from([0.0, 0.05, 0.5]))
def test_what_survives_is_what_the_definitions_leave(values, top_p, top_k, min_p):
    weights = np.array([1.0, *values], np.float32)
    order = sorted(range(len(weights)), key=lambda i: -weights[i])[: top_k or None]
    total, kept, mass = sum(weights[sorted(order)]), [], 0.0
    for i in order:
        if mass >= top_p * total * (1 - 1e-12) and top_p < 1:
            break
        kept.append(i)
        mass += weights[i]
    expected = sorted(i for i in kept if weights[i] >= min_p)
    params = SamplingParams(temperature=1.0, top_p=top_p, top_k=top_k, min_p=min_p)
    got = surviving(weights, params).tolist()
    # Sums that differ in their last bits may end a nucleus one token sooner or later where the mass is exact.
    assert got == expected or abs(len(got) - len(expected)) <= 1


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1e-12]), min_size=1, max_size=700), st.floats(0, 1, exclude_max=True))
def test_a_pick_is_where_the_running_sum_passes_and_never_weightless(values, u):
    weights = np.array([*values, 1.0], np.float32)
    index = pick(weights, u)
    assert weights[index] > 0
    sums = np.cumsum(weights, dtype=np.float64)
    assert sums[index] >= u * sums[-1] * (1 - 1e-6)
    assert index == 0 or sums[index - 1] <= u * sums[-1] * (1 + 1e-6)
