"""Which messages are in what a model wrote? A parser of harmony that takes tokens as they come.

Lenient unless told otherwise: no text is ever lost, and what was malformed is named in `problems`. Whose text it is
follows one rule: what is on the channel `analysis` is thought; what has a recipient is a call; everything else that the
assistant says is the answer, whether its channel is `final`, `commentary` (which addresses the user where it has no
recipient), unknown or missing. So nothing that a user would be shown escapes grading, and no thought is ever shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from greenlight.errors import TextError
from greenlight.text.harmony.markers import ANALYSIS, CHANNEL, COMMENTARY, CONSTRAIN, ENDS, FINAL, MESSAGE, START

_CHANNELS = (ANALYSIS, COMMENTARY, FINAL)

MAX_HEADER = 512
"""Longest header, in characters; what is longer is text whose `<|message|>` is missing."""

Kind: TypeAlias = Literal["answer", "reasoning", "call", "other"]
"""Whose text it is: the user's to read, the model's own, a tool's, or not the assistant's."""


class Delta(NamedTuple):
    """Text that has become certain."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HarmonyMessage:
    """One message."""

    role: str
    """Who speaks: assistant, user, …, or the name of a tool."""

    channel: str | None = None
    """analysis, commentary, final; None where the header names none."""

    recipient: str | None = None
    """Whom it is addressed to, such as `functions.get_weather`; None for the user."""

    content_type: str | None = None
    """Type of the content where the header states one, such as `json`."""

    content: str = ""
    """What is said."""

    end: str | None = None
    """The token that ended it; None where it was cut off."""

    @property
    def kind(self) -> Kind:
        """Whose text it is."""
        if self.role != "assistant":
            return "other"
        if self.channel == ANALYSIS and self.recipient is None:
            return "reasoning"
        return "call" if self.recipient not in (None, "all", "user") else "answer"


class HarmonyParser:
    """Takes special tokens (`mark`) and the text between them (`write`), cut anywhere, and gives back messages.

    Args:
        role: whose message is begun already, as prompts end in `<|start|>assistant`; None where nothing is.
        strict: whether the first problem is an error.
    """

    def __init__(self, *, role: str | None = "assistant", strict: bool = False) -> None:
        self._strict = strict
        self._done: list[HarmonyMessage] = []
        self._header: list[tuple[str, str]] | None = None if role is None else [(START, role)]
        self._given_role = role is not None
        self._open: HarmonyMessage | None = None
        self._content: list[str] = []
        self.problems: list[str] = []
        """What was malformed, in order."""

    @property
    def messages(self) -> tuple[HarmonyMessage, ...]:
        """The messages so far, the unfinished one last."""
        open_ = [replace(self._open, content="".join(self._content))] if self._open is not None else []
        return (*self._done, *open_)

    @property
    def kind(self) -> Kind | None:
        """Whose text comes next; None within a header or between messages."""
        return self._open.kind if self._open is not None else None

    def write(self, text: str) -> list[Delta]:
        """Take ordinary text.

        Raises:
            TextError: strict, and the text is where none may be.
        """
        if self._open is not None:
            self._content.append(text)
            return [Delta(self._open.kind, text)] if text else []
        if self._header is None:
            if not text.strip():
                return []
            self._problem("text stands between two messages")
            return self._begin(HarmonyMessage(role="assistant"), text.lstrip())
        # A role that the prompt wrote is whole: what follows without a marker is text, not more of the role.
        if self._given_role and len(self._header) == 1:
            self._header.append(("", ""))
        # Cut by characters, so that how the text arrived makes no difference.
        room = MAX_HEADER - sum(len(part) for _, part in self._header)
        section, before = self._header[-1]
        self._header[-1] = (section, before + text[:room])
        return [*self._unheaded(), *self.write(text[room:])] if len(text) > room else []

    def mark(self, marker: str) -> list[Delta]:
        """Take a special token.

        Raises:
            TextError: strict, and the token is where it may not be.
        """
        if marker == START:
            return self._start()
        if marker in ENDS:
            return self._end(marker)
        if marker == MESSAGE:
            return self._message()
        if marker in (CHANNEL, CONSTRAIN):
            return self._section(marker)
        self._problem(f"{marker} is no part of the format")
        return []

    def forget(self) -> None:
        """Begin anew within the message that is under way: what was taken so far is the prompt's."""
        self._done.clear()
        self.problems.clear()
        self._content = []

    def close(self) -> list[Delta]:
        """The text ended: what was held back comes out.

        Raises:
            TextError: strict, and a message is unfinished.
        """
        deltas: list[Delta] = []
        if self._header is not None and not self._bare():
            self._problem("the text ends within a header")
            deltas = self._unheaded()
        elif self._open is not None and self._strict:
            self._problem("the text ends within a message")  # an answer cut off at its limit is no mistake of form
        self._finish(None)
        self._header = None
        return deltas

    # What each special token does.

    def _start(self) -> list[Delta]:
        deltas: list[Delta] = []
        if self._open is not None:
            self._problem("a message begins before the last one ended")
        elif self._header is not None:
            if not self._bare():
                self._problem("a message begins within a header")
                deltas = self._unheaded()
            elif not self._given_role:
                self._problem("a message begins within a header")
        self._finish(None)
        self._header, self._given_role = [(START, "")], False
        return deltas

    def _end(self, marker: str) -> list[Delta]:
        deltas: list[Delta] = []
        if self._open is None:
            if self._header is None or self._bare():
                self._problem(f"{marker} ends nothing")
                self._header = None
                return []
            self._problem(f"{marker} stands within a header")
            deltas = self._unheaded()
        self._finish(marker)
        return deltas

    def _message(self) -> list[Delta]:
        if self._open is not None:
            self._problem("<|message|> stands within a message")
            return []
        if self._header is None:
            self._problem("<|message|> has no header")
            return self._begin(HarmonyMessage(role="assistant"), "")
        message, odd = _read_header(self._header)
        for problem in odd:
            self._problem(problem)
        return self._begin(message, "")

    def _section(self, marker: str) -> list[Delta]:
        if self._open is not None and marker == CONSTRAIN:
            self._problem("<|constrain|> stands within a message")
            return []
        if self._open is not None or self._header is None:
            self._problem(f"{marker} stands outside of a header")
            self._finish(None)
            self._header, self._given_role = [(START, "assistant")], True
        assert self._header is not None, "set above where there was none"
        self._header.append((marker, ""))
        return []

    def _bare(self) -> bool:
        """Whether the header holds nothing but a role that may be the prompt's own."""
        return self._header is not None and not any(part.strip() for _, part in self._header[1:])

    def _unheaded(self) -> list[Delta]:
        """A header that never ended: its last part is text, what stands before it is the header."""
        header = self._header or []
        self._problem("<|message|> is missing")
        message, _ = _read_header(header[:-1] or [(START, "assistant")])
        section, text = header[-1]
        # The name of a channel or of the role is no part of the text.
        first, _, rest = text.lstrip().partition(" ")
        if section == CHANNEL and _channel(first) is not None:
            message, text = replace(message, channel=first), rest
        elif section == CHANNEL and any(name.startswith(text.strip()) for name in _CHANNELS):
            text = ""  # a name cut off
        elif section == START and first == "assistant":
            text = rest
        return self._begin(message, text)

    def _begin(self, message: HarmonyMessage, text: str) -> list[Delta]:
        self._header, self._given_role = None, False
        self._open, self._content = message, [text]
        return [Delta(message.kind, text)] if text else []

    def _finish(self, end: str | None) -> None:
        if self._open is not None:
            self._done.append(replace(self._open, content="".join(self._content), end=end))
        self._open, self._content = None, []

    def _problem(self, text: str) -> None:
        if self._strict:
            raise TextError("this text is not in the harmony format", where="answer", found=text)
        if text not in self.problems:
            self.problems.append(text)


def _read_header(header: list[tuple[str, str]]) -> tuple[HarmonyMessage, list[str]]:
    """A message without content out of a header's parts, and what is odd about them."""
    role, channel, recipient, content_type = "", None, None, None
    problems: list[str] = []
    for section, text in header:
        words = text.split()
        named = [word[3:] for word in words if word.startswith("to=")]
        others = [word for word in words if not word.startswith("to=")]
        if len(named) > 1 or (named and recipient is not None):
            problems.append("a header names two recipients")
        recipient = named[-1] if named else recipient
        if section == CONSTRAIN:
            content_type = " ".join(others) or content_type
        elif section == CHANNEL:
            if channel is not None:
                problems.append("a header names two channels")
            channel = others[0] if others else channel
            content_type = " ".join(others[1:]) or content_type
        elif not role:
            role = " ".join(others)
        elif others:
            problems.append("a header holds more than it may")
    if not role:
        problems.append("a header names no role")
    if channel is None and role in ("", "assistant"):
        problems.append("a header names no channel")
    found = _channel(channel) if channel is not None else None
    if channel is not None and found is None:
        problems.append(f"the channel {channel[:40]!r} is unknown")
    message = HarmonyMessage(
        role=role or "assistant", channel=found or channel, recipient=recipient, content_type=content_type
    )
    return message, problems


def _channel(name: str) -> str | None:
    return name if name in _CHANNELS else None
