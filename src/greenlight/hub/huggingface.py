"""How does a model come from the Hugging Face hub? Pinned to a commit, only the files needed, never a pickle."""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from greenlight.errors import HubError
from greenlight.hub.cache import Cached, disk_errors, now
from greenlight.hub.download import check_digest
from greenlight.hub.progress import Progress
from greenlight.hub.reference import HubReference
from greenlight.places import home

_NEEDED = (
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
)


def fetch(reference: HubReference, progress: Progress | None) -> Cached:
    """Download what a reference names, or what is missing of it.

    Raises:
        HubError: no network, no access, no such repository, revision or file; a file with the wrong digest.
    """
    if offline():
        raise HubError(
            "the hub may not be asked: HF_HUB_OFFLINE is set",
            where=reference.text,
            do=f"unset HF_HUB_OFFLINE, then greenlight pull {reference.text}",
        )
    with disk_errors(home() / "huggingface"), _hub_errors(reference):
        info = _info(reference)
        files = _choose(reference, {entry.rfilename: entry for entry in info.siblings or []})
        total = sum(entry.size or 0 for entry in files)
        paths, done = [], 0
        for entry in files:
            paths.append(_fetch_file(reference, info.sha, entry, progress, done, total))
            done += entry.size or 0
    local = paths[0] if reference.file or len(paths) == 1 else _folder(paths, files)
    return Cached(
        reference=reference.text,
        path=str(local),
        size_bytes=sum(path.stat().st_size for path in paths),
        sha256={entry.rfilename: entry.lfs.sha256 for entry in files if entry.lfs is not None},
        source=f"hf:{reference.repository}",
        revision=info.sha,
        fetched=now(),
    )


def offline() -> bool:
    """Whether the user has forbidden the hub's library to use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _token() -> str | bool:
    """The environment's token; False keeps the library from looking for one elsewhere."""
    return os.environ.get("HF_TOKEN") or False


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _info(reference: HubReference) -> Any:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=_endpoint(), token=_token())
    return api.model_info(reference.repository, revision=reference.revision, files_metadata=True, timeout=30)


def _choose(reference: HubReference, entries: dict[str, Any]) -> list[Any]:
    """The files of a model: the one that was named, the only GGUF file, or a folder's weights and settings."""
    if reference.file is not None:
        if reference.file in entries:
            return [entries[reference.file]]
        near = difflib.get_close_matches(reference.file, entries, n=3, cutoff=0.3) or sorted(entries)[:5]
        raise HubError(
            "the repository has no such file",
            where=reference.text,
            found=f"nearest: {', '.join(near) or 'it is empty'}",
        )
    chosen = [name for name in sorted(entries) if any(fnmatch.fnmatchcase(name, pattern) for pattern in _NEEDED)]
    if "config.json" in chosen and any(name.endswith(".safetensors") for name in chosen):
        return [entries[name] for name in chosen]
    files = [name for name in sorted(entries) if name.endswith(".gguf")]
    if len(files) == 1:
        return [entries[files[0]]]
    raise HubError(
        "the repository has several models" if files else "the repository has no model that can be read",
        where=reference.text,
        found=", ".join(files) or "neither config.json with safetensors nor a GGUF file",
        do=f"name one: hf:{reference.repository}:{files[0]}" if files else None,
    )


def _fetch_file(
    reference: HubReference, commit: str, entry: Any, progress: Progress | None, done: int, total: int
) -> Path:
    from huggingface_hub import hf_hub_download

    path = Path(
        hf_hub_download(
            reference.repository,
            entry.rfilename,
            revision=commit,
            cache_dir=home() / "huggingface",
            endpoint=_endpoint(),
            token=_token(),
            tqdm_class=_bar(progress, done, total),
        )
    )
    if entry.lfs is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != entry.lfs.sha256:
            path.resolve().unlink()
        check_digest(path, found, entry.lfs.sha256, f"{reference.text}, {entry.rfilename}")
    if progress is not None:
        progress(done + (entry.size or 0), total)
    return path


def _bar(progress: Progress | None, before: int, total: int) -> Any:
    """A silent progress bar that reports to `progress` instead of the terminal."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            self.done = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            if progress is not None:
                progress(min(before + self.done, total), total)
            return None

    return Bar


def _folder(paths: Sequence[Path], entries: Sequence[Any]) -> Path:
    """The snapshot's root: the first file's path without its name in the repository."""
    depth = entries[0].rfilename.count("/")
    root: Path = paths[0].parents[depth]
    return root


@contextlib.contextmanager
def _hub_errors(reference: HubReference) -> Iterator[None]:
    """Say what went wrong in the hub's own cases; a token is never part of it."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        do = "accept its terms on the hub, then set HF_TOKEN to a token of yours"
        raise HubError("this model is gated", where=reference.text, found=_status(error), do=do) from error
    except errors.RevisionNotFoundError as error:
        raise HubError("the repository has no such revision", where=reference.text, found=reference.revision) from error
    except errors.RepositoryNotFoundError as error:
        do = "check the name; for a private repository set HF_TOKEN"
        raise HubError(
            "no such repository, or no access to it", where=reference.text, found=_status(error), do=do
        ) from error
    except errors.EntryNotFoundError as error:
        raise HubError("a file of the repository is gone", where=reference.text, found=_first_line(error)) from error
    except errors.HfHubHTTPError as error:
        no_access = getattr(error.response, "status_code", None) in (401, 403)
        do = "set HF_TOKEN to a token with access" if no_access else "try again later"
        raise HubError("the hub refuses", where=reference.text, found=_status(error), do=do) from error
    except (errors.HFValidationError, errors.FileMetadataError) as error:
        raise HubError("the hub's answer makes no sense", where=reference.text, found=_first_line(error)) from error
    except Exception as error:
        # The library's HTTP client changes between its versions, and with it the class of "no network".
        if isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith(
            ("httpx", "requests")
        ):
            raise HubError(
                "the hub cannot be reached",
                where=reference.text,
                found=f"{type(error).__name__}: {_first_line(error)}",
                do="check the network; what was pulled before is still there: greenlight list",
            ) from error
        raise


def _status(error: Any) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
