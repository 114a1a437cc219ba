"""What is a model that is ready to run on this machine? Weights, tokenizer and chat template of one file or folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from greenlight.engine.engine import Engine
from greenlight.errors import TextError
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from greenlight.text import ChatTemplate, Tokenizer, render_tokens


class Turn(Protocol):
    """Anything that says who speaks and what is said: an exam's message, a talk's."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def content(self) -> str:
        """What is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalModel:
    """A model on this machine: everything needed to answer, nothing about where it came from."""

    path: Path
    """The GGUF file or Hugging Face folder."""

    decoder: Decoder
    """The weights, packed for this machine's operations."""

    tokenizer: Tokenizer
    """Text to tokens and back."""

    template: ChatTemplate | None
    """The chat template that came with the model; None for a model that has none."""

    load_s: float
    """Seconds that loading took."""

    @classmethod
    def load(cls, path: Path, *, ops: str | None = None) -> LocalModel:
        """Load a model from a GGUF file or a Hugging Face folder.

        Raises:
            FormatError, UnsupportedError, TextError: the files are damaged, or of a kind that is not supported.
        """
        start = time.perf_counter()
        checkpoint = open_checkpoint(path)
        tokenizer = Tokenizer.from_folder(path) if path.is_dir() else Tokenizer.from_gguf(checkpoint.metadata)
        decoder = load_decoder(checkpoint, select_ops(ops))
        template = ChatTemplate(tokenizer.chat_template) if tokenizer.chat_template else None
        return cls(
            path=path,
            decoder=decoder,
            tokenizer=tokenizer,
            template=template,
            load_s=time.perf_counter() - start,
        )

    def prompt(self, messages: Sequence[Turn]) -> tuple[int, ...]:
        """Prompt tokens of a conversation, ready for the assistant's turn; user text never becomes special tokens.

        Raises:
            TextError: the model has no chat template, or the template refuses the conversation.
        """
        if self.template is None:
            raise TextError(
                "this model has no chat template",
                where=str(self.path),
                do="use an instruct model, or a file whose metadata carries tokenizer.chat_template",
            )
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return tuple(render_tokens(self.tokenizer, self.template, turns))

    def encode(self, text: str) -> tuple[int, ...]:
        """Tokens of plain text, without special tokens."""
        return tuple(self.tokenizer.encode(text))

    def engine(self, *, max_sequences: int = 32, prefix_cache: bool = True) -> Engine:
        """A fresh engine over these weights."""
        return Engine(self.decoder, self.tokenizer, max_sequences=max_sequences, prefix_cache=prefix_cache)
