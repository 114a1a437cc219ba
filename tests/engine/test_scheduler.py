from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from greenlight.engine.pages import PagePool
from greenlight.engine.prefix import PrefixTree
from greenlight.engine.scheduler import Scheduler
from greenlight.engine.sequence import Sequence
from greenlight.model.kv_groups import ONE_GROUP, KVGroup
from greenlight.ops.protocol import PAGE_SIZE


class Bench:
    """A scheduler without a model: whoever is planned is computed."""

    def __init__(self, n_pages=16, *, groups=ONE_GROUP, prefix_cache=True, max_batch_tokens=64, max_sequences=4):
        self.copies = []
        self.groups = groups
        self.pool = PagePool(n_pages)
        self.tree = PrefixTree(self.pool, groups, enabled=prefix_cache)
        self.scheduler = Scheduler(
            self.pool,
            self.tree,
            lambda source, target: self.copies.append((source, target)),
            groups,
            max_batch_tokens=max_batch_tokens,
            max_sequences=max_sequences,
        )
        self.sequences = []

    def add(self, tokens):
        n = len(self.sequences)
        self.sequences.append(Sequence(f"{n}", (n, 0), list(tokens), self.tree.root))
        self.scheduler.add(self.sequences[-1])
        return self.sequences[-1]

    def step(self):
        """Compute a step; answers whose tokens are all computed get another one."""
        chunks = self.scheduler.plan()
        for chunk in chunks:
            self.scheduler.advance(chunk)
        for sequence in {chunk.sequence for chunk in chunks if chunk.complete}:
            sequence.tokens.append(7)
        return {chunk.sequence: (chunk.start, chunk.stop) for chunk in chunks}


def test_answers_go_on_while_long_prompts_are_read_in_bites():
    bench = Bench(max_batch_tokens=40)
    short = bench.add([1] * 10)
    long = bench.add([2] * 100)
    assert bench.step() == {short: (0, 10), long: (0, 30)}
    assert bench.step() == {short: (10, 11), long: (30, 69)}
    assert bench.step() == {short: (11, 12), long: (69, 100)}
    assert bench.step() == {short: (12, 13), long: (100, 101)}


def test_the_oldest_prompt_is_read_first_and_places_are_limited():
    bench = Bench(max_batch_tokens=64, max_sequences=2)
    a, b, c = (bench.add([letter] * 20) for letter in (1, 2, 3))
    assert bench.step() == {a: (0, 20), b: (0, 20)}
    bench.scheduler.finish(a)
    assert bench.step() == {b: (20, 21), c: (0, 20)}


def test_a_prompt_waits_until_its_pages_are_to_be_had_with_one_to_spare_for_each_at_work():
    bench = Bench(n_pages=4, max_batch_tokens=512, prefix_cache=False)
    a, b = bench.add([1] * 60), bench.add([2] * 64)
    assert bench.step() == {a: (0, 60)}
    bench.scheduler.finish(a)
    assert bench.step() == {b: (0, 64)}


def test_when_pages_run_out_the_youngest_starts_again_after_the_others():
    bench = Bench(n_pages=3, max_batch_tokens=512, prefix_cache=False)
    old, young = bench.add([1] * 31), bench.add([2] * 31)
    bench.step()
    bench.step()
    assert bench.scheduler.n_running == 2
    assert set(bench.step()) == {old}  # both need a second page, one is left
    assert (bench.scheduler.n_preempted, young.holds_pages, young.n_computed) == (1, False, 0)
    bench.scheduler.finish(old)
    assert bench.step() == {young: (0, 33)}


def test_known_pages_go_before_anyone_starts_again():
    bench = Bench(n_pages=3)
    first = bench.add([1] * 64)
    bench.step()
    bench.scheduler.finish(first)
    other = bench.add([2] * 90)
    bench.step()
    bench.step()
    assert (bench.scheduler.n_preempted, bench.tree.n_evicted, other.n_computed) == (0, 2, 90)


def test_a_prompt_that_begins_like_one_being_read_joins_it_half_way():
    bench = Bench(max_batch_tokens=32, max_sequences=8)
    a, b = bench.add([1] * 96), bench.add([*[1] * 70, 3])
    assert bench.step() == {a: (0, 32)}
    bench.step()
    bench.step()
    assert bench.step() == {a: (96, 97), b: (64, 71)}
    assert a.tables[0][:2] == b.tables[0][:2]


def test_two_that_compute_the_same_page_at_once_end_up_sharing_it():
    bench = Bench(max_batch_tokens=200)
    a, b = bench.add([1] * 70), bench.add([1] * 70)
    bench.step()
    assert a.tables[0][:2] == b.tables[0][:2]
    assert a.tables[0][2] != b.tables[0][2]
    assert bench.pool.n_free == 12


def test_children_share_their_parents_pages_and_all_but_the_last_to_write_copy_the_last_page():
    bench = Bench(max_batch_tokens=200, max_sequences=1)
    parent = bench.add([1] * 40)
    bench.scheduler.advance(*bench.scheduler.plan())
    ((shared, partial),) = parent.tables
    children = [Sequence("0", (0, n), [*parent.tokens, n, n], bench.tree.root) for n in (1, 2, 3)]
    bench.scheduler.finish(parent, children)
    assert set(bench.step().values()) == {(40, 42)}
    assert [child.tables[0][0] for child in children] == [shared] * 3
    assert [source for source, _ in bench.copies] == [partial] * 2
    assert children[2].tables[0][1] == partial
    assert len({child.tables[0][1] for child in children}) == 3


class Pages(RuleBasedStateMachine):
    """Whatever happens in whatever order, each page is accounted for."""

    @initialize(
        n_pages=st.integers(4, 12),
        windows=st.sampled_from([(None,), (None,), (None, 20), (40,), (1, 70), (None, None, 50, 50)]),
        prefix_cache=st.booleans(),
        budget=st.sampled_from([5, 40, 200]),
    )
    def start(self, n_pages, windows, prefix_cache, budget):
        groups = tuple(KVGroup(window, 1) for window in windows)
        self.bench = Bench(n_pages * len(groups), groups=groups, prefix_cache=prefix_cache, max_batch_tokens=budget)
        self.live = []

    @property
    def running(self):
        return [sequence for sequence in self.live if sequence.holds_pages]

    @rule(pages=st.lists(st.sampled_from([1, 2]), max_size=2), n_more=st.integers(1, 40))
    def submit(self, pages, n_more):
        tokens = [page for page in pages for _ in range(PAGE_SIZE)] + [3] * n_more
        self.live.append(self.bench.add(tokens))

    @rule(n_steps=st.integers(1, 20))
    def step(self, n_steps):
        for _ in range(n_steps):
            chunks = self.bench.scheduler.plan()
            assert chunks or not self.live, "someone always moves on"
            assert sum(chunk.stop - chunk.start for chunk in chunks) <= self.bench.scheduler._max_batch_tokens
            for chunk in chunks:
                self.check_pages(chunk.sequence, chunk.start, chunk.stop)
                self.bench.scheduler.advance(chunk)
                if chunk.complete:
                    chunk.sequence.tokens.append(4 + chunk.sequence.rank[0] % 2)
                if len(chunk.sequence.tokens) > 4 * PAGE_SIZE - 2:
                    self.live.remove(chunk.sequence)
                    self.bench.scheduler.finish(chunk.sequence)

    def check_pages(self, sequence, start, stop):
        """What the positions from start to stop see, they have, and no more than was reckoned with."""
        for group, table in zip(self.bench.groups, sequence.tables, strict=True):
            first = 0 if group.window is None else max(0, start + 1 - group.window) // PAGE_SIZE
            assert min(table[first : -(-stop // PAGE_SIZE)]) >= 0
            assert len(table) * PAGE_SIZE >= stop
            n_held = sum(page >= 0 for page in table)
            assert n_held <= group.most_blocks(stop, self.bench.scheduler._max_batch_tokens)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), n_children=st.integers(1, 3))
    def split(self, data, n_children):
        parent = data.draw(st.sampled_from(self.running))
        known = parent.tokens[: parent.n_computed]
        ranks = [(parent.rank[0], parent.rank[1] * 4 + n) for n in range(1, n_children + 1)]
        children = [Sequence(parent.request_id, r, [*known, 5 + r[1]], self.bench.tree.root) for r in ranks]
        self.bench.scheduler.finish(parent, children)
        self.live.remove(parent)
        self.live += children

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def cancel(self, data):
        name = data.draw(st.sampled_from(self.live)).request_id
        self.bench.scheduler.remove(name)
        self.live = [sequence for sequence in self.live if sequence.request_id != name]

    @invariant()
    def each_page_is_held_as_often_as_sequences_hold_it(self):
        if not hasattr(self, "bench"):
            return
        held = [[page for table in s.tables for page in table if page >= 0] for s in self.live]
        holders = Counter(page for pages in held for page in pages)
        pool = self.bench.pool
        assert all(pool.n_holders(page) == holders[page] for page in range(pool.n_pages))
        assert pool.n_available == pool.n_pages - len(holders)
        assert all(len(set(pages)) == len(pages) for pages in held)

    @invariant()
    def whoever_holds_a_known_page_holds_those_before(self):
        if not hasattr(self, "bench"):
            return
        for sequence in self.live:
            node = sequence.node
            while node.parent is not None:
                for group, table, page in zip(self.bench.groups, sequence.tables, node.pages, strict=True):
                    needed = node.depth > group.first_block(sequence.n_computed)
                    assert table[node.depth - 1] == (page if needed else -1)
                node = node.parent

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        for sequence in self.live:
            self.bench.scheduler.remove(sequence.request_id)
        pool, tree = self.bench.pool, self.bench.tree
        assert pool.n_available == pool.n_pages
        assert pool.n_free + len(tree) == pool.n_pages
        for _ in range(pool.n_pages):
            assert tree.take_page() is not None
        assert not tree.root.children


Pages.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestPages = Pages.TestCase
