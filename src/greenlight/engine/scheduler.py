"""Who runs next, on which pages? A pure function of what was submitted and how many steps were taken."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Sequences
from operator import attrgetter

from greenlight.engine.pages import PagePool
from greenlight.engine.prefix import PrefixTree
from greenlight.engine.sequence import Chunk, Sequence
from greenlight.model.kv_groups import ONE_GROUP, KVGroup
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
        groups: of layers; a sequence holds pages for each, and lets go of what has left a group's window.
        max_batch_tokens: tokens a step may hold.
        max_sequences: sequences that may be under way before another request is admitted.
    """

    def __init__(
        self,
        pool: PagePool,
        tree: PrefixTree,
        copy_page: Callable[[int, int], None],
        groups: Sequences[KVGroup] = ONE_GROUP,
        *,
        max_batch_tokens: int,
        max_sequences: int,
    ) -> None:
        self._pool, self._tree, self._copy_page, self._groups = pool, tree, copy_page, groups
        self._max_batch_tokens, self._max_sequences = max_batch_tokens, max_sequences
        self._running: list[Sequence] = []
        self._waiting: list[Sequence] = []
        self.n_preempted = 0
        """How often a sequence gave up its pages and started again."""
        self.most_held = [0] * len(groups)
        """By group, most pages that sequences held in one step; a shared page counts for each that holds it."""

    @property
    def n_waiting(self) -> int:
        """Sequences that hold no pages yet, or no longer."""
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """Sequences that hold pages."""
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence by its rank; it holds nothing yet, or no longer."""
        self._clear(sequence)
        insort(self._waiting, sequence, key=_rank)

    def plan(self) -> list[Chunk]:
        """What the next step computes; pages for it are held, and shared pages copied, when this returns."""
        chunks = self._give_pages(self._share_budget())
        left = self._max_batch_tokens - sum(chunk.stop - chunk.start for chunk in chunks)
        chunks += self._admit(left)
        self._note_held()
        return chunks

    def extend(self, chunk: Chunk, guess: tuple[int, ...]) -> Chunk:
        """The chunk with a guess of what follows it, as far as nobody has to give up pages that it holds."""
        n = len(guess)
        while n and not self._grow(chunk.sequence, chunk.stop + n):
            n = min(n - 1, len(chunk.sequence.tables[0]) * PAGE_SIZE - chunk.stop)
        return chunk._replace(guess=guess[:n])

    def advance(self, chunk: Chunk) -> None:
        """A chunk was computed: its full pages may be found by others from now on."""
        sequence = chunk.sequence
        sequence.n_computed = chunk.stop
        while (depth := sequence.node.depth) < chunk.stop // PAGE_SIZE:
            node = self._tree.add(sequence.node, sequence.tokens, [table[depth] for table in sequence.tables])
            if node is None:
                break
            for table, page in zip(sequence.tables, node.pages, strict=True):
                if page != table[depth]:
                    # Two sequences computed the same page in the same step: the later one gives up its copy.
                    self._pool.hold(page)
                    self._pool.drop(table[depth])
                    table[depth] = page
            sequence.node = node
        self._let_go(sequence)

    def finish(self, sequence: Sequence, children: Iterable[Sequence] = ()) -> None:
        """A sequence ended; its children, if any, go on from its last position, on its pages."""
        for child in children:
            child.n_computed, child.node = sequence.n_computed, sequence.node
            child.tables, child.n_gone = [list(table) for table in sequence.tables], list(sequence.n_gone)
            for table, n_gone in zip(child.tables, child.n_gone, strict=True):
                for page in table[n_gone:]:
                    self._pool.hold(page)
            insort(self._running, child, key=_rank)
        self._running.remove(sequence)
        self._release(sequence)

    def remove(self, request_id: str) -> None:
        """Forget all sequences of a request and let their pages go."""
        for sequence in [s for s in self._running if s.request_id == request_id]:
            self.finish(sequence)
        self._waiting = [s for s in self._waiting if s.request_id != request_id]

    def _note_held(self) -> None:
        for number, most in enumerate(self.most_held):
            held = sum(len(s.tables[number]) - s.n_gone[number] for s in self._running)
            self.most_held[number] = max(most, held)

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
        return [chunk for chunk in chunks if chunk.sequence.holds_pages and self._secure(chunk)]

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
        first = sequence.n_computed // PAGE_SIZE
        for pages in sequence.tables:
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
            # Those under way may each need other pages soon: leave them, or they would take them back.
            left_alone = len(self._running) * len(self._groups)
            if self._n_missing(sequence) + left_alone > self._pool.n_available and self._running:
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
        if not sequence.n_computed == len(sequence.tables[0]) * PAGE_SIZE == sequence.node.depth * PAGE_SIZE:
            return
        path = self._tree.reach(sequence.node, sequence.tokens, sequence.first_output)
        if not path:
            return
        end = path[-1].depth * PAGE_SIZE
        for number, group in enumerate(self._groups):
            first = group.first_block(end)
            pages = [node.pages[number] if node.depth > first else -1 for node in path]
            for page in pages:
                if page >= 0:
                    self._pool.hold(page)
            sequence.tables[number] += pages
        sequence.n_cached += end - sequence.n_computed
        sequence.n_computed, sequence.node = end, path[-1]
        self._let_go(sequence)

    def _let_go(self, sequence: Sequence) -> None:
        """Drop the pages that have left their group's window."""
        for number, group in enumerate(self._groups):
            table, first = sequence.tables[number], group.first_block(sequence.n_computed)
            for block in range(sequence.n_gone[number], first):
                if table[block] >= 0:
                    self._pool.drop(table[block])
                    table[block] = -1
            sequence.n_gone[number] = max(sequence.n_gone[number], first)

    def _n_missing(self, sequence: Sequence) -> int:
        """Pages that a sequence will have to take until its last known token is computed."""
        n_missing = 0
        for group, table, n_gone in zip(self._groups, sequence.tables, sequence.n_gone, strict=True):
            ahead = -(-len(sequence.tokens) // PAGE_SIZE) - n_gone
            most = group.most_blocks(len(sequence.tokens), self._max_batch_tokens)
            n_missing += min(ahead, most) - (len(table) - n_gone)
        return n_missing

    def _preempt(self, sequence: Sequence) -> None:
        self.n_preempted += 1
        self._running.remove(sequence)
        self._release(sequence)
        self.add(sequence)

    def _release(self, sequence: Sequence) -> None:
        """Drop all pages, the deepest first, as the prefix tree's order of eviction needs."""
        for number, table in enumerate(sequence.tables):
            for page in reversed(table[sequence.n_gone[number] :]):
                self._pool.drop(page)
        self._clear(sequence)

    def _clear(self, sequence: Sequence) -> None:
        sequence.tables, sequence.n_gone = [[] for _ in self._groups], [0] * len(self._groups)
        sequence.node, sequence.n_computed, sequence.n_cached = self._tree.root, 0, 0
