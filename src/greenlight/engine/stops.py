"""Where does an answer end, when the caller named strings that must not be in it?"""

from __future__ import annotations


class StopMatcher:
    """Looks for stop strings in text that arrives in pieces of any length.

    The string that is completed first ends the text; of two completed by the same character, the one that began first.
    So the outcome does not depend on how the text was cut into pieces.

    Args:
        stops: the strings, none empty.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False
        """Whether a stop string was found; nothing may be pushed after it."""

    def push(self, text: str) -> str:
        """Take the next piece; return what is now known to stand before any stop string."""
        if not self._stops:
            return text
        self._held += text
        found = [(start + len(stop), start) for stop in self._stops if (start := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(min(found)[1])
        return self._release(len(self._held) - self._n_undecided())

    def flush(self) -> str:
        """The text ended: what was held back belongs to it, unless a stop string was found."""
        held, self._held = self._held, ""
        return "" if self.stopped else held

    def _release(self, length: int) -> str:
        out, self._held = self._held[:length], self._held[length:]
        return out

    def _n_undecided(self) -> int:
        """Length of the longest end of the held text that may be the beginning of a stop string."""
        longest = min(len(self._held), max(map(len, self._stops)) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
