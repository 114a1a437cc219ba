"""How is chance drawn so that a lock sets the same exam on every machine and in every later Python?

`random.Random` promises its sequence only for `random()`; the methods built on it may change between versions. Here
every number is a slice of SHA-256 over (seed, path, counter), so golden values can be written down once and stay true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

from greenlight.errors import ConfigError

T = TypeVar("T")

_DOMAIN = b"greenlight/draws/1\x00"
_WORD_BYTES = 8
_WORDS = 1 << 64


class Draws:
    """A stream of uniform choices, fixed by a seed and a path of names.

    Two streams with different paths are independent, so that adding a draw to one template moves no other item.

    Args:
        seed: any whole number from 0 to 2**256 - 1; a lock's digest is one.
        path: what the stream is for, such as a suite, its version and a purpose.
    """

    __slots__ = ("_block", "_counter", "_key", "_path", "_seed")

    def __init__(self, seed: int, *path: str | int) -> None:
        if not 0 <= seed < 1 << 256:
            raise ConfigError(
                "a seed lies outside its range",
                found=f"{seed}, expected 0 to 2**256 - 1",
                do="use a whole number of at most 256 bits that is not negative",
            )
        self._seed, self._path = seed, path
        name = json.dumps([str(seed), *path], ensure_ascii=True, separators=(",", ":")).encode()
        self._key = hashlib.sha256(_DOMAIN + name).digest()
        self._counter, self._block = 0, b""

    def derive(self, *path: str | int) -> Draws:
        """A fresh stream for a narrower purpose; drawing from it does not move this one."""
        return Draws(self._seed, *self._path, *path)

    def _word(self) -> int:
        """The next 64 bits as a whole number."""
        if not self._block:
            self._block = hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        word, self._block = self._block[:_WORD_BYTES], self._block[_WORD_BYTES:]
        return int.from_bytes(word, "big")

    def randbelow(self, n: int) -> int:
        """A whole number from 0 to n - 1, each exactly as likely; n from 1 to 2**64."""
        if not 1 <= n <= _WORDS:
            raise ValueError(f"randbelow needs 1 to 2**64, not {n}")
        fair = _WORDS - _WORDS % n  # words from here on would favour small results: draw again
        while (word := self._word()) >= fair:
            pass
        return word % n

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both possible."""
        return low + self.randbelow(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[self.randbelow(len(options))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Every order as likely, in place (Fisher and Yates 1938, from the end)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.randbelow(i + 1)
            items[i], items[j] = items[j], items[i]

    def sample(self, options: Sequence[T], k: int) -> list[T]:
        """So many (k) of the options, none twice, in random order."""
        if k > len(options):
            raise ValueError(f"cannot draw {k} of {len(options)} without repeating")
        pool = list(options)
        self.shuffle(pool)
        return pool[:k]
