"""Requests of every kind that like to get in each other's way: shared beginnings, all settings, all lengths."""

import numpy as np

from greenlight.engine import GenerateRequest, SamplingParams, ScoreRequest

STOPS = ((), (), ("e",), ("ab", "q."), (" the", "zz", "c"))


def make_requests(n, vocab_size, *, max_prompt=150, max_tokens=40, seed=0):
    """Requests by a seed; half of them weigh continuations, most begin like others."""
    rng = np.random.default_rng(seed)
    beginnings = [rng.integers(0, vocab_size, size).tolist() for size in (31, 32, 33, 64, max_prompt * 2 // 3)]
    return [_make(rng, f"{i}", beginnings, vocab_size, max_prompt, max_tokens) for i in range(n)]


def _make(rng, name, beginnings, vocab_size, max_prompt, max_tokens):
    shared = beginnings[rng.integers(len(beginnings))] if rng.random() < 0.7 else []
    own = rng.integers(0, vocab_size, 1 + rng.integers(max_prompt - len(shared))).tolist()
    prompt = (shared + own[: 1 + rng.integers(len(own))])[:max_prompt]
    if rng.random() < 0.5:
        return ScoreRequest(id=name, prompt=prompt, continuations=_continuations(rng, vocab_size))
    return GenerateRequest(id=name, prompt=prompt, sampling=_sampling(rng, max_tokens))


def _continuations(rng, vocab_size):
    """A few continuations, many of which begin like another one."""
    ways = [rng.integers(0, vocab_size, 1 + rng.integers(6)).tolist()]
    for _ in range(rng.integers(6)):
        begin = ways[rng.integers(len(ways))]
        begin = begin[: rng.integers(len(begin) + 1)]
        ways.append(begin + rng.integers(0, vocab_size, 1 + rng.integers(8)).tolist())
    if rng.random() < 0.2:
        ways.append(rng.integers(0, vocab_size, 40).tolist())
    return tuple(map(tuple, ways))


def _sampling(rng, max_tokens):
    greedy = rng.random() < 0.4
    penalised = rng.random() < 0.3
    return SamplingParams(
        temperature=0.0 if greedy else float(rng.choice([0.3, 1.0, 1.7])),
        top_k=int(rng.choice([0, 0, 1, 5, 50])),
        top_p=float(rng.choice([1.0, 1.0, 0.9, 0.3])),
        min_p=float(rng.choice([0.0, 0.0, 0.05])),
        repetition_penalty=1.3 if penalised else 1.0,
        presence_penalty=0.4 if penalised else 0.0,
        frequency_penalty=0.2 if penalised else 0.0,
        seed=int(rng.integers(2**63)),
        max_tokens=int(1 + rng.integers(max_tokens)),
        stop=STOPS[rng.integers(len(STOPS))],
        logprobs=int(rng.choice([0, 0, 3])),
        ignore_eos=bool(rng.random() < 0.5),
    )
