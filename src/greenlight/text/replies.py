"""What of a model's output is its answer, and what did it only think? Told apart token by token, as it comes.

Two ways are known. Harmony (gpt-oss) sends messages on channels: text/harmony. Others put their thoughts between two
marks at the beginning: `<think>` and `</think>` (Qwen 3, DeepSeek R1, SmolLM 3), `[THINK]` and `[/THINK]` (Magistral,
Ministral 3), `<|channel>` and `<channel|>` (Gemma 4). Where the vocabulary has the marks as tokens, only those tokens
count; a model whose template alone knows them is read by its text. A model of neither kind is not touched.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from greenlight.text.harmony.markers import CHANNEL, END, FINAL, MARKERS, MESSAGE, RETURN, START
from greenlight.text.harmony.parsing import Delta, HarmonyParser
from greenlight.text.stream import StreamDecoder
from greenlight.text.tokenizer import Tokenizer

REASONING_TOKENS = 2048
"""Tokens that a model may think before its answer; the answer's own limit begins after them."""

MARKS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|channel>", "<channel|>"))
"""Beginnings and ends of thoughts that models are known to write."""

_LABELS = {"<|channel>": "thought"}
_TAIL = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """What came beside the answer."""

    reasoning: str = ""
    """What the model thought."""

    calls: tuple[tuple[str, str], ...] = ()
    """Calls of tools: whom, and with what."""

    malformed: tuple[str, ...] = ()
    """What was not in the model's own format."""


class ReplyDecoder(Protocol):
    """Turns token ids into the answer's text as they come."""

    @property
    def answering(self) -> bool:
        """Whether what comes next may belong to the answer, and counts towards its limit."""

    def push(self, token_id: int) -> str:
        """Text of the answer that this token completes."""

    def ended(self, token_id: int) -> None:
        """The token that ends generation; it has no text."""

    def flush(self) -> str:
        """What is left of the answer at the end."""

    def apart(self) -> Apart | None:
        """What came beside the answer; None for a format that knows nothing beside it."""


class ReplyFormat(Protocol):
    """How one model tells its answer from its thoughts."""

    @property
    def name(self) -> str:
        """As a lock names it."""

    def decoder(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> ReplyDecoder:
        """A fresh decoder of what follows a prompt, which may have begun a thought or an answer already."""

    def direct(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> list[int]:
        """Tokens after a prompt that begin the answer at once, without a thought."""


def reply_format(tokenizer: Tokenizer) -> ReplyFormat | None:
    """The format of a model's answers by its vocabulary and its chat template; None where all is answer."""
    special, known = tokenizer.special_tokens, tokenizer.added_tokens
    if {START, CHANNEL, MESSAGE, END, RETURN} <= special.keys():
        return Harmony()
    for begin, end in MARKS:
        if begin in known and end in known:
            return Marked(begin, end)
    source = tokenizer.chat_template or ""
    return next((Marked(begin, end) for begin, end in MARKS if begin in source and end in source), None)


@dataclass(frozen=True, slots=True)
class Harmony:
    """Messages on channels."""

    name: str = "harmony"

    def decoder(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> ReplyDecoder:
        """See `ReplyFormat`."""
        return _HarmonyDecoder(tokenizer, prompt)

    def direct(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> list[int]:
        """The header of a final message, where the prompt ends in a header without a channel."""
        special = tokenizer.special_tokens
        last = next((id for id in reversed(prompt) if id in special.values()), None)
        if last != special[START]:
            return []
        return [special[CHANNEL], *tokenizer.encode(FINAL), special[MESSAGE]]


class _HarmonyDecoder:
    """Harmony's tokens, one after the other, into a parser."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._marks = {tokenizer.special_tokens[mark]: mark for mark in MARKERS if mark in tokenizer.special_tokens}
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._parser = HarmonyParser(role=None)
        self._answered = False
        self._gap = False
        self._late = ""
        start = tokenizer.special_tokens[START]
        tail = next((i for i in range(len(prompt) - 1, -1, -1) if prompt[i] == start), None)
        if tail is not None:
            self._begin(prompt[tail + 1 :])

    def _begin(self, header: Sequence[int]) -> None:
        """Take over the message that the prompt has begun."""
        marks = [i for i, id in enumerate(header) if id in self._marks]
        end = marks[0] if marks else len(header)
        self._parser = HarmonyParser(role=self._tokenizer.decode(header[:end]))
        for id in header[end:]:
            self._deltas(id)
        self._parser.forget()

    @property
    def answering(self) -> bool:
        """Whether the message under way is part of the answer."""
        return self._parser.kind == "answer"

    def push(self, token_id: int) -> str:
        """See `ReplyDecoder`."""
        return self._answer(self._deltas(token_id))

    def ended(self, token_id: int) -> None:
        """The end of a message, and of the turn."""
        if token_id in self._marks:
            self._late = self._answer(self._deltas(token_id))

    def flush(self) -> str:
        """See `ReplyDecoder`."""
        deltas = self._parser.write(self._bytes.decode(b"", final=True))
        late, self._late = self._late, ""
        return late + self._answer([*deltas, *self._parser.close()])

    def apart(self) -> Apart:
        """Thoughts, calls, and what was malformed."""
        messages = self._parser.messages
        return Apart(
            reasoning="\n".join(message.content for message in messages if message.kind == "reasoning"),
            calls=tuple((m.recipient or "", m.content) for m in messages if m.kind == "call"),
            malformed=tuple(self._parser.problems),
        )

    def _deltas(self, token_id: int) -> list[Delta]:
        if token_id not in self._tokenizer.special_ids:
            return self._parser.write(self._bytes.decode(self._tokenizer.token_bytes(token_id)))
        rest = self._bytes.decode(b"", final=True)
        self._bytes.reset()
        mark = self._marks.get(token_id, self._tokenizer.token_bytes(token_id).decode("utf-8", "replace"))
        deltas = self._parser.write(rest) if rest else []
        if self._answered and self.answering:
            self._gap = True
        return [*deltas, *self._parser.mark(mark)]

    def _answer(self, deltas: list[Delta]) -> str:
        text = "".join(delta.text for delta in deltas if delta.kind == "answer")
        if not text:
            return ""
        # A second message to the user begins on a line of its own.
        text = "\n" + text if self._gap else text
        self._answered, self._gap = True, False
        return text


@dataclass(frozen=True, slots=True)
class Marked:
    """Thoughts between two marks."""

    begin: str
    end: str

    @property
    def name(self) -> str:
        """As a lock names it."""
        return f"{self.begin}…{self.end}"

    def decoder(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> ReplyDecoder:
        """See `ReplyFormat`."""
        return _MarkedDecoder(self, tokenizer, thinks=self._begun(tokenizer, prompt))

    def direct(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> list[int]:
        """The end of a thought that the prompt began."""
        if not self._begun(tokenizer, prompt):
            return []
        return tokenizer.encode(f"{self.end}\n\n", special=True)

    def _begun(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> bool:
        return tokenizer.decode(prompt[-_TAIL:], skip_special=False).rstrip().endswith(self.begin)


class _MarkedDecoder:
    """Thoughts and answer by two marks, as tokens or as text."""

    def __init__(self, marks: Marked, tokenizer: Tokenizer, *, thinks: bool) -> None:
        self._marks, self._stream = marks, StreamDecoder(tokenizer)
        ids = tokenizer.added_tokens
        self._ids = {ids[mark]: mark for mark in (marks.begin, marks.end) if mark in ids}
        self._thinks, self._began = thinks, thinks
        self._thought, self._held = list[str](), ""
        self._said, self._trims = False, False
        self._by_text = len(self._ids) < 2
        self._malformed: list[str] = []

    @property
    def answering(self) -> bool:
        """Whether no thought is under way."""
        return not self._thinks

    def push(self, token_id: int) -> str:
        """See `ReplyDecoder`."""
        if not self._by_text and token_id in self._ids:
            text = self._take(self._stream.flush())
            self._turn(self._ids[token_id])
            return text
        return self._take(self._stream.push(token_id))

    def ended(self, token_id: int) -> None:
        """Nothing: an end is no mark."""

    def flush(self) -> str:
        """See `ReplyDecoder`."""
        text = self._take(self._stream.flush())
        held, self._held = self._held, ""
        if self._thinks:
            self._malformed.append("the thought does not end")
            self._thought.append(held)
            return text
        return text + self._say(held)

    def apart(self) -> Apart:
        """Thoughts, and what was malformed."""
        thought = "".join(self._thought).strip()
        label = _LABELS.get(self._marks.begin)
        if label is not None:
            thought = thought.removeprefix(label).strip()
        return Apart(reasoning=thought, malformed=tuple(self._malformed))

    def _turn(self, mark: str) -> None:
        if mark == self._marks.begin:
            if self._thinks:
                self._malformed.append("a thought begins within a thought")
            self._thinks = self._began = True
            self._held = ""  # blanks before a thought
        else:
            if not self._thinks:
                self._malformed.append("a thought ends that never began")
            self._thinks, self._began, self._trims = False, True, not self._said

    def _take(self, text: str) -> str:
        if not self._by_text:
            if self._thinks:
                self._thought.append(text)
                return ""
            if not self._began and not (self._held + text).strip():
                self._held += text
                return ""
            text, self._held, self._began = self._held + text, "", True
            return self._say(text)
        self._held += text
        return self._split()

    def _split(self) -> str:
        """What is certain of text that holds its marks in writing: a first thought, and then the answer."""
        if not self._began:
            start = self._held.lstrip()
            if start.startswith(self._marks.begin):
                self._held = start.removeprefix(self._marks.begin)
                self._thinks = self._began = True
            elif self._marks.begin.startswith(start):
                return ""
            else:
                self._began = True
        if self._thinks:
            thought, end, rest = self._held.partition(self._marks.end)
            if not end:
                return ""
            self._thought.append(thought)
            self._thinks, self._held, self._trims = False, rest, True
        text, self._held = self._held, ""
        return self._say(text)

    def _say(self, text: str) -> str:
        # After a thought, the blank lines before the answer are no part of it.
        text = text.lstrip() if self._trims else text
        if text:
            self._said, self._trims = True, False
        return text
