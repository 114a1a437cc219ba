"""How does a conversation become tokens, when only the template may write special tokens?

Whatever stands in messages or tools and looks like a special token is hidden behind a private-use character while the
template runs. In the rendered text, special tokens are then looked for with the stand-ins in place, and each stretch
between them is encoded as ordinary text with its own characters back. So a look-alike becomes the tokens that its text
would have if it meant nothing, and a conversation without one is encoded as transformers encodes it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from greenlight.errors import TextError
from greenlight.text.template import Chat, ChatTemplate, as_mapping, plain
from greenlight.text.tokenizer import Tokenizer

ROLES = frozenset({"system", "developer", "user", "assistant", "model", "tool", "function", "ipython"})
"""Roles that a message may have: some templates build special tokens out of them."""

_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


def render_tokens(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Chat,
    *,
    add_generation_prompt: bool = True,
    tools: Sequence[Mapping[str, Any]] | None = None,
    today: datetime.date | None = None,
    **variables: Any,
) -> list[int]:
    """Token ids of a conversation; special tokens are those that the template writes, and no others.

    The template writes the beginning-of-sequence token itself, if the model has one: none is added here. It is given
    the tokenizer's `bos_token`, `eos_token`, `unk_token` and `pad_token`.

    Args:
        tokenizer: the model's.
        template: the model's.
        messages: the conversation, oldest first.
        add_generation_prompt: whether it ends where the assistant is to speak.
        tools: descriptions of functions that the model may call.
        today: the date for templates that state one.
        variables: what else the template knows; guarded like messages.

    Raises:
        TextError: an unknown role, or what `ChatTemplate.render` raises.
    """
    conversation = [plain(as_mapping(message), "messages") for message in messages]
    for message in conversation:
        if message.get("role") not in ROLES:
            raise TextError(
                "a message has an unknown role",
                where="messages",
                found=f"{message.get('role')!r}, known: {', '.join(sorted(ROLES))}",
            )
    functions, known = plain(tools, "tools"), plain(variables, "variables")
    guard = _Guard(tokenizer.special_tokens, _characters([conversation, functions, known, template.source]))
    text = template.render(
        [guard.hide(message) for message in conversation],
        add_generation_prompt=add_generation_prompt,
        tools=guard.hide(functions),
        today=today,
        **{**tokenizer.named_tokens, **guard.hide(known)},
    )
    return tokenizer.encode_guarded(text, guard.hidden)


class _Guard:
    """Hides special tokens' spellings, and ends and beginnings that could grow into one beside other text."""

    def __init__(self, special: Mapping[str, int], used: set[str]) -> None:
        self.hidden: dict[str, str] = {}
        self._stand_ins: dict[str, str] = {}
        self._free = _unused(used)
        texts = sorted(special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, texts)) if texts else r"(?!)")
        self._heads = {text[:n] for text in texts for n in range(1, len(text))}
        self._tails = {text[n:] for text in texts for n in range(1, len(text))}
        self._longest = max(map(len, texts), default=0)

    def hide(self, value: Any) -> Any:
        """The value with every suspicious stretch of its texts replaced by a stand-in."""
        if isinstance(value, str):
            return self._hide_text(value)
        if isinstance(value, dict):
            return {self._hide_text(key): self.hide(entry) for key, entry in value.items()}
        return [self.hide(entry) for entry in value] if isinstance(value, list) else value

    def _hide_text(self, text: str) -> str:
        text = self._special.sub(lambda match: self._stand_in(match.group()), text)
        # Templates trim: what counts as an end or a beginning is what is left after that.
        body = text.strip()
        head = next((body[-n:] for n in self._lengths(body) if body[-n:] in self._heads), "")
        if head:
            end = len(text.rstrip())
            text = text[: end - len(head)] + self._stand_in(head) + text[end:]
            body = text.strip()
        tail = next((body[:n] for n in self._lengths(body) if body[:n] in self._tails), "")
        if tail:
            start = len(text) - len(text.lstrip())
            text = text[:start] + self._stand_in(tail) + text[start + len(tail) :]
        return text

    def _lengths(self, body: str) -> range:
        return range(min(len(body), self._longest), 0, -1)

    def _stand_in(self, text: str) -> str:
        if text not in self._stand_ins:
            self._stand_ins[text] = char = next(self._free)
            self.hidden[char] = text
        return self._stand_ins[text]


def _unused(used: set[str]) -> Iterator[str]:
    return (char for char in map(chr, chain(*_PRIVATE)) if char not in used)


def _characters(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(value)
    collect: Callable[[Any], set[str]] = _characters
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return set().union(*map(collect, parts))
