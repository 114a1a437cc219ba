"""What does a conversation look like in harmony? For gpt-oss without a chat template, and as a check of others.

What chat APIs call the system prompt is the developer's message here; the system message is the format's own. Thoughts
of earlier turns are left out once an answer followed them, and kept while calls of tools are under way. Markers are
tokens and texts are texts from the first to the last: nothing that somebody wrote can become a marker.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from greenlight.errors import TextError
from greenlight.text.harmony.markers import ANALYSIS, CALL, CHANNEL, COMMENTARY, CONSTRAIN, END, FINAL, MESSAGE, START
from greenlight.text.harmony.typescript import namespace
from greenlight.text.template import STATED_DATE, Chat, as_mapping, plain
from greenlight.text.tokenizer import Tokenizer

_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True, kw_only=True, slots=True)
class HarmonySettings:
    """What the system message says."""

    identity: str = "You are ChatGPT, a large language model trained by OpenAI."
    """Who the model is; the format asks to leave it as it is."""

    knowledge_cutoff: str = "2024-06"
    """Until when the model's knowledge reaches."""

    date: datetime.date = STATED_DATE
    """The day it is."""

    effort: Literal["low", "medium", "high"] = "medium"
    """How much it is to think."""


class Part(NamedTuple):
    """A piece of a rendered conversation."""

    text: str
    marker: bool
    """Whether it is a special token, or ordinary text."""


def render_harmony(
    messages: Chat,
    *,
    settings: HarmonySettings | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
) -> list[Part]:
    """A conversation in pieces, markers apart from text.

    Args:
        messages: the conversation as chat APIs have it, oldest first.
        settings: what the system message says.
        tools: descriptions of functions that the model may call.
        add_generation_prompt: whether it ends where the assistant is to speak.

    Raises:
        TextError: an unknown role, a content that is no text, a result of a tool that was not called.
    """
    turns = [plain(as_mapping(message), "messages") for message in messages]
    functions = plain(tools, "tools") or []
    opening = next((i for i, turn in enumerate(turns) if turn.get("role") not in ("system", "developer")), len(turns))
    instructions = "\n\n".join(filter(None, (_content(turn) for turn in turns[:opening])))
    parts = _message("system", _system(settings or HarmonySettings(), bool(functions)))
    sections = [f"# Instructions\n\n{instructions}"] if instructions else []
    sections += [f"# Tools\n\n{namespace(functions)}"] if functions else []
    if sections:
        parts += _message("developer", "\n\n".join(sections))
    parts += _turns(turns[opening:])
    return [*parts, Part(START, True), Part("assistant", False)] if add_generation_prompt else parts


def harmony_tokens(tokenizer: Tokenizer, parts: Iterable[Part]) -> list[int]:
    """Token ids of a rendered conversation.

    Raises:
        TextError: the vocabulary lacks one of the markers.
    """
    special, ids = tokenizer.special_tokens, list[int]()
    for part in parts:
        if not part.marker:
            ids += tokenizer.encode(part.text)
        elif part.text in special:
            ids.append(special[part.text])
        else:
            raise TextError("the vocabulary lacks a token of the harmony format", where="tokenizer", found=part.text)
    return ids


def _system(settings: HarmonySettings, has_tools: bool) -> str:
    text = (
        f"{settings.identity}\nKnowledge cutoff: {settings.knowledge_cutoff}\n"
        f"Current date: {settings.date.isoformat()}\n\nReasoning: {settings.effort}\n\n"
        "# Valid channels: analysis, commentary, final. Channel must be included for every message."
    )
    note = "\nCalls to these tools must go to the commentary channel: 'functions'."
    return text + note if has_tools else text


def _turns(turns: list[dict[str, Any]]) -> list[Part]:
    answered = [i for i, turn in enumerate(turns) if turn.get("role") == "assistant" and not turn.get("tool_calls")]
    last_answer = answered[-1] if answered else -1
    parts: list[Part] = []
    called: dict[str, str] = {}
    latest = ""
    for i, turn in enumerate(turns):
        role = turn.get("role")
        if role == "user":
            parts += _message("user", _content(turn))
        elif role in ("system", "developer"):
            parts += _message("developer", f"# Instructions\n\n{_content(turn)}")
        elif role == "assistant":
            parts += _assistant(turn, thinks=i > last_answer)
            for call in turn.get("tool_calls") or []:
                latest = _function(call)["name"]
                called[str(call.get("id"))] = latest
        elif role == "tool":
            name = called.get(str(turn.get("tool_call_id"))) or turn.get("name") or latest
            if not name:
                raise TextError("a tool answers that nobody called", where=f"message {i}")
            parts += _message(f"functions.{name} to=assistant", _content(turn), channel=COMMENTARY)
        else:
            raise TextError("a message has an unknown role", where=f"message {i}", found=repr(role))
    return parts


def _assistant(turn: dict[str, Any], *, thinks: bool) -> list[Part]:
    calls = turn.get("tool_calls") or []
    thought = next((turn[name] for name in _THOUGHTS if isinstance(turn.get(name), str) and turn[name]), "")
    parts = _message("assistant", thought, channel=ANALYSIS) if thought and thinks else []
    content = _content(turn)
    if not calls:
        return [*parts, *_message("assistant", content, channel=FINAL)]
    # Words beside a call are for the user: the format calls them a preamble.
    parts += _message("assistant", content, channel=COMMENTARY) if content else []
    for call in calls:
        function = _function(call)
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        header = [Part(START, True), Part("assistant", False), Part(CHANNEL, True)]
        header += [Part(f"{COMMENTARY} to=functions.{function['name']} ", False), Part(CONSTRAIN, True)]
        parts += [*header, Part("json", False), Part(MESSAGE, True), Part(text, False), Part(CALL, True)]
    return parts


def _message(role: str, content: str, *, channel: str | None = None) -> list[Part]:
    head = [Part(START, True), Part(role, False)]
    head += [Part(CHANNEL, True), Part(channel, False)] if channel else []
    return [*head, Part(MESSAGE, True), Part(content, False), Part(END, True)]


def _content(turn: Mapping[str, Any]) -> str:
    content = turn.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise TextError("a message holds something other than text", where="messages", found=f"{content!r}"[:80])
    return "".join(filter(None, texts))


def _function(call: Any) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise TextError("a call names no function", where="messages, tool_calls", found=f"{call!r}"[:80])
    return function
