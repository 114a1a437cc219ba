"""What may come next? What followed the last time that a text went like this; and is guessing worth its rows?

Answers repeat their prompts: names, code, lists. Prompt lookup (Yang et al. 2023, arXiv:2304.04487) guesses the tokens
that followed the last ones before, and the model computes all of them in one step. A guess is kept as far as the model
draws the same, so that an answer has the same tokens and bits whether anything was guessed or not: only the number of
steps is another.
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 3
"""Tokens that must have come before in this order."""

FIRST, MOST = 2, 8
"""Tokens of a first guess, and of one that follows guesses that were right."""

LONGEST_REST = 64
"""Tokens without a guess, at most, after guesses that were wrong."""


class Guessing:
    """Guesses the next tokens of one answer, more of them while they are right, and rests after they were wrong.

    Args:
        tokens: prompt and answer so far; read again as it grows.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tokens
        self._after: dict[tuple[int, ...], int] = {}
        self._n_known = GRAM
        self._length, self._rest, self._resting = FIRST, 1, 0

    def guess(self, at_most: int) -> tuple[int, ...]:
        """The next tokens, as many as it dares; nothing where nothing is known or guesses were wrong of late."""
        if self._resting:
            self._resting -= 1
            return ()
        tokens = self._tokens
        for end in range(self._n_known, len(tokens)):
            self._after[tuple(tokens[end - GRAM : end])] = end
        self._n_known = max(self._n_known, len(tokens))
        start = self._after.get(tuple(tokens[-GRAM:]))
        if start is None:
            return ()
        n = min(at_most, self._length)
        followed = list(tokens[start : start + n])
        # What goes in circles is guessed to go on so.
        return tuple((followed * n)[:n])

    def learn(self, n_guessed: int, n_right: int) -> None:
        """What became of a guess."""
        if n_right == n_guessed:
            self._length, self._rest = min(2 * self._length, MOST), 1
        elif n_right == 0:
            self._length, self._resting = FIRST, self._rest
            self._rest = min(2 * self._rest, LONGEST_REST)
        else:
            self._length = max(FIRST, n_right)
