"""Who holds which page of keys and values, and which page is free?"""

from __future__ import annotations

from collections import OrderedDict


class PagePool:
    """Counts the holders of each page. A page is free, held, or idle: held by none, yet kept for its content.

    Args:
        n_pages: how many there are.
    """

    def __init__(self, n_pages: int) -> None:
        self.n_pages = n_pages
        self._n_holders = [0] * n_pages
        self._kept = [False] * n_pages
        # The page freed last is taken first: its memory is warm, and pages never used cost no memory.
        self._free = list(range(n_pages - 1, -1, -1))
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def n_free(self) -> int:
        """Pages without holder or content."""
        return len(self._free)

    @property
    def n_available(self) -> int:
        """Pages that can be had without taking one from a holder: free or idle."""
        return len(self._free) + len(self._idle)

    @property
    def oldest_idle(self) -> int | None:
        """The kept page that has been without a holder for longest."""
        return next(iter(self._idle), None)

    def n_holders(self, page: int) -> int:
        """How many sequences hold a page."""
        return self._n_holders[page]

    def take(self) -> int | None:
        """A free page, now held once; None if there is none."""
        if not self._free:
            return None
        page = self._free.pop()
        self._n_holders[page] = 1
        return page

    def hold(self, page: int) -> None:
        """One more holder for a page that is held or idle."""
        assert self._n_holders[page] or page in self._idle, f"page {page} is free"
        self._n_holders[page] += 1
        self._idle.pop(page, None)

    def drop(self, page: int) -> None:
        """One holder less; with the last one the page becomes idle if it is kept, else free."""
        assert self._n_holders[page], f"page {page} has no holder"
        self._n_holders[page] -= 1
        if self._n_holders[page]:
            return
        if self._kept[page]:
            self._idle[page] = None
        else:
            self._free.append(page)

    def keep(self, page: int) -> None:
        """Let a held page outlive its holders."""
        assert self._n_holders[page], f"page {page} has no holder"
        assert not self._kept[page], f"page {page} is kept already"
        self._kept[page] = True

    def forget(self, page: int) -> None:
        """Free an idle page."""
        del self._idle[page]
        self._kept[page] = False
        self._free.append(page)
