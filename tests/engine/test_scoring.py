from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.engine import ScoreRequest
from greenlight.engine.prefix import Node
from greenlight.engine.scoring import Scoring

TOKENS = st.integers(0, 2)
WAYS = st.lists(st.lists(TOKENS, min_size=1, max_size=6).map(tuple), min_size=1, max_size=8).map(tuple)


def make(prompt, ways):
    return Scoring(ScoreRequest(id="q", prompt=prompt, continuations=ways), prompt, 5, Node())


def run(job):
    """All sequences of a job, their number of tokens computed, and all targets with the tokens before them."""
    sequences, targets = [(job.first, 0)], []
    for sequence, _ in sequences:
        for target in sequence.targets:
            targets.append((target, tuple(sequence.tokens[: target.position + 1])))
        sequences += [(child, len(sequence.tokens)) for child in job.children(sequence, sequence.targets)]
    return sequences, targets


@settings(deadline=None, max_examples=200)
@given(st.lists(TOKENS, min_size=1, max_size=3), WAYS)
def test_each_token_is_weighed_once_after_all_that_stands_before_it(prompt, ways):
    _, targets = run(make(prompt, ways))
    weighed = [(member, target.offset) for target, _ in targets for member in target.members]
    assert sorted(weighed) == [(member, offset) for member, way in enumerate(ways) for offset in range(len(way))]
    for target, before in targets:
        for member in target.members:
            assert before == (*prompt, *ways[member][: target.offset])
            assert target.token == ways[member][target.offset]


@settings(deadline=None, max_examples=200)
@given(st.lists(TOKENS, min_size=1, max_size=3), WAYS)
def test_no_token_is_computed_twice_and_no_last_one_at_all(prompt, ways):
    sequences, _ = run(make(prompt, ways))
    computed = sum(len(sequence.tokens) - start for sequence, start in sequences)
    needed = {(*prompt, *way[:n]) for way in ways for n in range(len(way))}
    assert computed == len(prompt) - 1 + len(needed)


@settings(deadline=None, max_examples=100)
@given(WAYS)
def test_targets_ascend_and_sequences_end_with_one_and_rank_after_their_parents(ways):
    sequences, _ = run(make([0], ways))
    for sequence, _ in sequences:
        positions = [target.position for target in sequence.targets]
        assert positions == sorted(positions)
        assert positions[-1] == len(sequence.tokens) - 1
    ranks = [sequence.rank for sequence, _ in sequences]
    assert sorted(ranks) == [(5, n) for n in range(len(ranks))]
    assert ranks[0] == (5, 0)


def test_the_result_is_there_when_all_is_known_and_not_before():
    job = make([0], ((1, 2), (1,)))
    (first, second) = job.first.targets
    job.accept(first, -1.0, True)
    assert job.result is None
    job.accept(second, -2.0, False)
    assert job.result.logprobs == ((-1.0, -2.0), (-1.0,))
    assert job.result.greedy == (False, True)
