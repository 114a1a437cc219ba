"""How does a file get from a web server to the disk, when the line drops, stalls, or brings the wrong bytes?"""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlight.errors import HubError
from greenlight.hub import client
from greenlight.hub.cache import disk_errors
from greenlight.hub.client import DroppedError, Patience, RefusedError, ask, persist, shown
from greenlight.hub.progress import Progress
from greenlight.hub.token import Token

_CHUNK = 2**18


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    blob_sha1: str | None = None,
    size_bytes: int | None = None,
    progress: Progress | None = None,
    token: Token | None = None,
    patience: Patience | None = None,
    refused: Callable[[RefusedError], HubError] | None = None,
) -> str:
    """Fetch a file; under its final name there is the whole file or nothing.

    What has arrived is kept beside the target as NAME.part and continued with a range request, in this call and, where
    a digest is given to check the whole by, in later ones.

    Args:
        url: http or https address.
        target: where the file goes.
        sha256: hex digest that it must have.
        blob_sha1: hex digest that git gives the file, which it must have.
        size_bytes: size that it must have.
        progress: told how far it is.
        token: sent to its own origin alone.
        patience: how long the server is given.
        refused: the error to raise where the server says no.

    Returns:
        Hex SHA-256 of the file.

    Raises:
        HubError: the server refuses, stays silent, or sends something else than was asked for; or the disk is full.
    """
    if not url.startswith(("http://", "https://")):
        raise HubError("this address cannot be downloaded from", where=shown(url), found="only http and https are")
    part = target.with_name(f"{target.name}.part")
    with disk_errors(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is None and blob_sha1 is None:
            part.unlink(missing_ok=True)
    resumed = part.exists()
    transfer = _Transfer(url, part, size_bytes, progress, token, patience or client.PATIENCE, refused or _refusal(url))
    transfer.run()
    if resumed and not _is(part, sha256, blob_sha1):
        # What an earlier call left may be of another version: start over before blaming the server.
        part.unlink()
        transfer.run()
    found = file_sha256(part)
    check_digest(part, found, sha256, shown(url))
    if blob_sha1 is not None:
        check_digest(part, git_blob_sha1(part), blob_sha1, shown(url), kind="git sha1")
    with disk_errors(target):
        part.replace(target)
    return found


def check_digest(part: Path, found: str, expected: str | None, source: str, kind: str = "sha256") -> None:
    """Remove a file that is not the one that was asked for, and say so.

    Raises:
        HubError: the digests differ.
    """
    if expected is not None and found != expected:
        part.unlink(missing_ok=True)
        raise HubError(
            "the file has the wrong digest; it was removed",
            where=source,
            found=f"{kind} {found}, expected {expected}",
            do="try again; if it stays so, the source has changed and cannot be trusted",
        )


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with disk_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_sha1(path: Path) -> str:
    """The name that git gives a file's content: SHA-1 of a header and the bytes."""
    with disk_errors(path), path.open("rb") as file:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def _is(path: Path, sha256: str | None, blob_sha1: str | None) -> bool:
    return (sha256 is None or file_sha256(path) == sha256) and (blob_sha1 is None or git_blob_sha1(path) == blob_sha1)


def _refusal(url: str) -> Callable[[RefusedError], HubError]:
    def refused(error: RefusedError) -> HubError:
        do = {404: "check the address", 401: "log in", 403: "ask the owner for access"}.get(error.status or 0)
        return HubError("the server refuses", where=shown(url), found=str(error), do=do)

    return refused


@dataclass(slots=True)
class _Transfer:
    """One file on its way, over as many requests as it takes."""

    url: str
    part: Path
    size: int | None
    progress: Progress | None
    token: Token | None
    patience: Patience
    refused: Callable[[RefusedError], HubError]
    etag: str | None = None
    """Which version the bytes on disk are of, as far as this call knows."""

    def run(self) -> None:
        """Until the file is whole.

        Raises:
            HubError: it never is.
        """
        try:
            persist(self._fetch, self.patience)
        except RefusedError as error:
            raise self.refused(error) from error
        except DroppedError as error:
            raise HubError(
                "the download did not finish",
                where=shown(self.url),
                found=str(error),
                do="run the command again: it goes on where this one stopped",
            ) from error

    def _fetch(self) -> None:
        """One request: from where the part ends to the end of the file, or as far as it comes."""
        with disk_errors(self.part):
            start = self.part.stat().st_size if self.part.exists() else 0
        if self.size is not None and start >= self.size > 0:
            if start == self.size:
                return
            self.part.unlink()
            start = 0
        response = self._ask(start)
        if response is None:  # the server has no bytes beyond what is there
            if self.size is None:
                return
            self.part.unlink(missing_ok=True)
            raise DroppedError("the server has fewer bytes than were fetched before")
        with response:
            start = self._continues_at(response, start)
            total = _total(response, start)
            if self.size is not None and total not in (None, self.size):
                raise HubError(
                    "the file has another size",
                    where=shown(self.url),
                    found=f"{total} bytes, expected {self.size}",
                    do="the source has changed; it cannot be trusted",
                )
            self._receive(response, start, total if total is not None else self.size)

    def _ask(self, start: int) -> Any:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self.etag is not None and not self.etag.startswith("W/"):
            headers["If-Range"] = self.etag
        try:
            return ask(self.url, token=self.token, headers=headers, timeout_s=self.patience.timeout_s)
        except RefusedError as error:
            if error.status == 416 and start:
                return None
            raise

    def _continues_at(self, response: Any, start: int) -> int:
        """Where the answer's first byte belongs; the beginning, unless it is the rest of the same version.

        Raises:
            DroppedError: it is the rest of another version, so that what is here has to go.
        """
        etag, before = response.headers.get("ETag"), self.etag
        self.etag = etag
        if response.status != 206:
            return 0
        goes_on = str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")
        if not goes_on or (before is not None and etag != before):
            self.part.unlink(missing_ok=True)
            raise DroppedError("the file changed on the server while it was fetched" if goes_on else "a wrong range")
        return start

    def _receive(self, response: Any, start: int, total: int | None) -> None:
        done = start
        with disk_errors(self.part), self.part.open("r+b" if self.part.exists() else "wb") as file:
            file.truncate(start)
            file.seek(start)
            while True:
                try:
                    chunk = response.read(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise DroppedError(client.reason_of(error)) from error
                if not chunk:
                    break
                done += len(chunk)
                if total is not None and done > total:
                    raise DroppedError(f"the server sends more than the {total} bytes that it announced")
                file.write(chunk)
                if self.progress is not None:
                    self.progress(done, total)
        if total is not None and done < total:
            raise DroppedError(f"the connection broke off at {done} of {total} bytes")


def _total(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isdecimal() and len(length) < 20 else None
