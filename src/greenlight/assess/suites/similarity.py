"""Are two items too much alike to count as two?

Two items of one suite share less than 60 % of the word 5-grams of the one that has fewer.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

LIMIT = 0.60
"""Two items that share this much or more are one item said twice."""

_SIZE = 5
_WORD = re.compile(r"\w+")


def grams(text: str) -> frozenset[str]:
    """The set of casefolded word 5-grams; a text of fewer than five words is one gram as a whole."""
    words = _WORD.findall(text.casefold())
    if len(words) < _SIZE:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[i : i + _SIZE]) for i in range(len(words) - _SIZE + 1))


def overlap(a: frozenset[str], b: frozenset[str]) -> float:
    """The share of the smaller set that both have, 0 to 1."""
    return len(a & b) / min(len(a), len(b))


class Distinct:
    """Accepts texts as long as they are not too similar to one accepted before."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._grams: list[frozenset[str]] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)

    def nearest(self, text: str) -> tuple[float, int | None]:
        """The largest overlap with an accepted text, and that text's number in order of acceptance."""
        return self._nearest(grams(text))

    def _nearest(self, mine: frozenset[str]) -> tuple[float, int | None]:
        shared = Counter(holder for gram in mine for holder in self._holders.get(gram, ()))
        best: tuple[float, int | None] = (0.0, None)
        for holder, count in shared.items():
            share = count / min(len(mine), len(self._grams[holder]))
            if share > best[0]:
                best = (share, holder)
        return best

    def accept(self, text: str) -> bool:
        """Keep the text and say True, or say False because an accepted one is too similar."""
        mine = grams(text)
        if self._nearest(mine)[0] >= self._limit:
            return False
        for gram in mine:
            self._holders[gram].append(len(self._grams))
        self._grams.append(mine)
        return True


def too_similar(texts: Iterable[tuple[str, str]], limit: float = LIMIT) -> list[tuple[str, str, float]]:
    """Every (id, text) that breaks the rule: (its id, the id of the nearest before it, their overlap)."""
    seen, names, found = Distinct(limit=2.0), list[str](), list[tuple[str, str, float]]()
    for name, text in texts:
        share, other = seen.nearest(text)
        if other is not None and share >= limit:
            found.append((name, names[other], share))
        seen.accept(text)
        names.append(name)
    return found
