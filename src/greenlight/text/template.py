"""What does a conversation look like to the model? The model's own chat template, rendered in a bounded sandbox.

The text is the one that transformers' `apply_chat_template` gives (trim_blocks, lstrip_blocks, loop controls, `tojson`
without HTML escapes). The date is never taken from the clock: a template that asks for it is given the caller's, or
does not find the function, for which most templates have a default.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError

from greenlight.errors import TextError
from greenlight.text.budget import BASE_UNITS, MAX_TEXT, UNITS_PER_CHAR, Budget
from greenlight.text.sandbox import BoundedEnvironment

MAX_SOURCE = 2**19
"""Longest template, in characters."""

STATED_DATE = datetime.date(2026, 1, 1)
"""The day that a template is told where it states one and nobody set another: the same in every run, so that a prompt
does not change overnight."""

_TEMPLATE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, RuntimeError)
_DO_TEMPLATE = "check the model's chat template; `greenlight inspect` shows it"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """Who speaks: system, user, assistant, tool, …"""

    content: str
    """What is said."""


Chat = Sequence[Message | Mapping[str, Any]]
"""A conversation; mappings may carry more than role and content, such as tool calls."""


class ChatTemplate:
    """A model's chat template.

    Args:
        source: Jinja source, as models ship it.

    Raises:
        TextError: the source is not a template, or uses what chat templates may not.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise TextError("the chat template is too long", found=f"{len(source)} characters, at most {MAX_SOURCE}")
        self.source = source
        try:
            environment = BoundedEnvironment(Budget(BASE_UNITS))
            self._code = environment.compile(source)
        except TemplateSyntaxError as error:
            raise TextError(
                "the chat template cannot be read",
                where=f"chat template, line {error.lineno}",
                found=error.message,
                do=_DO_TEMPLATE,
            ) from error
        except (SecurityError, *_TEMPLATE_ERRORS, MemoryError, SyntaxError) as error:
            raise TextError("the chat template cannot be used", found=str(error), do=_DO_TEMPLATE) from error

    @property
    def states_date(self) -> bool:
        """Whether it asks which day it is."""
        return "strftime_now" in self.source

    def render(
        self,
        messages: Chat,
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        today: datetime.date | None = None,
        **variables: Any,
    ) -> str:
        """The conversation as one text.

        Args:
            messages: the conversation, oldest first.
            add_generation_prompt: whether the text ends where the assistant is to speak.
            tools: descriptions of functions that the model may call.
            today: the date for templates that state one.
            variables: what else the template knows, such as `bos_token`, `eos_token` or `enable_thinking`.

        Raises:
            TextError: the template refuses this conversation, fails, or exceeds its bounds.
        """
        given = {
            "messages": [plain(as_mapping(message), "messages") for message in messages],
            "tools": plain(tools, "tools"),
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **{name: plain(value, name) for name, value in variables.items()},
        }
        budget = Budget(BASE_UNITS + UNITS_PER_CHAR * _n_chars(given))
        environment = BoundedEnvironment(budget)
        if today is not None:
            moment = datetime.datetime.combine(today, datetime.time())
            environment.allow("strftime_now", lambda pattern: moment.strftime(str(pattern)[:100]))
        return self._run(environment, given, budget)

    def _run(self, environment: BoundedEnvironment, given: dict[str, Any], budget: Budget) -> str:
        pieces: list[str] = []
        length = 0
        try:
            template = jinja2.Template.from_code(environment, self._code, environment.globals)
            for piece in template.root_render_func(template.new_context(given)):
                length += len(piece)
                budget.text(length if length > MAX_TEXT else len(piece))
                pieces.append(piece)
        except SecurityError as error:
            raise TextError("the chat template does what it may not", found=str(error), do=_DO_TEMPLATE) from error
        except UndefinedError as error:
            raise TextError("the chat template lacks something", found=str(error), do=_hint(str(error))) from error
        except jinja2.TemplateError as error:
            do = "change the conversation as the template asks, or give it another template"
            raise TextError("the chat template refuses this conversation", found=str(error), do=do) from error
        except (*_TEMPLATE_ERRORS, MemoryError) as error:
            found = f"{type(error).__name__}: {error}"
            raise TextError("the chat template fails", found=found, do=_DO_TEMPLATE) from error
        return "".join(pieces)


def as_mapping(message: Message | Mapping[str, Any]) -> Mapping[str, Any]:
    """A message as templates see it."""
    return {"role": message.role, "content": message.content} if isinstance(message, Message) else message


def plain(value: Any, where: str) -> Any:
    """A copy made of JSON's types alone, so that a template finds no methods but theirs.

    Raises:
        TextError: the value holds something that JSON does not know.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry, where) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(entry, where) for entry in value]
    raise TextError("a template is given something other than text", where=where, found=type(value).__name__)


def _n_chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _n_chars(entry) for key, entry in value.items())
    return sum(map(_n_chars, value)) if isinstance(value, list) else 0


def _hint(found: str) -> str:
    if "strftime_now" in found:
        return "this template states the date: give it one (today=…)"
    return _DO_TEMPLATE
