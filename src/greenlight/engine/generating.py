"""How does a prompt become an answer? The state of one `GenerateRequest` from submit to its end."""

from __future__ import annotations

import math
import time
from collections.abc import Collection

from greenlight.engine.guessing import Guessing
from greenlight.engine.requests import Event, Finish, GenerateRequest, Generation, TokenEvent, TokenLogprob
from greenlight.engine.sampler import Draw, History, Row
from greenlight.engine.sequence import Sequence
from greenlight.engine.stops import StopMatcher
from greenlight.text.replies import REASONING_TOKENS, ReplyDecoder


class Generating:
    """Takes one drawn token after the other until the answer ends.

    Args:
        request: what was asked.
        sequence: its tokens; drawn ones are appended.
        text: turns tokens into text.
        eos_ids: tokens that end an answer.
        max_seq_len: positions the model has.
    """

    def __init__(
        self,
        request: GenerateRequest,
        sequence: Sequence,
        text: ReplyDecoder,
        eos_ids: Collection[int],
        max_seq_len: int,
    ) -> None:
        self.request, self.sequence = request, sequence
        self._text, self._stops = text, StopMatcher(request.sampling.stop)
        self._eos_ids = () if request.sampling.ignore_eos else eos_ids
        self._max_tokens, self._max_seq_len = request.sampling.max_tokens, max_seq_len
        self._history = History(request.prompt) if request.sampling.penalised else None
        self.guessing = Guessing(sequence.tokens)
        self._pieces: list[str] = []
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._answer_logprobs: list[float] = []
        self._cached_tokens = 0
        self._n_answer = 0
        self._submitted = time.perf_counter()
        self._first_token: float | None = None

    def row(self, ahead: int = 0) -> Row:
        """What the sampler must know for the next token, or for one so far behind it."""
        return Row(self.request.sampling, len(self.sequence.tokens) + ahead, self._history)

    def guess(self, at_most: int) -> tuple[int, ...]:
        """The next tokens, most likely; none that could not be part of the answer."""
        if self._history is not None:  # what is drawn depends on each token before it
            return ()
        room = min(self._max_seq_len - len(self.sequence.tokens), self._max_tokens - self._n_answer)
        return self.guessing.guess(max(0, min(at_most, room - 1)))

    def accept(self, draw: Draw) -> list[Event]:
        """Add a token; the last of the returned events is the `Generation` if the answer ended."""
        if self._first_token is None:
            self._first_token = time.perf_counter()
            self._cached_tokens = self.sequence.n_cached
        token = draw.token
        self.sequence.tokens.append(token)
        self._tokens.append(token)
        if draw.logprob is not None:
            self._logprobs.append(TokenLogprob(token, draw.logprob, draw.top))
            if self._text.answering:
                self._answer_logprobs.append(draw.logprob)
        if self._history is not None:
            self._history.add(token)
        self._n_answer += self._text.answering
        if token in self._eos_ids:
            self._text.ended(token)
            text = ""
        else:
            text = self._stops.push(self._text.push(token))
        finish = self._finish(token)
        if finish is not None and finish != "stop_string":
            text += self._stops.push(self._text.flush())
            if self._stops.stopped:  # the last bytes, shown as they are, completed a stop string
                finish = "stop_string"
            text += self._stops.flush()
        self._pieces.append(text)
        event = TokenEvent(self.request.id, token, text, draw.logprob)
        return [event] if finish is None else [event, self.end(finish)]

    def end(self, finish: Finish) -> Generation:
        """The answer as it stands."""
        first = self._first_token
        return Generation(
            id=self.request.id,
            tokens=tuple(self._tokens),
            text="".join(self._pieces),
            finish=finish,
            logprobs=tuple(self._logprobs),
            answer_logprob=math.fsum(sure) / len(sure) if (sure := self._answer_logprobs) else None,
            prompt_tokens=len(self.request.prompt),
            cached_tokens=self._cached_tokens,
            first_token_s=None if first is None else first - self._submitted,
            total_s=time.perf_counter() - self._submitted,
            apart=self._text.apart(),
        )

    def _finish(self, token: int) -> Finish | None:
        if token in self._eos_ids:
            return "stop"
        if self._stops.stopped:
            return "stop_string"
        if self._n_answer == self._max_tokens or len(self._tokens) - self._n_answer == REASONING_TOKENS:
            return "length"
        if len(self.sequence.tokens) == self._max_seq_len:
            return "context"
        return None
