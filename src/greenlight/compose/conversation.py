"""What is said in a talk with a model, and what comes next? History, streaming, and an answer that can be stopped."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace

from greenlight.engine import GenerateRequest, SamplingParams, TokenEvent
from greenlight.engine.local import LocalModel
from greenlight.text import Message


class Conversation:
    """A history of turns over one engine; each answer sees all of it, and reuses what was computed before."""

    def __init__(self, model: LocalModel, system: str | None, sampling: SamplingParams) -> None:
        self._model, self._sampling = model, sampling
        self._engine = model.engine(max_sequences=1)
        self._turn = 0
        self._system = system
        self._history: list[Message] = []
        self._today = datetime.date.today()  # a talk is not repeated: a template that asks for the day is told it
        self.finish: str | None = None
        """Why the last answer ended; None before the first and after one that was stopped."""
        self.thought_only = False
        """Whether the last one came to no word: the model's thoughts took all the tokens that they may."""

    def say(self, text: str) -> Iterator[str]:
        """Stream the answer to a user's turn, in pieces of whole characters.

        Where the caller stops early, or the engine refuses the prompt, what was answered so far stays in the history
        and a turn without any answer does not.

        Raises:
            EngineError: the conversation no longer fits the context.
        """
        self._turn += 1
        self.finish, self.thought_only = None, False
        request_id = f"turn-{self._turn}"
        messages = [*self._opening(), *self._history, Message("user", text)]
        prompt = self._model.prompt(messages, today=self._today)
        request = GenerateRequest(id=request_id, prompt=prompt, sampling=self._sampling, reply=self._model.reply)
        answer: list[str] = []
        stream = self._engine.stream(request)
        try:
            for event in stream:
                if isinstance(event, TokenEvent):
                    answer.append(event.text)
                    yield event.text
                else:
                    self.finish = event.finish
                    self.thought_only = event.finish == "length" and event.apart is not None and not event.text
                    rest = event.text[len("".join(answer)) :]
                    answer.append(rest)
                    yield rest
        finally:
            if "".join(answer):
                self._history += [Message("user", text), Message("assistant", "".join(answer))]

    def clear(self, system: str | None = None) -> None:
        """Forget every turn; with a system prompt, go on under that one."""
        self._history = []
        if system is not None:
            self._system = system or None

    def undo(self) -> bool:
        """Forget the last exchange; False where there is none."""
        if not self._history:
            return False
        del self._history[-2:]
        return True

    def seed(self, seed: int) -> None:
        """Sample the next answers under another seed."""
        self._sampling = replace(self._sampling, seed=seed)

    def _opening(self) -> list[Message]:
        return [Message("system", self._system)] if self._system else []
