"""Which pages hold the beginning of this prompt already?"""

from __future__ import annotations

from collections.abc import Sequence

from greenlight.engine.pages import PagePool
from greenlight.ops.protocol import PAGE_SIZE


class Node:
    """One full page in the tree; the path from the root to it spells the tokens up to its end."""

    __slots__ = ("children", "depth", "key", "page", "parent")

    def __init__(self, parent: Node | None, key: tuple[int, ...], page: int) -> None:
        self.parent, self.key, self.page = parent, key, page
        self.depth: int = 0 if parent is None else parent.depth + 1
        """Full pages from the root to here."""
        self.children: dict[tuple[int, ...], Node] = {}


class PrefixTree:
    """Full pages by the tokens they hold and all tokens before (as in SGLang's RadixAttention, arXiv:2312.07104).

    Whoever holds a node's page holds the pages of all nodes above it, and drops the deepest first. So among pages
    without a holder a node has always been idle for at least as long as its parent: evicting the page that has been
    idle for longest takes a leaf, the least recently used one, without a search.

    Args:
        pool: where the pages are counted.
        enabled: False finds and adds nothing.
    """

    def __init__(self, pool: PagePool, *, enabled: bool = True) -> None:
        self._pool = pool
        self._enabled = enabled
        self._nodes: dict[int, Node] = {}
        self.root = Node(None, (), -1)
        self.n_evicted = 0
        """How many pages were given up for others."""

    def __len__(self) -> int:
        return len(self._nodes)

    def find(self, node: Node, tokens: Sequence[int], limit: int) -> Node | None:
        """The page after `node` for these tokens, if it is there and ends at position `limit` or before."""
        end = (node.depth + 1) * PAGE_SIZE
        if end > limit or not node.children:
            return None
        return node.children.get(tuple(tokens[end - PAGE_SIZE : end]))

    def add(self, node: Node, tokens: Sequence[int], page: int) -> Node | None:
        """Keep a held page that follows `node`; where the tree has these tokens already, return that page's node."""
        if not self._enabled:
            return None
        start = node.depth * PAGE_SIZE
        key = tuple(tokens[start : start + PAGE_SIZE])
        child = node.children.get(key)
        if child is None:
            child = node.children[key] = self._nodes[page] = Node(node, key, page)
            self._pool.keep(page)
        return child

    def take_page(self) -> int | None:
        """A page to write to, now held once: a free one, else the least recently used; None if all are held."""
        if not self._pool.n_free:
            self._evict()
        return self._pool.take()

    def _evict(self) -> None:
        page = self._pool.oldest_idle
        if page is None:
            return
        node = self._nodes.pop(page)
        assert not node.children, f"page {page} is idle for longer than a page after it"
        assert node.parent is not None, "the root has no page"
        del node.parent.children[node.key]
        self._pool.forget(page)
        self.n_evicted += 1
