"""How does a reference become a model with an identity? The one place where hub and engine meet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenlight import hub
from greenlight.compose.observer import Observer
from greenlight.engine.local import LocalModel
from greenlight.evidence import JSON, sha256
from greenlight.formats.part_names import model_name
from greenlight.model.adapting import How, adapt, adapter_of
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.text.replies import REASONING_TOKENS


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A model with its identity: what was loaded, from where, under which digest."""

    name: str
    """Short name for folders and reports."""

    model: LocalModel
    """The model, ready to run."""

    digest: str
    """SHA-256 of the file, or of the folder's files by name; with an adapter, of all files by name."""

    files: Mapping[str, str]
    """File name to SHA-256."""

    def identity(self) -> dict[str, JSON]:
        """What a lock says of the model."""
        config = self.model.decoder.config
        return {
            "name": self.name,
            "digest": self.digest,
            "files": dict(self.files),
            "family": config.family,
            "parameters": self.model.decoder.n_parameters,
            **({"replies": replies} if (replies := self._replies()) else {}),
        }

    def _replies(self) -> dict[str, JSON] | None:
        """How its answers are told from its thoughts, of a model that has any."""
        reply = self.model.reply
        return {"format": reply.name, "reasoning_tokens": REASONING_TOKENS} if reply else None

    def paths(self) -> list[Path]:
        """The files that the digests are of."""
        places = {"": self.model.path}
        places |= {adapter_place(index): path for index, path in enumerate(self.model.adapters)}
        folders = {place: path.parent if path.is_file() else path for place, path in places.items()}
        return [folders[place] / name for place, _, name in (named.rpartition("/") for named in self.files)]

    @property
    def template_sha256(self) -> str:
        """Digest of the chat template's source; of the empty text where the model has none."""
        template = self.model.template
        return sha256(template.source.encode() if template else b"")

    @property
    def template_date(self) -> str | None:
        """The day that its prompts state, YYYY-MM-DD; None where the template states none."""
        date = self.model.stated_date
        return date.isoformat() if date else None


@dataclass(frozen=True, slots=True)
class Files:
    """Where a model lies on this machine."""

    path: Path
    """Its file or folder."""

    adapters: tuple[Path, ...] = ()
    """Folders or GGUF files of the adapters that it is with, in the order in which they are added."""

    def digests(self) -> tuple[str, dict[str, str]]:
        """The digest that identifies it, and those of its files by name."""
        files = dict(hub.file_digests(self.path))
        if not self.adapters:
            return hub.digest(self.path), files
        for index, path in enumerate(self.adapters):
            files |= {f"{adapter_place(index)}/{name}": found for name, found in hub.adapter_digests(path).items()}
        return hub.digest_of(files), files

    def adapted_modules(self) -> tuple[str, ...]:
        """Names of the weights that the adapters change."""
        if not self.adapters:
            return ()
        adapter = adapter_of(self.adapters, open_checkpoint(self.path))
        return (*(f"{module}.weight" for module in adapter.deltas), *adapter.replaced)

    def checkpoint(self, how: How = "auto") -> Checkpoint:
        """What the files hold, with the adapters in it; nothing is packed."""
        checkpoint = open_checkpoint(self.path)
        if not self.adapters:
            return checkpoint
        return adapt(checkpoint, adapter_of(self.adapters, checkpoint), how).checkpoint


def adapter_place(index: int) -> str:
    """What stands for an adapter among a model's parts: before its files' names, and in what names both."""
    return f"adapter{index + 1}" if index else "adapter"


def find_files(reference: str, *, pull: bool = False, observer: Observer | None = None) -> Files:
    """Where a model lies, and its adapters.

    Raises:
        HubError: it is not here, or has no files, as what is behind an endpoint.
    """
    progress = (observer or Observer()).pulling
    parsed = hub.parse_reference(reference)
    base, added = (parsed.base, parsed.adapters) if isinstance(parsed, hub.AdapterReference) else (parsed, ())
    path, *adapters = (hub.resolve(part, pull_missing=pull, progress=progress) for part in (base, *added))
    return Files(path, tuple(adapters))


def load(reference: str, *, pull: bool = False, ops: str | None = None, observer: Observer | None = None) -> Loaded:
    """Load a model by reference: a catalog name, a path, or `hf:owner/name[@rev][#file or :quantisation]`.

    MODEL+ADAPTER is a model with a LoRA adapter, whose digest is then part of its identity; there may be several.

    Args:
        reference: what to load.
        pull: fetch it first where it is absent; without it, an absent model is an error that names the pull command.
        ops: 'native' or 'numpy'; by default the faster one that runs here.
        observer: told of download progress.

    Raises:
        HubError, FormatError, UnsupportedError, TextError.
    """
    watch = observer or Observer()
    found = find_files(reference, pull=pull, observer=watch)
    digest, files = found.digests()
    model = LocalModel.load(found.path, ops=ops, adapters=found.adapters)
    if reason := getattr(model.decoder.ops, "reason", None):
        watch.slow(reason)
    return Loaded(name=_short_name(hub.parse_reference(reference), found.path), model=model, digest=digest, files=files)


def _short_name(reference: hub.Reference, path: Path) -> str:
    """A name for folders and reports: the catalog's, the repository's, or the file's without its ending."""
    if isinstance(reference, hub.AdapterReference):
        names = [
            named.repository if isinstance(named, hub.HubReference) else str(named.path.resolve())
            for named in reference.adapters
        ]
        added = [_safe(name.rpartition("/")[2].removesuffix(".gguf")) for name in names]
        return "-".join((_short_name(reference.base, path), *added))
    if isinstance(reference, hub.CatalogReference):
        return reference.name
    name = reference.repository.rpartition("/")[2] if isinstance(reference, hub.HubReference) else path.resolve().name
    return _safe(model_name(name))


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"


def list_models() -> list[dict[str, JSON]]:
    """What the catalog names and what else is in the cache, by reference."""
    pulled = {entry.reference: entry for entry in hub.cached()}
    known = [
        {
            "reference": entry.name,
            "title": entry.title,
            "licence": entry.licence,
            "size_bytes": entry.size_bytes,
            "cached": hub.find(hub.parse_reference(entry.name)) is not None,
        }
        for entry in hub.catalog().values()
    ]
    named = {entry["reference"] for entry in known}
    others = [
        {
            "reference": entry.reference,
            "title": None,
            "licence": None,
            "size_bytes": entry.size_bytes,
            "cached": True,
        }
        for name, entry in sorted(pulled.items())
        if name not in named
    ]
    return known + others
