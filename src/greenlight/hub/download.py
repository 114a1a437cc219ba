"""How does a file get from a web server to the disk, when the line drops, stalls, or brings the wrong bytes?"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from greenlight.errors import HubError
from greenlight.hub.cache import disk_errors
from greenlight.hub.progress import Progress

_CHUNK = 2**18
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class _DroppedError(Exception):
    """The transfer broke off and is worth another try."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size_bytes: int | None = None,
    progress: Progress | None = None,
    timeout_s: float = 30.0,
    retries: int = 5,
    wait_s: float = 1.0,
) -> str:
    """Fetch a file; under its final name there is the whole file or nothing.

    What has arrived is kept beside the target as NAME.part and continued with a range request, in this call and, where
    a digest is given to check the whole by, in later ones.

    Args:
        url: http or https address.
        target: where the file goes.
        sha256: hex digest that it must have.
        size_bytes: size that it must have.
        progress: told how far it is.
        timeout_s: longest silence of the server, in seconds.
        retries: further tries after the first, each from where the last one stopped.
        wait_s: pause before the first further try, doubled for each one after, in seconds.

    Returns:
        Hex SHA-256 of the file.

    Raises:
        HubError: the server refuses, stays silent, or sends something else than was asked for; or the disk is full.
    """
    if not url.startswith(("http://", "https://")):
        raise HubError("this address cannot be downloaded from", where=url, found="only http and https are")
    part = target.with_name(f"{target.name}.part")
    with disk_errors(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is None:
            part.unlink(missing_ok=True)
    resumed = part.exists()
    _fetch_with_retries(url, part, size_bytes, progress, timeout_s, retries, wait_s)
    found = _sha256(part)
    if resumed and sha256 not in (None, found):
        # What an earlier call left may be of another version: start over before blaming the server.
        part.unlink()
        _fetch_with_retries(url, part, size_bytes, progress, timeout_s, retries, wait_s)
        found = _sha256(part)
    check_digest(part, found, sha256, url)
    with disk_errors(target):
        part.replace(target)
    return found


def check_digest(part: Path, found: str, expected: str | None, source: str) -> None:
    """Remove a file that is not the one that was asked for, and say so.

    Raises:
        HubError: the digests differ.
    """
    if expected is not None and found != expected:
        part.unlink(missing_ok=True)
        raise HubError(
            "the file has the wrong digest; it was removed",
            where=source,
            found=f"sha256 {found}, expected {expected}",
            do="try again; if it stays so, the source has changed and cannot be trusted",
        )


def _fetch_with_retries(
    url: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float, retries: int, wait_s: float
) -> None:
    for attempt in range(retries + 1):
        try:
            return _fetch(url, part, size, progress, timeout_s)
        except _DroppedError as error:
            if attempt == retries:
                raise HubError(
                    "the download did not finish",
                    where=url,
                    found=f"{error}, after {retries + 1} tries",
                    do="run the command again: it goes on where this one stopped",
                ) from error
            time.sleep(wait_s * 2**attempt)


def _fetch(url: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float) -> None:
    """One request: from where the part ends to the end of the file, or as far as it comes."""
    with disk_errors(part):
        start = part.stat().st_size if part.exists() else 0
    if size is not None and start >= size:
        if start == size:
            return
        part.unlink()
        start = 0
    response = _open(url, start, timeout_s)
    if response is None:  # the server has no bytes beyond what is there
        if size is None:
            return
        part.unlink(missing_ok=True)
        raise _DroppedError("the server has fewer bytes than were fetched before")
    with response:
        start = start if response.status == 206 and _starts_at(response, start) else 0
        total = _total(response, start)
        if size is not None and total not in (None, size):
            raise HubError(
                "the file has another size",
                where=url,
                found=f"{total} bytes, expected {size}",
                do="the source has changed; it cannot be trusted",
            )
        _receive(response, part, start, total if total is not None else size, progress)


def _open(url: str, start: int, timeout_s: float) -> Any:
    headers = {"User-Agent": "greenlight", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        if error.code in _AGAIN:
            raise _DroppedError(f"the server answers {error.code} {error.reason}") from error
        do = {404: "check the address", 401: "log in", 403: "ask the owner for access"}.get(error.code)
        raise HubError("the server refuses", where=url, found=f"{error.code} {error.reason}", do=do) from error
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(_reason(error)) from error


def _receive(response: Any, part: Path, start: int, total: int | None, progress: Progress | None) -> None:
    done = start
    with disk_errors(part), part.open("r+b" if part.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _DroppedError(_reason(error)) from error
            if not chunk:
                break
            done += len(chunk)
            if total is not None and done > total:
                raise _DroppedError(f"the server sends more than the {total} bytes that it announced")
            file.write(chunk)
            if progress is not None:
                progress(done, total)
    if total is not None and done < total:
        raise _DroppedError(f"the connection broke off at {done} of {total} bytes")


def _starts_at(response: Any, start: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _total(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isdigit() else None


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "the server is silent"
    return f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else str(reason)


def _sha256(path: Path) -> str:
    with disk_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
