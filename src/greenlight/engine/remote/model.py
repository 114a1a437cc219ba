"""Which model is behind an endpoint? What it says of itself, asked once, and held to with every answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from greenlight.engine.answering import ChatRequest
from greenlight.engine.remote.address import Address
from greenlight.engine.remote.answerer import AT_ONCE, RemoteAnswerer, body_of
from greenlight.engine.remote.client import Client, Patience, Waiting
from greenlight.engine.remote.neutral import find_neutral
from greenlight.engine.remote.replies import Said, read_chat, read_models
from greenlight.engine.requests import SamplingParams
from greenlight.errors import ConfigError, EngineError, UsageError
from greenlight.evidence import JSON, sha256_json

AT_ONCE_VARIABLE, TIMEOUT_VARIABLE = "GREENLIGHT_ENDPOINT_AT_ONCE", "GREENLIGHT_ENDPOINT_TIMEOUT"
"""Environment variables: requests at once; seconds in which one answer must be there."""

_NAMED = 10


class _Hello:
    """The one question that finds out what a model calls itself."""

    role, content = "user", "Say hello."


class RemoteModel:
    """A model behind an endpoint, with what it says of itself.

    Args:
        client: the endpoint.
        model: the model's name there; None for the only one.
        at_once: requests at once.

    Raises:
        EngineError: the endpoint cannot be reached, or does not speak the protocol.
        UsageError: it has several models and none is named, or not the one that is.
    """

    def __init__(self, client: Client, model: str | None, *, at_once: int = AT_ONCE) -> None:
        self._client, self._at_once = client, at_once
        client.say(f"asking {client.where('/models')} which models there are")
        listed = self._listed()
        self.name = _chosen(listed, model, client.address.url)
        self.entry: dict[str, JSON] | None = None if listed is None else listed.get(self.name)
        """What /models says of it; None where it says nothing."""
        self.off, said = find_neutral(self._hello)
        """Settings that it takes with the value that turns them off; every request carries them."""
        self.answers_as = said.model
        """What its answers say that gave them."""
        self._fingerprints: dict[str, None] = {}
        self._guard = threading.Lock()
        self.see(said)

    @classmethod
    def reach(
        cls, url: str, model: str | None, *, patience: Patience | None = None, waiting: Waiting | None = None
    ) -> RemoteModel:
        """Find a model by its endpoint's address.

        Args:
            url: the address.
            model: the model's name there; None for the only one.
            patience: how long it is waited for.
            waiting: told what is asked first, and what is waited for.

        Raises:
            UsageError: the address is malformed.
            EngineError: as for the class.
        """
        chosen = patience or Patience(answer_s=float(_number(TIMEOUT_VARIABLE, Patience().answer_s, 86_400)))
        client = Client(Address.parse(url), chosen, waiting)
        return cls(client, model, at_once=int(_number(AT_ONCE_VARIABLE, AT_ONCE, 256)))

    @property
    def url(self) -> str:
        """The endpoint's base address."""
        return self._client.address.url

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What answers so far said of the system that computed them, in the order in which they said it."""
        with self._guard:
            return tuple(self._fingerprints)

    @property
    def digest(self) -> str:
        """SHA-256 over what it says of itself: the weights behind it cannot be seen."""
        return sha256_json(
            {"url": self.url, "model": self.name, "answers_as": self.answers_as, "models_entry": self.entry}
        )

    def answerer(self, *, at_once: int | None = None) -> RemoteAnswerer:
        """A fresh way to ask it."""
        return RemoteAnswerer(self._client, self.name, self.off, self.see, at_once=at_once or self._at_once)

    def see(self, said: Said) -> None:
        """Take note of an answer.

        Raises:
            EngineError: another model gave it than the one that was found.
        """
        if said.model != self.answers_as:
            raise EngineError(
                "the endpoint answers as another model than before",
                where=self.url,
                found=f"{said.model!r:.120}, expected {self.answers_as!r:.120}",
                do="serve the model that was locked, or make a new lock for this one",
            )
        with self._guard:
            if said.fingerprint is not None and len(self._fingerprints) < _NAMED:
                self._fingerprints.setdefault(said.fingerprint)

    def still_listed(self) -> bool:
        """Whether /models says of it what it said when it was found."""
        listed = self._listed()
        return (None if listed is None else listed.get(self.name)) == self.entry

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _listed(self) -> dict[str, dict[str, JSON]] | None:
        data = self._client.get("/models")
        return None if data is None else read_models(data, self._client.where("/models"))

    def _hello(self, off: Mapping[str, float]) -> Said:
        sampling = SamplingParams(max_tokens=1)
        body = body_of(ChatRequest(id="hello", turns=(_Hello(),), sampling=sampling), self.name, off)
        path = "/chat/completions"
        self._client.say(f"asking {self.name} at {self.url} for one word; a server may load it first")
        return read_chat(self._client.post(path, body), self._client.where(path))


def _chosen(listed: dict[str, dict[str, JSON]] | None, model: str | None, url: str) -> str:
    """The model that is named, or the only one."""
    names = ", ".join(sorted(listed)[:_NAMED]) if listed else "none"
    if model is None:
        if listed is None or len(listed) != 1:
            raise UsageError(
                "the endpoint has not exactly one model, and none is named",
                where=url,
                found=names if listed is not None else "it does not list its models",
                do=f"write {url}#MODEL"
                if listed is not None or url.endswith("/v1")
                else f"check the address, which often ends in /v1: {url}/v1#MODEL",
            )
        return next(iter(listed))
    if listed and model not in listed:
        raise UsageError("the endpoint has no model of this name", where=f"{url}#{model}", found=names)
    return model


def _number(name: str, default: float, most: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= most:
        raise ConfigError("this is no number that can be set", where=name, found=repr(text), do=f"use 1 to {most:,.0f}")
    return value
