"""What does an exam need of a model? Turns in, text or weights out: of an engine here, or of an endpoint elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from greenlight.engine.requests import SamplingParams
from greenlight.text.replies import Apart

PLAIN = "text"
"""The role of a lone turn that is continued as it stands, without a chat template."""


HEAD_END = "\x1f"
"""Of a choice, what stands before this mark is read and not weighed: the same ending after different names."""


def parted(choice: str) -> tuple[str, str]:
    """What of a choice is only read, and what is weighed."""
    head, mark, tail = choice.partition(HEAD_END)
    return (head, tail) if mark else ("", choice)


class Turn(Protocol):
    """Anything that says who speaks and what is said: an exam's message, a talk's."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def content(self) -> str:
        """What is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """Answer a conversation, or continue a plain text."""

    id: str
    """The caller's name for it, unique among requests in flight."""

    turns: tuple[Turn, ...]
    """The conversation; a lone turn of the role `text` is continued as it stands."""

    sampling: SamplingParams
    """How tokens are drawn and when to end."""

    confidence: bool = False
    """Whether to tell how sure the model was of its answer, where it can be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceRequest:
    """Weigh given continuations of a conversation, or of a plain text."""

    id: str
    """The caller's name for it, unique among requests in flight."""

    turns: tuple[Turn, ...]
    """As in a ChatRequest."""

    choices: tuple[str, ...]
    """Texts to weigh; of one with a mark (`HEAD_END`), what stands before it is read and not weighed."""


class Answered(NamedTuple):
    """A finished answer."""

    id: str
    text: str
    finish: str
    """`stop`, `stop_string`, `length`, `context`: as `greenlight.engine.Finish` says."""

    n_prompt: int
    """Tokens of the prompt."""

    n_output: int
    """Tokens of the answer."""

    first_token_s: float | None
    """Seconds to the first token; None where it was not seen."""

    apart: Apart | None = None
    """What came beside the answer; None of a model whose output is all answer."""

    confidence: float | None = None
    """Geometric mean of the probabilities of the answer's tokens, 0 to 1; None unless asked for, of an endpoint, and
    where nothing was answered. (Malinin and Gales 2021, arXiv:2002.07650: length-normalised likelihood.)"""


class Weighed(NamedTuple):
    """The weights of a request's choices."""

    id: str
    logprobs: tuple[tuple[float, ...], ...]
    """For each choice the log-probability of each of its tokens, in nats."""

    n_prompt: int
    """Tokens of the prompt."""


Reply: TypeAlias = Answered | Weighed


class Answerer(Protocol):
    """A model that can be asked many things at once."""

    capacity: int
    """Requests that it can work on at once; more wait in vain."""

    weighs: bool
    """Whether it tells log-probabilities of given texts."""

    @property
    def in_flight(self) -> frozenset[str]:
        """Ids of requests that have not ended."""

    def ask(self, request: ChatRequest) -> None:
        """Begin to answer."""

    def weigh(self, request: ChoiceRequest) -> None:
        """Begin to weigh."""

    def poll(self) -> Sequence[Reply]:
        """Work on, or wait, for a moment; what ended meanwhile.

        Raises:
            EngineError: the model cannot go on; what had ended before was returned before.
        """

    def cancel(self, request_id: str) -> None:
        """Forget a request in flight."""


def is_plain(turns: Sequence[Turn]) -> bool:
    """Whether these turns are a plain text and no conversation."""
    return len(turns) == 1 and turns[0].role == PLAIN
