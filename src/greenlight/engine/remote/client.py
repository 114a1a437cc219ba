"""How does a request reach an endpoint and come back? Bounded, patient for a while, and never with a key in sight."""

from __future__ import annotations

import datetime
import email.utils
import json
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import httpx2

from greenlight.engine.remote.address import Address
from greenlight.engine.remote.replies import error_text, shown
from greenlight.errors import EngineError
from greenlight.evidence import JSON

RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may well succeed."""

_MOST_TIMEOUTS = 2

_MOST_MEETINGS = 2
"""How often a connection is tried that never stood: nobody may be there at all."""

_REASON = 65_536
"""Bytes of a refusal in which names of settings are looked for."""

_QUIET_S = 5.0
"""Seconds between two words about waiting."""

Waiting = Callable[[str], None]
"""Told, in words, what is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long an endpoint is waited for, and how much of it is read."""

    attempts: int = 6
    """How often a request is sent before it is given up, where the endpoint fails; being told to wait is no failure."""

    backoff_s: float = 0.5
    """Seconds before the second attempt; twice as many before each further one."""

    connect_s: float = 10.0
    """Seconds in which a connection must stand."""

    answer_s: float = 600.0
    """Seconds in which one answer must be there, whole."""

    wait_s: float = 900.0
    """Seconds in all that one request waits because the endpoint asks for it (429, Retry-After)."""

    max_bytes: int = 8 * 2**20
    """Bytes of one reply that are read."""


class RefusedError(EngineError):
    """The endpoint refuses what a request says; another request may pass."""

    def __init__(self, said: str, *, where: str, found: str) -> None:
        do = "change what it names; settings that an endpoint does not know cannot be asked of it"
        super().__init__("the endpoint refuses the request", where=where, found=found, do=do)
        self.said = said
        """What it says of the reason, as much as is read of it."""


class CancelledError(Exception):
    """Nobody waits for the reply any more."""


class Client:
    """One endpoint's HTTP; safe to use from several threads.

    Args:
        address: where.
        patience: how long and how much.
        waiting: told what is waited for, from any thread.
    """

    def __init__(self, address: Address, patience: Patience | None = None, waiting: Waiting | None = None) -> None:
        self.address, self.patience, self._tell = address, patience or Patience(), waiting
        self._met, self._told_at = False, -_QUIET_S
        timeout = httpx2.Timeout(self.patience.answer_s, connect=self.patience.connect_s)
        # A proxy that the environment names is for other machines; compressed replies cannot be bounded, so none is
        # asked for; a redirect could carry the key elsewhere, so none is followed.
        self._http = httpx2.Client(
            timeout=timeout,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "greenlight"},
            follow_redirects=False,
            trust_env=not address.is_loopback,
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=32),
        )
        self._finalizer = weakref.finalize(self, self._http.close)
        self._free_at = 0.0
        """When the endpoint may be asked again (time.monotonic); whoever is told to wait waits for all."""

    def close(self) -> None:
        """Close every connection."""
        self._finalizer()

    def get(self, path: str) -> bytes | None:
        """The body of a page; None where there is none of that name.

        Raises:
            EngineError: it cannot be had.
        """
        return self._ask("GET", path, None, threading.Event(), absent=True)

    def post(self, path: str, body: Mapping[str, JSON], cancelled: threading.Event | None = None) -> bytes:
        """The reply to a request.

        Raises:
            EngineError: it cannot be had.
            CancelledError: nobody waits for it any more.
        """
        reply = self._ask("POST", path, json.dumps(body).encode(), cancelled or threading.Event())
        assert reply is not None
        return reply

    def where(self, path: str) -> str:
        """The address of a page, for messages."""
        return f"{self.address.url}{path}"

    def _ask(
        self, method: str, path: str, body: bytes | None, cancelled: threading.Event, *, absent: bool = False
    ) -> bytes | None:
        where, patience = self.where(path), self.patience
        failed = waited = timeouts = 0.0
        while True:
            self._wait(self._free_at - time.monotonic(), cancelled)
            try:
                status, headers, data = self._once(method, where, body, cancelled)
                self._met = True
            except httpx2.ConnectError as error:
                failed, last = failed + 1, f"{type(error).__name__}: {str(error)[:160]}"
                if not self._met:
                    # Refused at the very first contact: nobody is there, and waiting brings nobody.
                    self._not_met(where, str(error)[:160])
            except httpx2.TimeoutException as error:
                timeouts, failed, last = timeouts + 1, failed + 1, f"no answer in time ({type(error).__name__})"
                if timeouts >= _MOST_TIMEOUTS and not isinstance(error, httpx2.ConnectTimeout):
                    self._give_up(where, last, failed)
                if not self._met and isinstance(error, httpx2.ConnectTimeout) and failed >= _MOST_MEETINGS:
                    self._not_met(where, f"no connection in {patience.connect_s:g} s, tried {failed:.0f} times")
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                failed, last = failed + 1, f"{type(error).__name__}: {str(error)[:160]}"
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
                raise EngineError("this is no address of an endpoint", where=where, found=str(error)[:160]) from error
            else:
                if status == 200:
                    return data
                if absent and status in (404, 405, 501):
                    return None
                if status not in RETRIED:
                    self._refused(where, status, headers, data)
                last = f"status {status}: {error_text(data)}"
                pause = retry_after(headers.get("retry-after"))
                if pause is not None and status in (429, 503):
                    waited += pause
                    if waited > patience.wait_s:
                        self._give_up(where, f"{last}; it asks to wait {pause:.0f} s more", failed + 1)
                    self._free_at = max(self._free_at, time.monotonic() + pause)
                    self._say(f"waiting {pause:.0f} s for {where}, as it asks: {last}")
                    continue
                failed += 1
            if failed >= patience.attempts:
                self._give_up(where, last, failed)
            pause = patience.backoff_s * 2 ** (failed - 1)
            self._say(
                f"waiting for {where}: {last}; asked {failed:.0f} of {patience.attempts} times, again in {pause:g} s"
            )
            self._wait(pause, cancelled)

    def say(self, text: str) -> None:
        """Tell whoever listens what is asked now."""
        if self._tell is not None:
            self._tell(self._without_key(text))

    def _say(self, text: str) -> None:
        """The same of what many threads wait for at once: one word in a while is enough."""
        if time.monotonic() - self._told_at >= _QUIET_S:
            self._told_at = time.monotonic()
            self.say(text)

    def _wait(self, seconds: float, cancelled: threading.Event) -> None:
        if cancelled.is_set() or (seconds > 0 and cancelled.wait(seconds)):
            raise CancelledError

    def _once(
        self, method: str, where: str, body: bytes | None, cancelled: threading.Event
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send once; read no more, and for no longer, than patience allows."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        if key := self.address.key():
            headers["Authorization"] = f"Bearer {key}"
        end = time.monotonic() + self.patience.answer_s
        data = bytearray()
        with self._http.stream(method, where, content=body, headers=headers) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                _unbounded(
                    where, f"content-encoding {response.headers['content-encoding'][:40]!r}, which was not asked"
                )
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > self.patience.max_bytes:
                    _unbounded(where, f"more than {self.patience.max_bytes:,} bytes, beginning {shown(bytes(data))}")
                if time.monotonic() > end:
                    raise httpx2.ReadTimeout(f"still sending after {self.patience.answer_s:.0f} s")
                if cancelled.is_set():
                    raise CancelledError
            return response.status_code, response.headers, bytes(data)

    def _refused(self, where: str, status: int, headers: Mapping[str, str], data: bytes) -> NoReturn:
        found = f"status {status}: {self._without_key(error_text(data))}"
        if 300 <= status < 400:
            to = shown(headers.get("location", "").encode())
            raise EngineError("the endpoint points elsewhere", where=where, found=to, do="give the address it names")
        if status in (401, 403):
            own, everyones = self.address.key_variables
            do = f"set {own}, or {everyones} for every endpoint, to the key"
            raise EngineError("the endpoint does not let us in", where=where, found=found, do=do)
        if status in (404, 405):
            do = f"check the address ({self._address()}) and the model's name"
            raise EngineError("the endpoint does not know this", where=where, found=found, do=do)
        raise RefusedError(self._without_key(data[:_REASON].decode("utf-8", "replace")), where=where, found=found)

    def _not_met(self, where: str, found: str) -> NoReturn:
        here = "; inside a container localhost is the container itself" if self.address.is_loopback else ""
        raise EngineError(
            "nobody answers at the endpoint's address",
            where=where,
            found=f"{found}; nothing was sent",
            do=f"start the server, or check host and port, and that the address is its base ({self._address()}){here}",
        )

    def _address(self) -> str:
        """What is most often wrong with an address."""
        url = self.address.url
        return "it often ends in /v1" if url.endswith("/v1") else f"it often ends in /v1: {url}/v1"

    def _give_up(self, where: str, last: str, attempts: float) -> NoReturn:
        raise EngineError(
            "the endpoint does not answer",
            where=where,
            found=f"{self._without_key(last)}; asked {attempts:.0f} times",
            do="when it runs again, the same command goes on where this one stopped"
            if self._met
            else f"look at the server's own log; check the address ({self._address()})",
        )

    def _without_key(self, text: str) -> str:
        """A message of the endpoint's, which may repeat what it was sent."""
        key = self.address.key()
        return text.replace(key, "(the key)") if key else text


def retry_after(text: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); None where it says none."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
        seconds = (when - datetime.datetime.now(datetime.UTC)).total_seconds()
    # At least a little: a server that says 0 for ever would be asked for ever.
    return min(max(seconds, 0.1), 1e6) if seconds == seconds else None


def _unbounded(where: str, found: str) -> NoReturn:
    raise EngineError(
        "the endpoint's reply has no end, or cannot be held to one",
        where=where,
        found=found,
        do="check that the address is that of an OpenAI-compatible API",
    )
