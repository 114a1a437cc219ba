"""How does a reply reach the screen while it is written, without half a character?"""

from __future__ import annotations

import codecs

from greenlight.text.tokenizer import Tokenizer


class StreamDecoder:
    """Turns token ids into text as they come; what it returned, joined, is what `Tokenizer.decode` gives for all.

    Args:
        tokenizer: whose ids they are.
        skip_special: whether special tokens are left out.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        self._tokenizer, self._skip_special = tokenizer, skip_special
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = tokenizer.strips_space

    answering = True
    """All that comes is the answer."""

    def ended(self, token_id: int) -> None:
        """The token that ends generation has no text."""

    def apart(self) -> None:
        """Nothing comes beside the answer."""

    def push(self, token_id: int) -> str:
        """The text that this token completes: empty while a character is unfinished."""
        if self._skip_special and token_id in self._tokenizer.special_ids:
            return ""
        return self._stripped(self._bytes.decode(self._tokenizer.token_bytes(token_id)))

    def flush(self) -> str:
        """What is left at the end: U+FFFD where the last character was never finished."""
        text = self._stripped(self._bytes.decode(b"", final=True))
        self._bytes.reset()
        self._strip = self._tokenizer.strips_space
        return text

    def _stripped(self, text: str) -> str:
        if self._strip and text:
            self._strip = False
            return text.removeprefix(" ")
        return text
