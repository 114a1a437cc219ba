"""How is a web server asked without waiting forever, reading forever, or telling a stranger the token?"""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from greenlight.hub.token import Token

T = TypeVar("T")

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_JSON_BYTES = 32 << 20
"""More than a page of any listing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a server is given."""

    timeout_s: float = 30.0
    """Longest silence."""

    retries: int = 5
    """Further tries after the first."""

    wait_s: float = 1.0
    """Pause before the first further try, doubled for each one after, where the server does not name its own."""

    longest_wait_s: float = 330.0
    """Longest pause that a server may ask for; the hub's own limits count over five minutes."""


PATIENCE = Patience()


class DroppedError(Exception):
    """No answer, half an answer, or "not now": worth another try.

    Args:
        reason: in words.
        after_s: pause that the server asks for.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class RefusedError(Exception):
    """The server says no, or something that may not be followed: asking again changes nothing.

    Args:
        reason: in words.
        status: of HTTP; None where there was none.
        code: the hub's own word for it, as `GatedRepo`.
    """

    def __init__(self, reason: str, status: int | None = None, code: str = "") -> None:
        super().__init__(reason)
        self.status, self.code = status, code


class _Stay(urllib.request.HTTPRedirectHandler):
    """The library would take every header along to wherever it is sent."""

    def _stay(self, *_: Any) -> None:
        return None

    http_error_301 = http_error_302 = http_error_303 = http_error_307 = http_error_308 = _stay  # type: ignore[assignment]


def ask(url: str, *, token: Token | None = None, headers: Mapping[str, str] | None = None, timeout_s: float) -> Any:
    """The open answer to a GET, redirects followed; the token goes to its own origin alone.

    Raises:
        DroppedError: worth another try.
        RefusedError: not so.
    """
    opener, asked = urllib.request.build_opener(_Stay), url
    for _ in range(_MAX_REDIRECTS + 1):
        _check(url, asked)
        sent = {"User-Agent": "greenlight", "Accept-Encoding": "identity", **(headers or {})}
        if token is not None and origin(url) == token.origin:
            sent["Authorization"] = f"Bearer {token.value}"
        try:
            response = opener.open(urllib.request.Request(url, headers=sent), timeout=timeout_s)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                url = _next(url, error, token)
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DroppedError(reason_of(error)) from error
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise RefusedError("the server compresses what was asked for as it is")
        return response
    raise RefusedError(f"more than {_MAX_REDIRECTS} redirects")


def ask_json(url: str, *, token: Token | None = None, timeout_s: float) -> tuple[Any, Mapping[str, str]]:
    """The JSON value that an address answers with, bounded, and the answer's headers.

    Raises:
        DroppedError: worth another try.
        RefusedError: not so; too long or not JSON among the reasons.
    """
    with ask(url, token=token, timeout_s=timeout_s) as response:
        try:
            data = response.read(_MAX_JSON_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise DroppedError(reason_of(error)) from error
        if len(data) > _MAX_JSON_BYTES:
            raise RefusedError(f"an answer of more than {_MAX_JSON_BYTES >> 20} MB")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and len(data) < int(length):
            raise DroppedError(f"the connection broke off at {len(data)} of {length} bytes")
        try:
            return json.loads(data), response.headers
        except (ValueError, RecursionError) as error:
            raise RefusedError("the answer is not JSON", response.status) from error


def persist(attempt: Callable[[], T], patience: Patience) -> T:
    """What an attempt gives, tried again while that is worth it.

    Raises:
        DroppedError: the last attempt's, or at once where the server asks for a pause that nobody would sit through.
    """
    for tried in range(patience.retries + 1):
        try:
            return attempt()
        except DroppedError as error:
            pause = patience.wait_s * 2**tried if error.after_s is None else error.after_s
            if pause > patience.longest_wait_s:
                raise DroppedError(f"{error}; it asks to wait {pause:.0f} s") from error
            if tried == patience.retries:
                raise DroppedError(f"{error}, after {tried + 1} tries") from error
            time.sleep(pause)
    raise AssertionError("an attempt ends in a value or an error")


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, and the signature that a query can be."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def printable(text: str, token: Token | None = None, limit: int = 200) -> str:
    """What a server wrote, fit for a terminal: one line, no control characters, and never the token."""
    if token is not None:
        text = text.replace(token.value, "(token)")
    return "".join(sign if sign.isprintable() else " " for sign in text)[:limit].strip()


def _check(url: str, asked: str) -> None:
    """Refuse an address that may not be asked: no web address, or one less safe than the first.

    Raises:
        RefusedError: so it is.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018  (raises where it is no port)
    except ValueError as error:
        raise RefusedError("an address that is none") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedError("an address that is neither http nor https")
    if asked.startswith("https:") and parts.scheme == "http":
        raise RefusedError(f"a redirect to an unencrypted address: {shown(url)}")


def _next(url: str, error: urllib.error.HTTPError, token: Token | None) -> str:
    """Where an answer that is no 2xx sends us.

    Raises:
        DroppedError, RefusedError: nowhere.
    """
    status, headers = error.code, error.headers
    if status in _REDIRECTS:
        location = headers.get("Location")
        if not location:
            raise RefusedError("a redirect to nowhere", status)
        try:
            return urllib.parse.urljoin(url, urllib.parse.quote(location, safe="%/:=&?~#+!$,;'@()*[]"))
        except ValueError as bad:
            raise RefusedError("a redirect to an address that is none", status) from bad
    words = printable(headers.get("X-Error-Message") or error.reason or "", token)
    said = f"HTTP {status}{f' {words}' if words else ''}"
    if status in _AGAIN:
        raise DroppedError(f"the server answers {said}", _retry_after(headers.get("Retry-After")))
    raise RefusedError(said, status, printable(headers.get("X-Error-Code") or "", token, 40))


def _retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait: it writes them, or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal() and value.strip().isascii():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in words."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "the server is silent"
    return f"{type(reason).__name__}: {printable(str(reason))}"
