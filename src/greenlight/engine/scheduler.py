"""Who runs next, on which pages? A pure function of what was submitted and how many steps were taken."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from operator import attrgetter

from greenlight.engine.pages import PagePool
from greenlight.engine.prefix import PrefixTree
from greenlight.engine.sequence import Chunk, Sequence
from greenlight.ops.protocol import PAGE_SIZE

_rank = attrgetter("rank")


class Scheduler:
    """Fills each step with at most `max_batch_tokens` tokens, mixing decode and prefill.

    Sequences with one pending token come first, so that answers flow while long prompts are read; what is left of the
    budget goes to prompts, oldest first, cut into chunks where they do not fit. A prompt is admitted when the pages
    for all of it are to be had. When pages run out, the prefix tree gives up its least recently used ones, then the
    youngest sequence gives up its own and starts again later; so the oldest one always moves on.

    Args:
        pool: the pages.
        tree: which of them hold known prefixes.
        copy_page: copies the content of one page to another.
        max_batch_tokens: tokens a step may hold.
        max_sequences: sequences that may be under way before another request is admitted.
    """

    def __init__(
        self,
        pool: PagePool,
        tree: PrefixTree,
        copy_page: Callable[[int, int], None],
        *,
        max_batch_tokens: int,
        max_sequences: int,
    ) -> None:
        self._pool, self._tree, self._copy_page = pool, tree, copy_page
        self._max_batch_tokens, self._max_sequences = max_batch_tokens, max_sequences
        self._running: list[Sequence] = []
        self._waiting: list[Sequence] = []
        self.n_preempted = 0
        """How often a sequence gave up its pages and started again."""

    @property
    def n_waiting(self) -> int:
        """Sequences that hold no pages yet, or no longer."""
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """Sequences that hold pages."""
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence by its rank."""
        insort(self._waiting, sequence, key=_rank)

    def plan(self) -> list[Chunk]:
        """What the next step computes; pages for it are held, and shared pages copied, when this returns."""
        chunks = self._give_pages(self._share_budget())
        left = self._max_batch_tokens - sum(chunk.stop - chunk.start for chunk in chunks)
        return chunks + self._admit(left)

    def advance(self, chunk: Chunk) -> None:
        """A chunk was computed: its full pages may be found by others from now on."""
        sequence = chunk.sequence
        sequence.n_computed = chunk.stop
        while (depth := sequence.node.depth) < chunk.stop // PAGE_SIZE:
            node = self._tree.add(sequence.node, sequence.tokens, sequence.pages[depth])
            if node is None:
                return
            if node.page != sequence.pages[depth]:
                # Two sequences computed the same page in the same step: the later one gives up its copy.
                self._pool.hold(node.page)
                self._pool.drop(sequence.pages[depth])
                sequence.pages[depth] = node.page
            sequence.node = node

    def finish(self, sequence: Sequence, children: Iterable[Sequence] = ()) -> None:
        """A sequence ended; its children, if any, go on from its last position, on its pages."""
        for child in children:
            child.n_computed, child.pages, child.node = sequence.n_computed, list(sequence.pages), sequence.node
            for page in child.pages:
                self._pool.hold(page)
            insort(self._running, child, key=_rank)
        self._running.remove(sequence)
        self._release(sequence)

    def remove(self, request_id: str) -> None:
        """Forget all sequences of a request and let their pages go."""
        for sequence in [s for s in self._running if s.request_id == request_id]:
            self.finish(sequence)
        self._waiting = [s for s in self._waiting if s.request_id != request_id]

    def _share_budget(self) -> list[Chunk]:
        """Chunks for the sequences under way, oldest first."""
        left = self._max_batch_tokens
        sizes: dict[Sequence, int] = {}
        for sequence in self._running:
            if left and sequence.n_pending == 1:
                sizes[sequence] = 1
                left -= 1
        for sequence in self._running:
            if left and sequence not in sizes:
                self._match(sequence)
                sizes[sequence] = min(left, sequence.n_pending)
                left -= sizes[sequence]
        return [Chunk(s, s.n_computed, s.n_computed + sizes[s]) for s in self._running if s in sizes]

    def _give_pages(self, chunks: list[Chunk]) -> list[Chunk]:
        """Find pages for chunks, oldest first; those whose pages went to an older one drop out."""
        return [chunk for chunk in chunks if chunk.sequence.pages and self._secure(chunk)]

    def _secure(self, chunk: Chunk) -> bool:
        """Pages to write a chunk to, preempting from the youngest; False if that is the chunk's own sequence."""
        while not self._grow(chunk.sequence, chunk.stop):
            youngest = self._running[-1]
            self._preempt(youngest)
            if youngest is chunk.sequence:
                return False
        return True

    def _grow(self, sequence: Sequence, stop: int) -> bool:
        """Pages for positions up to `stop`, the last shared one replaced by a copy; False if there are too few."""
        pages = sequence.pages
        first = sequence.n_computed // PAGE_SIZE
        if first < len(pages) and self._pool.n_holders(pages[first]) > 1:
            copy = self._tree.take_page()
            if copy is None:
                return False
            self._copy_page(pages[first], copy)
            self._pool.drop(pages[first])
            pages[first] = copy
        while len(pages) * PAGE_SIZE < stop:
            page = self._tree.take_page()
            if page is None:
                return False
            pages.append(page)
        return True

    def _admit(self, left: int) -> list[Chunk]:
        """Chunks for waiting sequences, oldest first, while tokens, places and pages last."""
        chunks = []
        while left and self._waiting and len(self._running) < self._max_sequences:
            sequence = self._waiting[0]
            self._match(sequence)
            missing = -(-len(sequence.tokens) // PAGE_SIZE) - len(sequence.pages)
            # Those under way may each need another page soon: leave it to them, or they would take it back.
            if missing + len(self._running) > self._pool.n_available and self._running:
                self._release(sequence)
                break
            del self._waiting[0]
            insort(self._running, sequence, key=_rank)
            stop = sequence.n_computed + min(left, sequence.n_pending)
            grown = self._grow(sequence, stop)
            assert grown, "pages were counted before"
            chunks.append(Chunk(sequence, sequence.n_computed, stop))
            left -= stop - sequence.n_computed
        return chunks

    def _match(self, sequence: Sequence) -> None:
        """Skip what the prefix tree holds of the coming positions, up to the first whose logits are wanted."""
        while sequence.n_computed == len(sequence.pages) * PAGE_SIZE == sequence.node.depth * PAGE_SIZE:
            node = self._tree.find(sequence.node, sequence.tokens, sequence.first_output)
            if node is None:
                return
            self._pool.hold(node.page)
            sequence.pages.append(node.page)
            sequence.node = node
            sequence.n_computed += PAGE_SIZE
            sequence.n_cached += PAGE_SIZE

    def _preempt(self, sequence: Sequence) -> None:
        self.n_preempted += 1
        self._running.remove(sequence)
        self._release(sequence)
        self.add(sequence)

    def _release(self, sequence: Sequence) -> None:
        """Drop all pages, the deepest first, as the prefix tree's order of eviction needs."""
        for page in reversed(sequence.pages):
            self._pool.drop(page)
        sequence.pages, sequence.node = [], self._tree.root
        sequence.n_computed = sequence.n_cached = 0
