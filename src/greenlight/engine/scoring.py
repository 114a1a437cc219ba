"""How are continuations weighed without reading their prompt twice? The state of one `ScoreRequest`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from greenlight.engine.prefix import Node
from greenlight.engine.requests import Scored, ScoreRequest
from greenlight.engine.sequence import Sequence, Target


class Scoring:
    """Splits a request into sequences that form a tree: each token is computed once for all continuations it is in.

    The first sequence is the prompt and what all continuations begin with; where continuations part, each way goes on
    as a child, on its parent's pages. A position's logits weigh the token after it, so a continuation's last token is
    never computed, and one-token continuations need no sequence beyond the prompt's.

    Args:
        request: what was asked.
        prompt: the prompt's tokens, at least one.
        arrival: the request's rank among all.
        root: the prefix tree's root.
    """

    def __init__(self, request: ScoreRequest, prompt: Iterable[int], arrival: int, root: Node) -> None:
        self.request = request
        self._root = root
        self._ranks = zip(iter(lambda: arrival, None), count())
        self._logprobs = [[0.0] * len(tokens) for tokens in request.continuations]
        self._greedy = [True] * len(request.continuations)
        self._n_left = sum(map(len, request.continuations))
        self.first = self._sequence(list(prompt), 0, tuple(range(len(request.continuations))))
        """The sequence to begin with."""

    def accept(self, target: Target, logprob: float, greedy: bool) -> None:
        """Note the weight of one token for all continuations it is in."""
        for member in target.members:
            self._logprobs[member][target.offset] = logprob
            self._greedy[member] &= greedy
        self._n_left -= len(target.members)

    def children(self, sequence: Sequence, targets: Iterable[Target]) -> list[Sequence]:
        """What goes on where a sequence ended; `targets` are its last ones."""
        last = len(sequence.tokens) - 1
        ways = [(t, self._longer(t.members, t.offset)) for t in targets if t.position == last]
        return [self._sequence([*sequence.tokens, t.token], t.offset + 1, members) for t, members in ways if members]

    @property
    def result(self) -> Scored | None:
        """The weights, once all are known."""
        if self._n_left:
            return None
        return Scored(self.request.id, tuple(map(tuple, self._logprobs)), tuple(self._greedy))

    def _sequence(self, tokens: list[int], index: int, members: tuple[int, ...]) -> Sequence:
        """Extend known tokens while all members that go on agree; members weigh their token `index` first."""
        targets: list[Target] = []
        while True:
            ways = list(self._ways(members, index))
            targets += (Target(len(tokens) - 1, token, index, group) for token, group in ways)
            going = [(token, longer) for token, group in ways if (longer := self._longer(group, index))]
            if len(going) != 1:
                return Sequence(self.request.id, next(self._ranks), tokens, self._root, targets)
            token, members = going[0]
            tokens.append(token)
            index += 1

    def _ways(self, members: tuple[int, ...], index: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each token that members have at an index, with the members that have it."""
        groups: dict[int, list[int]] = {}
        for member in members:
            groups.setdefault(self.request.continuations[member][index], []).append(member)
        return ((token, tuple(group)) for token, group in groups.items())

    def _longer(self, members: tuple[int, ...], index: int) -> tuple[int, ...]:
        """Members that have a token after an index."""
        return tuple(m for m in members if len(self.request.continuations[m]) > index + 1)
