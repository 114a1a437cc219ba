"""What can be asked of the engine, and what comes back? Frozen facts, checked at birth."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from greenlight.errors import ConfigError
from greenlight.text.replies import Apart, ReplyFormat

Finish: TypeAlias = Literal["stop", "stop_string", "length", "context", "cancelled"]
"""Why an answer ended: the model's end token, a stop string, max_tokens, the context's end, or `cancel`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams:
    """How the next token is drawn; `engine/sampler.py` gives each definition and the order in which they apply."""

    temperature: float = 0.0
    """Divisor of the logits; 0 takes the most likely token, of equals the lowest id."""

    top_k: int = 0
    """Draw among this many most likely tokens; 0 is off."""

    top_p: float = 1.0
    """Draw among the fewest most likely tokens whose probabilities reach this sum; 1 is off."""

    min_p: float = 0.0
    """Draw among tokens at least this fraction as likely as the most likely one; 0 is off."""

    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens in prompt or answer; 1 is off."""

    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens already in the answer; 0 is off."""

    frequency_penalty: float = 0.0
    """Subtracted from a token's logit once for each time it is in the answer; 0 is off."""

    seed: int = 0
    """Key of the noise, 0 to 2**64 - 1. Requests of one seed share their noise: give each sample its own."""

    max_tokens: int = 256
    """Tokens after which the answer ends as `length`; thoughts before it have a limit of their own."""

    stop: tuple[str, ...] = ()
    """The answer ends before the first of these strings to be completed."""

    logprobs: int = 0
    """How many of the most likely tokens to report beside each drawn one; 0 reports no log-probabilities at all."""

    ignore_eos: bool = False
    """Go on past the model's end token, as if it were any other."""

    def __post_init__(self) -> None:
        for name in ("top_k", "seed", "max_tokens", "logprobs"):
            _check_whole(name, getattr(self, name))
        for name in ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"):
            _check_finite(name, getattr(self, name))
        _check(self.temperature >= 0, "temperature", self.temperature, "0 for the most likely token, or more")
        _check(self.top_k >= 0, "top_k", self.top_k, "0 (off) or more")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "more than 0, up to 1 (off)")
        _check(0 <= self.min_p <= 1, "min_p", self.min_p, "0 (off) to 1")
        _check(self.repetition_penalty > 0, "repetition_penalty", self.repetition_penalty, "more than 0; 1 is off")
        _check(0 <= self.seed < 2**64, "seed", self.seed, "0 to 2**64 - 1")
        _check(self.max_tokens >= 1, "max_tokens", self.max_tokens, "1 or more")
        _check(self.logprobs >= 0, "logprobs", self.logprobs, "0 (none) or more")
        _check(not isinstance(self.stop, str), "stop", self.stop, "a tuple of strings, even for one")
        object.__setattr__(self, "stop", tuple(self.stop))
        for text in self.stop:
            _check(isinstance(text, str) and text != "", "stop", text, "strings of at least one character")

    @property
    def penalised(self) -> bool:
        """Whether earlier tokens change later logits."""
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0

    @property
    def plain(self) -> bool:
        """Whether the most likely token is all that is asked for."""
        return self.temperature == 0 and self.logprobs == 0 and not self.penalised


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateRequest:
    """Continue a prompt."""

    id: str
    """The caller's name for it, unique among requests in flight."""

    prompt: tuple[int, ...]
    """Token ids, at least one; special tokens included, nothing is added."""

    sampling: SamplingParams = field(default_factory=SamplingParams)
    """How tokens are drawn and when to end."""

    reply: ReplyFormat | None = None
    """How the model tells its answer from its thoughts; None takes all for the answer. With a format, `max_tokens` and
    stop strings are the answer's: thoughts have a limit of their own."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        object.__setattr__(self, "prompt", _token_ids("prompt", self.id, self.prompt))
        _check(len(self.prompt) > 0, f"prompt of request {self.id!r}", "empty", "at least one token id")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRequest:
    """Weigh given continuations of one prompt: log P(continuation | prompt) of each, token by token.

    An empty prompt stands for the tokenizer's beginning-of-text token, or its end-of-text token where it has no other,
    as lm-evaluation-harness does; so the first token of a continuation is weighed too.
    """

    id: str
    """The caller's name for it, unique among requests in flight."""

    prompt: tuple[int, ...]
    """Token ids before each continuation."""

    continuations: tuple[tuple[int, ...], ...]
    """Token ids to weigh, at least one continuation of at least one token; they share what they have in common."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        object.__setattr__(self, "prompt", _token_ids("prompt", self.id, self.prompt))
        ids = tuple(_token_ids("continuation", self.id, tokens) for tokens in self.continuations)
        object.__setattr__(self, "continuations", ids)
        _check(len(ids) > 0, f"continuations of request {self.id!r}", "empty", "at least one continuation")
        for index, tokens in enumerate(ids):
            _check(len(tokens) > 0, f"continuation {index} of request {self.id!r}", "empty", "at least one token id")


Request: TypeAlias = GenerateRequest | ScoreRequest
"""Either verb."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """What the model itself thought of one drawn token: before penalties, temperature and cuts."""

    token: int
    """The drawn token's id."""

    logprob: float
    """Its log-probability in nats."""

    top: tuple[tuple[int, float], ...]
    """The most likely tokens and their log-probabilities in nats, best first, of equals the lowest id first."""


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One token was drawn."""

    id: str
    """The request's."""

    token: int
    """Token id."""

    text: str
    """Text that became certain with it: whole characters only, and nothing that may yet belong to a stop string."""

    logprob: float | None
    """Log-probability of the token in nats; None unless the request asked for log-probabilities."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer. What depends on circumstances, the times and cache hits, is left out of comparisons."""

    id: str
    """The request's."""

    tokens: tuple[int, ...]
    """Every drawn token, thoughts and the end token or the one that completed a stop string included."""

    text: str
    """The answer, without end token and stop string."""

    finish: Finish
    """Why it ended."""

    logprobs: tuple[TokenLogprob, ...]
    """One per drawn token; empty unless asked for."""

    prompt_tokens: int
    """Length of the prompt."""

    cached_tokens: int = field(compare=False)
    """How many of the prompt's tokens came from the prefix cache."""

    first_token_s: float | None = field(compare=False)
    """Seconds from submit to the first token; None if it was cancelled before."""

    total_s: float = field(compare=False)
    """Seconds from submit to the end."""

    apart: Apart | None = None
    """What came beside the answer; None where the request named no format."""

    answer_logprob: float | None = None
    """Mean log-probability of the answer's tokens, in nats, its end included and what came beside it left out; None
    unless asked for, and where nothing was answered."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The weights of a request's continuations, in the request's order."""

    id: str
    """The request's."""

    logprobs: tuple[tuple[float, ...], ...]
    """Log-probability in nats of each token of each continuation."""

    greedy: tuple[bool, ...]
    """Per continuation, whether each of its tokens was the most likely one."""


Event: TypeAlias = TokenEvent | Generation | Scored
"""What a step may bring."""


def _check(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise ConfigError(f"{name} is {value!r}", do=f"use {wanted}")


def _check_whole(name: str, value: object) -> None:
    _check(isinstance(value, int) and not isinstance(value, bool), name, value, "a whole number")


def _check_finite(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _check(number, name, value, "a finite number")


def _check_id(value: object) -> None:
    _check(isinstance(value, str) and value != "", "id", value, "a string of at least one character")


def _token_ids(name: str, request_id: str, tokens: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(map(operator.index, tokens))
    except TypeError as error:
        raise ConfigError(f"{name} of request {request_id!r} is not made of token ids", found=str(error)) from error
