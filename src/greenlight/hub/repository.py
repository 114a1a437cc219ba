"""What does the Hugging Face hub say is in a repository, at which commit? Its answers, read strictly.

GET /api/models/OWNER/NAME/revision/REV names the commit (without a revision: the default branch's);
GET /api/models/OWNER/NAME/tree/COMMIT?recursive=true lists the files page by page, the next page in a Link header
(RFC 8288); a file is at /OWNER/NAME/resolve/COMMIT/PATH. Refusals carry X-Error-Code.
(huggingface/huggingface_hub: hf_api.py, errors.py, file_download.py.)
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from greenlight.errors import HubError
from greenlight.hub import client
from greenlight.hub.client import DroppedError, RefusedError, ask_json, origin, persist, printable, shown
from greenlight.hub.reference import HubReference
from greenlight.hub.token import Token, find_token

T = TypeVar("T")

DEFAULT_ENDPOINT = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PAGES = 1000
_MAX_FILES = 200_000
_MAX_FILE_BYTES = 1 << 50


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoFile:
    """A file as the hub lists it."""

    path: str
    """Its place in the repository, as the hub writes it: not yet safe to use on a disk."""

    size: int
    """Bytes."""

    sha256: str | None
    """Digest of a large file; None for those that git itself keeps."""

    blob_sha1: str | None
    """Digest that git gives a small file; None for large ones, whose git object is a pointer."""

    @property
    def digest(self) -> str:
        """Whichever there is."""
        return self.sha256 or self.blob_sha1 or ""


class Repository:
    """One repository on the hub, as one reference names it.

    Args:
        reference: which.

    Raises:
        HubError: HF_ENDPOINT is no address, or the token no token.
    """

    def __init__(self, reference: HubReference) -> None:
        self.reference = reference
        self.endpoint = _endpoint()
        self.token: Token | None = find_token(origin(self.endpoint))

    def commit(self) -> str:
        """The commit that the reference's revision stands for now.

        Raises:
            HubError: no answer, no access, no such repository or revision, or an answer that makes no sense.
        """
        revision = self.reference.revision
        answer, _ = self._json(
            f"{self._api}/revision/{urllib.parse.quote(revision, safe='')}" if revision else self._api
        )
        sha = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
            raise self._nonsense("no commit")
        asked = self.reference.revision
        if asked is not None and _COMMIT.fullmatch(asked) and asked != sha:
            raise self._nonsense(f"commit {sha} for {asked}")
        return sha

    def files(self, commit: str) -> dict[str, RepoFile]:
        """Every file at a commit, by path.

        Raises:
            HubError: as for `commit`.
        """
        url, found, pages = f"{self._api}/tree/{commit}?recursive=true", dict[str, RepoFile](), set[str]()
        while url:
            pages.add(url)
            entries, headers = self._json(url)
            if not isinstance(entries, list) or len(found) + len(entries) > _MAX_FILES:
                raise self._nonsense("no list of files, or one without end")
            for file in filter(None, map(self._file, entries)):
                if file.path in found:
                    raise self._nonsense(f"{file.path!r} is listed twice")
                found[file.path] = file
            url = self._next_page(url, headers)
            if url in pages or len(pages) >= _MAX_PAGES:
                raise self._nonsense("pages without end")
        return found

    def url(self, commit: str, path: str) -> str:
        """Where a file is."""
        return f"{self.endpoint}/{self.reference.repository}/resolve/{commit}/{urllib.parse.quote(path)}"

    def text(self, commit: str, path: str, limit: int) -> bytes:
        """A small file's bytes, at most so many, checked by nobody: to plan by, not to keep.

        Raises:
            HubError: as for `commit`.
        """

        def attempt() -> bytes:
            with client.ask(self.url(commit, path), token=self.token, timeout_s=client.PATIENCE.timeout_s) as response:
                try:
                    data: bytes = response.read(limit + 1)
                except (OSError, http.client.HTTPException) as error:
                    raise DroppedError(client.reason_of(error)) from error
            return data

        data = self._persist(attempt)
        if len(data) > limit:
            raise self._nonsense(f"{path} has more than {limit} bytes")
        return data

    @property
    def _api(self) -> str:
        return f"{self.endpoint}/api/models/{self.reference.repository}"

    def _json(self, url: str) -> tuple[Any, Mapping[str, str]]:
        return self._persist(lambda: ask_json(url, token=self.token, timeout_s=client.PATIENCE.timeout_s))

    def _persist(self, attempt: Callable[[], T]) -> T:
        try:
            return persist(attempt, client.PATIENCE)
        except RefusedError as error:
            raise self.refused(error) from error
        except DroppedError as error:
            raise HubError(
                "the hub cannot be reached",
                where=f"{self.reference.text}, {shown(self.endpoint)}",
                found=printable(str(error), self.token),
                do="check the network; what was pulled before is still there: greenlight list",
            ) from error

    def _next_page(self, url: str, headers: Mapping[str, str]) -> str:
        """Address of the next page of a listing, or the empty text."""
        match = re.search(r'<([^<>]*)>\s*;\s*rel="?next"?', headers.get("Link") or "")
        if match is None:
            return ""
        try:
            following: str = urllib.parse.urljoin(url, match[1])
            same = origin(following) == origin(self.endpoint)
        except ValueError:
            same = False
        if not same:
            raise self._nonsense("the next page is on another host")
        return following

    def _file(self, entry: Any) -> RepoFile | None:
        """One entry of a listing; None for what is no file."""
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise self._nonsense("an entry without a type")
        if entry["type"] != "file":
            return None
        path, size, oid, lfs = entry.get("path"), entry.get("size"), entry.get("oid"), entry.get("lfs")
        if not isinstance(path, str) or not path:
            raise self._nonsense("a file without a path")
        sha256 = None
        if lfs is not None:
            sha256, size = (lfs.get("oid"), lfs.get("size")) if isinstance(lfs, dict) else (None, None)
            if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                raise self._nonsense(f"a large file without its sha256: {path!r}")
        elif not isinstance(oid, str) or not _COMMIT.fullmatch(oid):
            raise self._nonsense(f"a file without its digest: {path!r}")
        if type(size) is not int or not 0 <= size < _MAX_FILE_BYTES:
            raise self._nonsense(f"an impossible size of {path!r}")
        return RepoFile(path=path, size=size, sha256=sha256, blob_sha1=None if sha256 else oid)

    def _nonsense(self, found: str) -> HubError:
        return HubError(
            "the hub's answer makes no sense",
            where=f"{self.reference.text}, {shown(self.endpoint)}",
            found=printable(found, self.token),
            do="try again later; check HF_ENDPOINT if it is set",
        )

    def refused(self, error: RefusedError) -> HubError:
        """What a refusal means, and what to do; a token is never part of it."""
        what, do = self._meaning(error)
        return HubError(what, where=self.reference.text, found=printable(str(error), self.token), do=do)

    def _meaning(self, error: RefusedError) -> tuple[str, str]:
        known = self.token is not None
        login = "set HF_TOKEN to a token of yours"
        if error.code == "GatedRepo":
            if known:
                return (
                    "this model is gated",
                    "accept its terms on the hub with the account that the token (HF_TOKEN) is of",
                )
            return "this model is gated", f"accept its terms on the hub, then {login}"
        if error.code == "RevisionNotFound":
            return (
                f"the repository has no such revision: {self.reference.revision or 'HEAD'}",
                "check what follows the @",
            )
        if error.code == "EntryNotFound":
            return "a file of the repository is gone", "pull again"
        if error.code == "RepoNotFound" or error.status == 404:
            return "no such repository, or no access to it", f"check the name; for a private repository {login}"
        if error.status in (401, 403):
            do = f"check the token from {self.token.source} (HF_TOKEN)" if self.token else login
            return "the hub refuses", do
        return "the hub refuses", "try again later"


def _endpoint() -> str:
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    try:
        parts = urllib.parse.urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
        good = good and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good:
        raise HubError("the hub's address is none", where="HF_ENDPOINT", do="write https://host, or unset it")
    return endpoint
