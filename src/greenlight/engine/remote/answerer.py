"""How are many questions at an endpoint at once? A few threads, each with one request; results as they come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from greenlight.engine.answering import Answered, ChatRequest, ChoiceRequest, Reply, is_plain
from greenlight.engine.remote.client import CancelledError, Client
from greenlight.engine.remote.replies import Said, read_chat, read_completion
from greenlight.engine.requests import SamplingParams
from greenlight.errors import EngineError, UnsupportedError
from greenlight.evidence import JSON

AT_ONCE = 8
"""Requests that an endpoint gets at once, unless told otherwise."""

_POLL_S = 0.25
_MOST_STOPS = 4
_SEED_BITS = 31


class _Ended(NamedTuple):
    id: str
    reply: Answered | None
    error: BaseException | None


class RemoteAnswerer:
    """An endpoint's model as an `Answerer`.

    Args:
        client: the endpoint.
        model: the model's name there.
        off: settings that are sent with the value that turns them off, where a request does not set them.
        seen: told of each answer before it counts; raises where it is not of the model that was found.
        at_once: requests at once.
    """

    weighs = False

    def __init__(
        self,
        client: Client,
        model: str,
        off: Mapping[str, float],
        seen: Callable[[Said], None],
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._client, self._model, self._off, self._seen = client, model, off, seen
        self.capacity = at_once
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._waiting: dict[str, threading.Event] = {}
        self._failed: BaseException | None = None
        # Cancelled requests may still be on the wire: the endpoint never has more than this many from here.
        self._places = threading.BoundedSemaphore(at_once)

    @property
    def in_flight(self) -> frozenset[str]:
        """Ids of requests that have not ended."""
        return frozenset(self._waiting)

    def ask(self, request: ChatRequest) -> None:
        """Begin to answer.

        Raises:
            UnsupportedError: the settings cannot be asked of an endpoint exactly.
        """
        if request.id in self._waiting:
            raise EngineError("two requests in flight have one id", found=repr(request.id))
        body, cancelled = body_of(request, self._model, self._off), threading.Event()
        self._waiting[request.id] = cancelled
        # Daemons: an endpoint that says nothing must not keep the process from ending.
        threading.Thread(target=self._work, args=(request, body, cancelled), daemon=True).start()

    def weigh(self, request: ChoiceRequest) -> None:
        """Refused: an endpoint does not tell log-probabilities of given texts under its chat template."""
        raise UnsupportedError("an endpoint gives no log-probabilities of given texts", where=request.id)

    def poll(self) -> list[Reply]:
        """Wait a moment; what ended meanwhile. An error comes up once everything that ended before it was returned.

        Raises:
            EngineError: the endpoint failed, or is not the one that was found.
        """
        replies: list[Reply] = []
        wait_s: float | None = _POLL_S
        while True:
            try:
                ended = self._ended.get(timeout=0 if replies or self._failed else wait_s)
            except queue.Empty:
                break
            if self._waiting.pop(ended.id, None) is None:
                continue
            if ended.reply is not None:
                replies.append(ended.reply)
            else:
                self._failed = self._failed or ended.error
        if not replies and self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        return replies

    def cancel(self, request_id: str) -> None:
        """Forget a request in flight."""
        if cancelled := self._waiting.pop(request_id, None):
            cancelled.set()

    def _work(self, request: ChatRequest, body: dict[str, JSON], cancelled: threading.Event) -> None:
        try:
            with self._places:
                self._ended.put(_Ended(request.id, self._answer(request, body, cancelled), None))
        except CancelledError:
            return
        except BaseException as error:  # noqa: BLE001  a thread has nobody to raise to: `poll` does it
            self._ended.put(_Ended(request.id, None, error))

    def _answer(self, request: ChatRequest, body: dict[str, JSON], cancelled: threading.Event) -> Answered:
        if cancelled.is_set():
            raise CancelledError
        plain = is_plain(request.turns)
        path = "/completions" if plain else "/chat/completions"
        read = read_completion if plain else read_chat
        said = read(self._client.post(path, body, cancelled), self._client.where(path))
        self._seen(said)
        text, finish = _before_stop(said, request.sampling)
        return Answered(request.id, text, finish, said.n_prompt, said.n_output, None)


def body_of(request: ChatRequest, model: str, off: Mapping[str, float]) -> dict[str, JSON]:
    """What is sent: all that is set, and what is off said to be off where the endpoint takes it.

    Raises:
        UnsupportedError: a setting that endpoints call by different names, or not at all.
    """
    sampling = request.sampling
    if sampling.repetition_penalty != 1 or sampling.ignore_eos:
        raise UnsupportedError(
            "this setting cannot be asked of an endpoint exactly: servers mean different things by it",
            where="repetition_penalty" if sampling.repetition_penalty != 1 else "ignore_eos",
            do="leave it out, and set it where the model is served",
        )
    body: dict[str, JSON] = {
        "model": model,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        # Servers hold seeds in 32 bits, some of them signed.
        "seed": sampling.seed & (2**_SEED_BITS - 1),
        "stream": False,
        **off,
    }
    unset = SamplingParams()
    for name in ("top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"):
        if getattr(sampling, name) != getattr(unset, name):
            body[name] = getattr(sampling, name)
    if sampling.stop:
        body["stop"] = list(sampling.stop[:_MOST_STOPS])
    if is_plain(request.turns):
        return {**body, "prompt": request.turns[0].content}
    return {**body, "messages": [{"role": turn.role, "content": turn.content} for turn in request.turns]}


def _before_stop(said: Said, sampling: SamplingParams) -> tuple[str, str]:
    """The answer before the first stop string, whether or not the endpoint minded them."""
    places = [place for stop in sampling.stop if (place := said.text.find(stop)) >= 0]
    return (said.text[: min(places)], "stop_string") if places else (said.text, said.finish)
