"""Text to tokens and back: tokenizers, chat templates, streaming.

The template names are fetched when they are first used, so that scoring plain text does not wait for Jinja.
"""

from typing import TYPE_CHECKING, Any

from greenlight.text.stream import StreamDecoder
from greenlight.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from greenlight.text.chat import render_tokens
    from greenlight.text.template import ChatTemplate, Message

__all__ = ["ChatTemplate", "Message", "StreamDecoder", "Tokenizer", "render_tokens"]


def __getattr__(name: str) -> Any:
    if name == "render_tokens":
        from greenlight.text.chat import render_tokens

        return render_tokens
    if name in ("ChatTemplate", "Message"):
        from greenlight.text import template

        return getattr(template, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
