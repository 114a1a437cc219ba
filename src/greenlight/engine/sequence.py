"""What does the scheduler move? One run of tokens on its way through the model, and the pages it has filled."""

from __future__ import annotations

from typing import NamedTuple

from greenlight.engine.prefix import Node


class Target(NamedTuple):
    """A token to be weighed by the logits at one position."""

    position: int
    """Where the logits are read: the position before the token's own."""

    token: int
    """The token to weigh."""

    offset: int
    """Its place in the continuation."""

    members: tuple[int, ...]
    """The continuations that this weight belongs to."""


class Sequence:
    """Tokens known so far, how many of them the pages hold, and what is wanted of the rest.

    Args:
        request_id: the request it belongs to.
        rank: age; the lower one goes first and is preempted last.
        tokens: known token ids; a generated one is appended here.
        root: the prefix tree's root.
        targets: tokens to weigh, by ascending position; empty for a sequence that generates.
    """

    __slots__ = ("n_cached", "n_computed", "n_gone", "node", "rank", "request_id", "tables", "targets", "tokens")

    def __init__(
        self, request_id: str, rank: tuple[int, int], tokens: list[int], root: Node, targets: list[Target] | None = None
    ) -> None:
        self.request_id, self.rank, self.tokens = request_id, rank, tokens
        self.targets: list[Target] = targets or []
        self.n_computed = 0
        """Positions whose keys and values are in the pages."""
        self.n_cached = 0
        """How many of them were found in the prefix tree since it last started."""
        self.tables: list[list[int]] = []
        """By group of layers, pages in order, each held once by this sequence; -1 for those that left the window."""
        self.n_gone: list[int] = []
        """By group, how many of them have left."""
        self.node = root
        """The deepest page of this sequence that is in the prefix tree."""

    @property
    def holds_pages(self) -> bool:
        """Whether it is under way."""
        return any(self.tables)

    @property
    def n_pending(self) -> int:
        """Tokens that the model has yet to see."""
        return len(self.tokens) - self.n_computed

    @property
    def first_output(self) -> int:
        """The first position whose logits are wanted: it must be computed, whatever the cache holds."""
        return self.targets[0].position if self.targets else len(self.tokens) - 1


class Chunk(NamedTuple):
    """Positions `start` to `stop` of a sequence, to be computed in one step, and a guess of what follows them."""

    sequence: Sequence
    start: int
    stop: int
    guess: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it reaches the last known token."""
        return self.stop == len(self.sequence.tokens)

    @property
    def n_rows(self) -> int:
        """Rows that it takes in the step."""
        return self.stop - self.start + len(self.guess)
