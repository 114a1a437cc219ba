"""Was a question in the text that a model was trained on? Runs of its words looked for in any text given.

A question's runs are its 13 words in a row (as in Brown et al. 2020, arXiv:2005.14165, appendix C); a shorter one of at
least 8 words is one run as a whole; of one that is shorter still nothing can be told. A text is read once, as a stream
of words without case and punctuation, so that it may be far larger than memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from greenlight.measure.graders.normal import words

RUN_WORDS = 13
LEAST_WORDS = 8
"""A question of fewer words could stand anywhere by chance."""

_PIECE = 2**16  # characters of a line that are read at a time


class Overlap:
    """Looks for the runs of questions in a stream of text.

    Args:
        questions: text by id.
    """

    def __init__(self, questions: Mapping[str, str]) -> None:
        self._runs = {name: runs(text) for name, text in questions.items()}
        self._sought = {run for found in self._runs.values() for run in found}
        self._first = {run[:2] for run in self._sought}
        self._lengths = sorted({len(run) for run in self._sought})
        self._seen: set[tuple[str, ...]] = set()

    def read(self, lines: Iterable[str]) -> None:
        """Look through a text, given in lines or pieces; runs may go on from one to the next."""
        if not self._lengths:
            return
        window: deque[str] = deque()
        for word in _stream(lines):
            window.append(word)
            if len(window) == self._lengths[-1]:
                self._look(window)
                window.popleft()
        while window:
            self._look(window)
            window.popleft()

    def _look(self, window: deque[str]) -> None:
        """Whether a run begins where the window does."""
        if len(window) < 2 or (window[0], window[1]) not in self._first:
            return
        there = tuple(window)
        self._seen |= {run for length in self._lengths if (run := there[:length]) in self._sought}

    def shares(self) -> dict[str, float | None]:
        """For each question the share of its runs that were found; None where it is too short to tell."""
        return {
            name: sum(run in self._seen for run in found) / len(found) if found else None
            for name, found in self._runs.items()
        }


def runs(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of a question; none where it is too short to tell."""
    said = words(text)
    if len(said) < LEAST_WORDS:
        return frozenset()
    size = min(RUN_WORDS, len(said))
    return frozenset(tuple(said[at : at + size]) for at in range(len(said) - size + 1))


def _stream(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        at = 0
        while at < len(line):
            end = at + _PIECE
            if end < len(line):
                # Between words, unless one word is longer than a piece.
                blank = max(line.rfind(" ", at + 1, end), line.rfind("\n", at + 1, end))
                end = blank if blank > at else end
            yield from words(line[at:end])
            at = end
