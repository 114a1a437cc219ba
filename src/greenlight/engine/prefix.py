"""Which pages hold the beginning of this prompt already?"""

from __future__ import annotations

from collections.abc import Sequence

from greenlight.engine.pages import PagePool
from greenlight.model.kv_groups import ONE_GROUP, KVGroup
from greenlight.ops.protocol import PAGE_SIZE


class Node:
    """One block of PAGE_SIZE positions; the path from the root to it spells the tokens up to its end."""

    __slots__ = ("children", "depth", "key", "pages", "parent")

    def __init__(self, parent: Node | None = None, key: tuple[int, ...] = (), pages: Sequence[int] = ()) -> None:
        self.parent, self.key = parent, key
        self.pages = list(pages)
        """Its page in each group of layers; -1 where a group with a window has given it up."""
        self.depth: int = 0 if parent is None else parent.depth + 1
        """Blocks from the root to here."""
        self.children: dict[tuple[int, ...], Node] = {}


class PrefixTree:
    """Full pages by the tokens they hold and all tokens before (as in SGLang's RadixAttention, arXiv:2312.07104).

    In a group that sees all positions, whoever holds a node's page holds those of all nodes above it, and drops the
    deepest first. So among pages without a holder a node has always been idle for at least as long as its parent:
    evicting the page that has been idle for longest takes a leaf, the least recently used one, without a search. In a
    group with a window pages go one by one, in the same order; a node stays as long as it has any page or child.

    Args:
        pool: where the pages are counted.
        groups: of layers; each has its own page for each block.
        enabled: False finds and adds nothing.
    """

    def __init__(self, pool: PagePool, groups: Sequence[KVGroup] = ONE_GROUP, *, enabled: bool = True) -> None:
        self._pool, self._groups = pool, groups
        self._enabled = enabled
        self._nodes: dict[int, Node] = {}
        self.root = Node()
        self.n_evicted = 0
        """How many pages were given up for others."""

    def __len__(self) -> int:
        return len(self._nodes)

    def reach(self, node: Node, tokens: Sequence[int], limit: int) -> list[Node]:
        """The longest path on from `node` for these tokens, up to position `limit`, from whose end one can go on.

        That is: each group still has the pages that it sees from there.
        """
        path: list[Node] = []
        usable = 0
        missing = [-1] * len(self._groups)  # by group, the last block without a page
        while (child := self.find(path[-1] if path else node, tokens, limit)) is not None:
            path.append(child)
            for number, page in enumerate(child.pages):
                if page < 0:
                    missing[number] = child.depth - 1
            end = child.depth * PAGE_SIZE
            if all(block < group.first_block(end) for block, group in zip(missing, self._groups, strict=True)):
                usable = len(path)
        return path[:usable]

    def find(self, node: Node, tokens: Sequence[int], limit: int) -> Node | None:
        """The block after `node` for these tokens, if it is there and ends at position `limit` or before."""
        end = (node.depth + 1) * PAGE_SIZE
        if end > limit or not node.children:
            return None
        return node.children.get(tuple(tokens[end - PAGE_SIZE : end]))

    def add(self, node: Node, tokens: Sequence[int], pages: Sequence[int]) -> Node | None:
        """Keep the held pages, one for each group, of the block that follows `node`.

        Where the tree has these tokens already, it takes what it lacks, and returns that node with its own pages.
        """
        if not self._enabled:
            return None
        start = node.depth * PAGE_SIZE
        key = tuple(tokens[start : start + PAGE_SIZE])
        child = node.children.get(key)
        if child is None:
            child = node.children[key] = Node(node, key, [-1] * len(pages))
        for number, page in enumerate(pages):
            if child.pages[number] < 0:
                child.pages[number] = page
                self._nodes[page] = child
                self._pool.keep(page)
        return child

    def take_page(self) -> int | None:
        """A page to write to, now held once: a free one, else the least recently used; None if all are held."""
        if not self._pool.n_free:
            self._evict()
        return self._pool.take()

    def _evict(self) -> None:
        oldest = self._pool.oldest_idle
        if oldest is None:
            return
        node = self._nodes[oldest]
        if self._groups[node.pages.index(oldest)].window is None:
            assert not node.children, f"page {oldest} is idle for longer than a page after it"
            pages = [page for page in node.pages if page >= 0]  # useless without the oldest one
        else:
            pages = [oldest]
        for page in pages:
            node.pages[node.pages.index(page)] = -1
            del self._nodes[page]
            self._pool.forget(page)
            self.n_evicted += 1
        while node.parent is not None and not node.children and max(node.pages) < 0:
            del node.parent.children[node.key]
            node = node.parent
