"""How does SentencePiece's BPE cut text? The pair whose union scores best is joined first.

Kudo and Richardson 2018, arXiv:1808.06226. Rank-based BPE cannot say this exactly: here the priority belongs to the
union, and of equal ones the leftmost is taken.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping, Sequence

SPACE = "▁"
"""How pieces write a space (U+2581)."""

_MEMO_WORDS = 50_000
_MEMO_CHARS = 64


class SentencePieceBpe:
    """Encodes one stretch of ordinary text with scored pieces and byte fallback.

    Args:
        pieces: text to (id, score) of every piece that merging may reach.
        byte_ids: id of each byte's fallback token; empty where there are none.
        unk_id: what a character without piece and bytes becomes.
        add_prefix: whether a space goes before the text.
    """

    def __init__(
        self, pieces: Mapping[str, tuple[int, float]], byte_ids: Sequence[int], unk_id: int, *, add_prefix: bool
    ) -> None:
        self._pieces, self._byte_ids, self._unk_id, self._prefix = pieces, byte_ids, unk_id, SPACE * add_prefix
        # Where no piece crosses from a letter to a space, no merge does: words are independent and can be remembered.
        self._words = (
            None
            if any(SPACE in piece.lstrip(SPACE) for piece in pieces)
            else re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+")
        )
        self._memo: dict[str, tuple[int, ...]] = {}

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text, no special token among them."""
        if not text:
            return []
        spelled = self._prefix + text.replace(" ", SPACE)
        words = [spelled] if self._words is None else self._words.findall(spelled)
        return [id for word in words for id in self._word(word)]

    def _word(self, word: str) -> tuple[int, ...]:
        found = self._memo.get(word)
        if found is None:
            found = tuple(id for symbol in merge(word, self._pieces) for id in self._ids(symbol))
            if len(word) <= _MEMO_CHARS:
                if len(self._memo) >= _MEMO_WORDS:
                    self._memo.clear()
                self._memo[word] = found
        return found

    def _ids(self, symbol: str) -> Sequence[int]:
        if symbol in self._pieces:
            return (self._pieces[symbol][0],)
        return [self._byte_ids[byte] for byte in symbol.encode()] if self._byte_ids else (self._unk_id,)


def merge(word: str, pieces: Mapping[str, tuple[int, float]]) -> list[str]:
    """Join characters to pieces, best score first, leftmost first among equals; n log n in the word's length."""
    symbols = list(word)
    n = len(symbols)
    following, preceding = list(range(1, n + 1)), list(range(-1, n - 1))
    queue: list[tuple[float, int, int, str]] = []

    def offer(left: int, right: int) -> None:
        union = symbols[left] + symbols[right]
        entry = pieces.get(union)
        if entry is not None:
            heapq.heappush(queue, (-entry[1], left, right, union))

    for left in range(n - 1):
        offer(left, left + 1)
    while queue:
        _, left, right, union = heapq.heappop(queue)
        # Either side may have been merged since this pair was offered: it then no longer spells the union.
        if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != union:
            continue
        symbols[left], symbols[right] = union, ""
        following[left] = after = following[right]
        if after < n:
            preceding[after] = left
            offer(left, after)
        if preceding[left] >= 0:
            offer(preceding[left], left)
    return [symbol for symbol in symbols if symbol]
