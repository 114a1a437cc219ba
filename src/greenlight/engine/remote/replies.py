"""What did an endpoint say? Its JSON read strictly: what almost speaks the protocol is refused with what it said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from greenlight.errors import EngineError
from greenlight.evidence import JSON

FINISHES: Mapping[str, str] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
"""What an endpoint says of an answer's end, to what is recorded: the model's own end or a stop string, the limit of
tokens, or a filter that stands behind the model and is part of what is released there."""

MAX_MODELS = 100_000
"""Entries of a list of models that are read."""

_SHOWN = 160
_TOKENS = 10**9
_KEPT = ("id", "owned_by", "root", "parent", "max_model_len")
_KEPT_META = ("n_vocab", "n_ctx_train", "n_embd", "n_params", "size", "vocab_type")


class Said(NamedTuple):
    """One answer of an endpoint."""

    text: str
    """What it answers; never what it thought."""

    finish: str
    """`stop`, `length` or `content_filter`."""

    model: str
    """The model's name for itself."""

    fingerprint: str | None
    """What it says of the system that computed it; None where it says nothing."""

    n_prompt: int
    """Tokens of the prompt; 0 where they are not told."""

    n_output: int
    """Tokens of answer and thought together; 0 where they are not told."""

    n_reasoning_chars: int
    """Characters of thought that came beside the answer, and are not read."""


def read_object(data: bytes, where: str) -> dict[str, JSON]:
    """A JSON object.

    Raises:
        EngineError: it is none.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _wrong("what came is no JSON", where, f"{shown(data)} ({str(error)[:80]})")
    if not isinstance(value, dict):
        _wrong("what came is no JSON object", where, shown(data))
    return value


def read_chat(data: bytes, where: str) -> Said:
    """The answer of /chat/completions.

    Raises:
        EngineError: it is none that this protocol knows.
    """
    value = read_object(data, where)
    choice = _choice(value, where)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        _wrong("an answer has no message", where, f"choices[0].message is {_kind(message)}")
    if message.get("role", "assistant") != "assistant" or message.get("tool_calls") or message.get("function_call"):
        _wrong("an answer is none of an assistant's words", where, f"role {message.get('role')!r}, or calls of tools")
    thought = [_text(message, name, where) for name in ("reasoning_content", "reasoning")]
    # A refusal in a field of its own is the answer that a user sees.
    text = _text(message, "content", where) or _text(message, "refusal", where)
    if text is None:
        # Thought may take every token that there is, a filter every word.
        if not any(thought) and choice.get("finish_reason") not in ("length", "content_filter"):
            _wrong("an answer has no content", where, f"choices[0].message has {sorted(message)}")
        text = ""
    return _said(value, choice, text, max(len(part or "") for part in thought), where)


def read_completion(data: bytes, where: str) -> Said:
    """The answer of /completions.

    Raises:
        EngineError: it is none that this protocol knows.
    """
    value = read_object(data, where)
    choice = _choice(value, where)
    text = _text(choice, "text", where)
    if text is None:
        _wrong("an answer has no text", where, f"choices[0] has {sorted(choice)}")
    return _said(value, choice, text, 0, where)


def read_models(data: bytes, where: str) -> dict[str, dict[str, JSON]]:
    """The list of /models by name: of each what does not change from one asking to the next.

    Raises:
        EngineError: it is no such list.
    """
    entries = read_object(data, where).get("data")
    if not isinstance(entries, list) or len(entries) > MAX_MODELS:
        _wrong("the list of models is none", where, f"data is {_kind(entries)}")
    found: dict[str, dict[str, JSON]] = {}
    for entry in entries:
        name = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not name:
            _wrong("an entry of the list of models has no id", where, shown(json.dumps(entry).encode()))
        meta = entry.get("meta") if isinstance(entry.get("meta"), Mapping) else {}
        kept = {key: entry[key] for key in _KEPT if isinstance(entry.get(key), str | int)}
        told = {key: meta[key] for key in _KEPT_META if isinstance(meta.get(key), str | int | bool)}
        found[name] = {**kept, **({"meta": told} if told else {})}
    return found


def error_text(data: bytes) -> str:
    """What an endpoint says of an error, shortened: its own message where there is one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return shown(data)
    for name in ("error", "message", "detail"):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
    return shown(value.encode() if isinstance(value, str) else data)


def shown(data: bytes) -> str:
    """The beginning of something, on one line, safe to print."""
    text = " ".join(data[: 4 * _SHOWN].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "�" for char in text)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…") if text else "nothing"


def _choice(value: Mapping[str, JSON], where: str) -> Mapping[str, JSON]:
    choices = value.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        said = error_text(json.dumps(value).encode()) if "error" in value else f"choices is {_kind(choices)}"
        _wrong("an answer has not exactly one choice", where, said)
    choice: Mapping[str, JSON] = choices[0]
    return choice


def _said(value: Mapping[str, JSON], choice: Mapping[str, JSON], text: str, n_reasoning: int, where: str) -> Said:
    finish, model, usage = choice.get("finish_reason"), value.get("model"), value.get("usage")
    if not isinstance(finish, str) or finish not in FINISHES:
        _wrong("an answer ended for a reason that is not known", where, f"finish_reason {finish!r:.80}")
    if not isinstance(model, str) or not model:
        _wrong("an answer does not say which model gave it", where, f"model is {_kind(model)}")
    fingerprint = value.get("system_fingerprint")
    if fingerprint is not None and not isinstance(fingerprint, str):
        _wrong("an answer's fingerprint is no text", where, f"system_fingerprint is {_kind(fingerprint)}")
    if usage is not None and not isinstance(usage, Mapping):
        _wrong("an answer's usage is no object", where, f"usage is {_kind(usage)}")
    counts = [_count(usage or {}, name, where) for name in ("prompt_tokens", "completion_tokens")]
    return Said(text, FINISHES[finish], model, fingerprint, counts[0], counts[1], n_reasoning)


def _count(usage: Mapping[str, JSON], name: str, where: str) -> int:
    count = usage.get(name)
    if count is None:
        return 0
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _TOKENS:
        _wrong("a number of tokens is none", where, f"usage.{name} is {count!r:.80}")
    return count


def _text(value: Mapping[str, JSON], name: str, where: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        _wrong("a text is none", where, f"{name} is {_kind(text)}")
    # A lone surrogate cannot be stored: what a broken stream leaves is shown as such.
    return None if text is None else text.encode("utf-8", "replace").decode()


def _kind(value: JSON) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "missing" if value is None else type(value).__name__


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _wrong(what: str, where: str, found: str) -> NoReturn:
    raise EngineError(
        f"the endpoint does not speak the protocol: {what}",
        where=where,
        found=found,
        do="check that the address is that of an OpenAI-compatible API (it often ends in /v1)",
    )
