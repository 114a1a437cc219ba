"""Text to tokens and back: tokenizers, chat templates, streaming."""

from greenlight.text.stream import StreamDecoder
from greenlight.text.tokenizer import Tokenizer

__all__ = ["StreamDecoder", "Tokenizer"]
