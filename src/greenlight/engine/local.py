"""What is a model that is ready to run on this machine? Weights, tokenizer and chat template of one file or folder."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from greenlight.engine.answering import Answered, ChatRequest, ChoiceRequest, Reply, Turn, Weighed, is_plain, parted
from greenlight.engine.engine import Engine
from greenlight.engine.requests import GenerateRequest, Generation, Scored, ScoreRequest
from greenlight.errors import TextError, UnsupportedError, placed
from greenlight.formats.tensors import release_freed
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from greenlight.text import ChatTemplate, Tokenizer, render_tokens
from greenlight.text.harmony.rendering import HarmonySettings, harmony_tokens, render_harmony
from greenlight.text.replies import Harmony, ReplyFormat, reply_format
from greenlight.text.template import STATED_DATE


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

    reply: ReplyFormat | None = None
    """How it tells its answer from its thoughts; None where all that it says is the answer."""

    adapters: tuple[Path, ...] = ()
    """Folders or files of the adapters that it was loaded with; tokenizer and template are the base's all the same."""

    @classmethod
    def load(cls, path: Path, *, ops: str | None = None, adapters: tuple[Path, ...] = ()) -> LocalModel:
        """Load a model from a GGUF file or a Hugging Face folder, with LoRA adapters or without.

        Raises:
            FormatError, UnsupportedError, TextError: the files are damaged, or of a kind that is not supported.
        """
        start = time.perf_counter()
        decoder, tokenizer = _read(path, ops, adapters)
        # A vocabulary's words were on the way twice: only now are they let go.
        release_freed()
        with _placed(path, "chat template"):
            template = ChatTemplate(tokenizer.chat_template) if tokenizer.chat_template else None
        return cls(
            path=path,
            decoder=decoder,
            tokenizer=tokenizer,
            template=template,
            load_s=time.perf_counter() - start,
            reply=reply_format(tokenizer),
            adapters=adapters,
        )

    @property
    def chats(self) -> bool:
        """Whether it knows how a conversation is written: by a template of its own, or by its vocabulary."""
        return self.template is not None or (isinstance(self.reply, Harmony) and not self.tokenizer.chat_templates)

    @property
    def stated_date(self) -> datetime.date | None:
        """The day that prompts state; None where the template states none."""
        states = self.template.states_date if self.template is not None else self.chats
        return STATED_DATE if states else None

    def prompt(
        self, messages: Sequence[Turn], *, today: datetime.date = STATED_DATE, direct: bool = False
    ) -> tuple[int, ...]:
        """Prompt tokens of a conversation, ready for the assistant's turn; user text never becomes special tokens.

        A lone turn of the role `text` is a plain text to be continued: it begins as the tokenizer begins texts.

        Args:
            messages: the conversation.
            today: the day for templates that state one.
            direct: whether the answer itself follows, without a thought before it.

        Raises:
            TextError: the model has no chat template, or the template refuses the conversation.
        """
        if is_plain(messages):
            return tuple(self.tokenizer.encode(messages[0].content, bos=True))
        turns = [{"role": message.role, "content": message.content} for message in messages]
        # How a model that can do without thinking is told so; a template that does not know the word is not told.
        quick = direct and self.template is not None and "enable_thinking" in self.template.source
        tokens = self._conversation(turns, today, {"enable_thinking": False} if quick else {})
        return tuple(tokens + self.reply.direct(self.tokenizer, tokens) if direct and self.reply else tokens)

    def _conversation(self, turns: list[dict[str, str]], today: datetime.date, variables: dict[str, Any]) -> list[int]:
        if self.template is None and self.chats:
            return harmony_tokens(self.tokenizer, render_harmony(turns, settings=HarmonySettings(date=today)))
        if self.template is None:
            names = sorted(name for name, source in self.tokenizer.chat_templates.items() if source)
            raise TextError(
                "this model has several chat templates and no default" if names else "this model has no chat template",
                where=str(self.path),
                found=", ".join(names) or None,
                do="use an instruct model, or a file whose metadata carries tokenizer.chat_template",
            )
        with _placed(self.path, "chat template"):
            return render_tokens(self.tokenizer, self.template, turns, today=today, **variables)

    def encode(self, text: str) -> tuple[int, ...]:
        """Tokens of plain text, without special tokens."""
        return tuple(self.tokenizer.encode(text))

    def engine(self, *, max_sequences: int = 32, prefix_cache: bool = True, guesses: bool = True) -> Engine:
        """A fresh engine over these weights."""
        return Engine(
            self.decoder,
            self.tokenizer,
            max_sequences=max_sequences,
            prefix_cache=prefix_cache,
            guesses=guesses,
        )

    def answerer(self, *, max_sequences: int = 32, prefix_cache: bool = True) -> LocalAnswerer:
        """A fresh engine that is asked in turns and texts."""
        return LocalAnswerer(self, self.engine(max_sequences=max_sequences, prefix_cache=prefix_cache))


def _read(path: Path, ops: str | None, adapters: tuple[Path, ...]) -> tuple[Decoder, Tokenizer]:
    """What a model computes with and what it reads with; of its files nothing else is kept."""
    checkpoint = open_checkpoint(path)
    tokenizer = tokenizer_of(checkpoint)
    return load_decoder(checkpoint, select_ops(ops), adapter=adapters or None), tokenizer


def _placed(path: Path, part: str) -> AbstractContextManager[None]:
    """Name the model's file in errors that know a part of it alone."""
    do = "fetch the file again, or use the model's Hugging Face folder"
    return placed(str(path), TextError, UnsupportedError, do=do, part=part)


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizer that came with a model, unless it is that of another.

    Raises:
        TextError, UnsupportedError: it is damaged, of a kind that is not supported, or does not fit the weights.
    """
    path, n_rows = checkpoint.path, checkpoint.config.vocab_size
    if checkpoint.format == "gguf":
        with _placed(path, "tokenizer"):
            tokenizer = Tokenizer.from_gguf(checkpoint.metadata)
        tokenizer.check_fits(n_rows, f"{path}, tokenizer.ggml.tokens")
        return tokenizer
    tokenizer = Tokenizer.from_folder(path)
    tokenizer.check_fits(n_rows, str(path / "tokenizer.json"))
    for name in ("bos_token_id", "eos_token_id"):
        value = checkpoint.metadata.get(name)
        ids = value if isinstance(value, list) else [value]
        if beyond := [id for id in ids if isinstance(id, int) and tokenizer.vocab_size <= id < n_rows]:
            raise TextError(
                "the tokenizer belongs to another model: it lacks a token that the config names",
                where=str(path / "tokenizer.json"),
                found=f"{tokenizer.vocab_size:,} tokens, config.json's {name} is {beyond[0]}",
                do="take the tokenizer that belongs to these weights",
            )
    return tokenizer


class LocalAnswerer:
    """An engine that is asked in turns and texts; see `Answerer`."""

    weighs = True

    def __init__(self, model: LocalModel, engine: Engine) -> None:
        self._model, self._engine = model, engine
        self._n_prompt: dict[str, int] = {}
        self._read: dict[str, tuple[int, ...]] = {}
        self.capacity = engine.max_sequences

    @property
    def in_flight(self) -> frozenset[str]:
        """Ids of requests that have not ended."""
        return self._engine.in_flight

    def ask(self, request: ChatRequest) -> None:
        """Begin to answer."""
        prompt = self._model.prompt(request.turns)
        reply = None if is_plain(request.turns) else self._model.reply
        sampling = replace(request.sampling, logprobs=1) if request.confidence else request.sampling
        asked = GenerateRequest(id=request.id, prompt=prompt, sampling=sampling, reply=reply)
        self._engine.submit(asked)
        self._n_prompt[request.id] = len(prompt)

    def weigh(self, request: ChoiceRequest) -> None:
        """Begin to weigh."""
        prompt, continuations, read = self._split(request)
        self._engine.submit(ScoreRequest(id=request.id, prompt=prompt, continuations=continuations))
        self._read[request.id] = read
        self._n_prompt[request.id] = len(prompt)

    def poll(self) -> list[Reply]:
        """One step of the engine; what ended with it."""
        replies: list[Reply] = []
        for event in self._engine.step():
            if isinstance(event, Generation):
                n_prompt = self._n_prompt.pop(event.id)
                said = (event.id, event.text, event.finish, n_prompt, len(event.tokens), event.first_token_s)
                sure = None if event.answer_logprob is None else math.exp(event.answer_logprob)
                replies.append(Answered(*said, event.apart, sure))
            elif isinstance(event, Scored):
                # What was only read carries no weight.
                pairs = zip(event.logprobs, self._read.pop(event.id), strict=True)
                weighed = tuple(logprobs[read:] for logprobs, read in pairs)
                replies.append(Weighed(event.id, weighed, self._n_prompt.pop(event.id)))
        return replies

    def cancel(self, request_id: str) -> None:
        """Forget a request in flight."""
        self._engine.cancel(request_id)
        self._n_prompt.pop(request_id, None)
        self._read.pop(request_id, None)

    def _split(self, request: ChoiceRequest) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]:
        """Tokens of the prompt, of each choice, and how many of each choice's first tokens are only read.

        Where a plain text goes on with a choice, both are split into tokens together, as the model would have read
        them, and parted after as many tokens as the text alone has (lm-evaluation-harness does the same); blanks at the
        end of the text belong to the choice then.
        """
        if not is_plain(request.turns):
            prompt = self._model.prompt(request.turns, direct=True)
            pairs = [tuple(map(self._model.encode, parted(choice))) for choice in request.choices]
            return prompt, tuple(head + tail for head, tail in pairs), tuple(len(head) for head, _ in pairs)
        text = request.turns[0].content
        blank = len(text) - len(text.rstrip())
        text, gap = text[: len(text) - blank], text[len(text) - blank :]
        encode = self._model.tokenizer.encode
        parts = [parted(choice) for choice in request.choices]
        before = [len(encode(text + gap + head if head else text, bos=True)) for head, _ in parts]
        whole = [tuple(encode(text + gap + head + tail, bos=True)) for head, tail in parts]
        # Where heads differ, how the text's own last word is cut may differ with them: what all share is the prompt.
        shared = _shared(whole) if any(head for head, _ in parts) else before[0]
        at = min(shared, *before)
        return whole[0][:at], tuple(tokens[at:] for tokens in whole), tuple(length - at for length in before)


def _shared(rows: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens all have in common."""
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*rows, strict=False)))
