"""How does a model come from the Hugging Face hub? Pinned to a commit, only what is needed, checked by digest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from greenlight.errors import HubError
from greenlight.hub.cache import Cached, disk_errors, now
from greenlight.hub.choose import INDEX_FILE, ascii_name, choose
from greenlight.hub.digests import digest, remember
from greenlight.hub.download import download, git_blob_sha1
from greenlight.hub.progress import Progress
from greenlight.hub.reference import HubReference
from greenlight.hub.repository import RepoFile, Repository
from greenlight.places import home

_MAX_INDEX_BYTES = 64 << 20


def fetch(reference: HubReference, progress: Progress | None) -> Cached:
    """Download what a reference names, or what is missing of it.

    Raises:
        HubError: no network, no access, no such repository, revision or file; a file with the wrong digest.
    """
    repository = Repository(reference)
    commit = repository.commit()
    listed = repository.files(commit)
    files = choose(reference, listed, lambda: repository.text(commit, INDEX_FILE, _MAX_INDEX_BYTES))
    with disk_errors(home() / "huggingface"):
        sha256 = _Fetching(repository, commit, files, progress).all()
    return Cached(
        reference=reference.text,
        path=str(_snapshot(reference, commit) / (_only(files) or "")),
        size_bytes=sum(file.size for file in files),
        sha256=sha256,
        source=f"hf:{reference.repository}",
        revision=commit,
        fetched=now(),
    )


def offline() -> bool:
    """Whether the user has forbidden the use of the hub, in the words of the hub's own library."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def _only(files: Sequence[RepoFile]) -> str | None:
    """The file that is the model, for GGUF; None where a folder is."""
    return files[0].path if files[0].path.endswith(".gguf") or len(files) == 1 else None


def _folder(reference: HubReference) -> Path:
    return home() / "huggingface" / f"models--{reference.repository.replace('/', '--')}"


def _snapshot(reference: HubReference, commit: str) -> Path:
    return _folder(reference) / "snapshots" / commit


class _Fetching:
    """The files of one commit on their way into the cache: bytes under their digest, names as links to them."""

    def __init__(
        self, repository: Repository, commit: str, files: Sequence[RepoFile], progress: Progress | None
    ) -> None:
        self._repository, self._commit, self._progress = repository, commit, progress
        # Small ones first: what is wrong with the settings shows before the weights have come.
        self._files = sorted(files, key=lambda file: file.size)
        self._blobs = _folder(repository.reference) / "blobs"
        self._total = sum(file.size for file in files)
        self._done = 0

    def all(self) -> dict[str, str]:
        """Fetch what is missing; SHA-256 by name."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        missing = [file for file in self._files if not self._is_there(file)]
        self._refuse_full_disk(missing)
        found = {}
        for file in self._files:
            blob = self._blobs / file.digest
            found[file.path] = self._fetch(file, blob) if file in missing and not blob.exists() else digest(blob)
            self._link(file, blob)
            self._done += file.size
            self._report(0)
        return found

    def _is_there(self, file: RepoFile) -> bool:
        """Whether the cache has a file, whole; one that is not what its name says goes."""
        blob = self._blobs / file.digest
        if not blob.is_file():
            return False
        found = digest(blob) if file.sha256 else git_blob_sha1(blob)
        if found == file.digest:
            return True
        blob.unlink()
        return False

    def _refuse_full_disk(self, missing: Sequence[RepoFile]) -> None:
        parts = [self._blobs / f"{file.digest}.part" for file in missing]
        there = sum(part.stat().st_size for part in parts if part.is_file())
        needed, free = sum(file.size for file in missing) - there, shutil.disk_usage(self._blobs).free
        if needed > free:
            raise HubError(
                "the disk has too little room for this model",
                where=str(self._blobs),
                found=f"{free / 1e9:,.2f} GB free, {needed / 1e9:,.2f} GB to fetch",
                do="free some space, or set GREENLIGHT_HOME to a folder on another disk",
            )

    def _fetch(self, file: RepoFile, blob: Path) -> str:
        reference = self._repository.reference
        try:
            found = download(
                self._repository.url(self._commit, file.path),
                blob,
                sha256=file.sha256,
                blob_sha1=file.blob_sha1,
                size_bytes=file.size,
                progress=lambda done, _: self._report(done),
                token=self._repository.token,
                refused=self._repository.refused,
            )
        except HubError as error:
            error.where = f"{reference.text}, {ascii_name(file.path)}"
            raise
        remember(blob, found)
        return found

    def _link(self, file: RepoFile, blob: Path) -> None:
        link = _snapshot(self._repository.reference, self._commit) / file.path
        target = Path(os.path.relpath(blob, link.parent))
        if link.is_symlink() and link.readlink() == target:
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def _report(self, done: int) -> None:
        if self._progress is not None:
            self._progress(min(self._done + done, self._total), self._total)
