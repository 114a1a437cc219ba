"""How does a reference become a model with an identity? The one place where hub and engine meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenlight import hub
from greenlight.compose.observer import Observer
from greenlight.engine.local import LocalModel
from greenlight.evidence import JSON, sha256, sha256_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A model with its identity: what was loaded, from where, under which digest."""

    name: str
    """Short name for folders and reports."""

    model: LocalModel
    """The model, ready to run."""

    digest: str
    """SHA-256 of the file, or of the folder's files by name."""

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
        }

    def paths(self) -> list[Path]:
        """The files that the digests are of."""
        path = self.model.path
        return [path] if path.is_file() else [path / name for name in self.files]

    @property
    def template_sha256(self) -> str:
        """Digest of the chat template's source; of the empty text where the model has none."""
        template = self.model.template
        return sha256(template.source.encode() if template else b"")


def load(reference: str, *, pull: bool = False, ops: str | None = None, observer: Observer | None = None) -> Loaded:
    """Load a model by reference: a catalog name, a path, or `hf:owner/name[@rev][:file]`.

    Args:
        reference: what to load.
        pull: fetch it first where it is absent; without it, an absent model is an error that names the pull command.
        ops: 'native' or 'numpy'; by default the faster one that runs here.
        observer: told of download progress.

    Raises:
        HubError, FormatError, UnsupportedError, TextError.
    """
    watch = observer or Observer()
    parsed = hub.parse_reference(reference)
    path = hub.resolve(parsed, pull_missing=pull, progress=watch.pulling)
    files = hub.digests(path)
    digest = next(iter(files.values())) if path.is_file() else sha256_json(files)
    return Loaded(name=hub.short_name(parsed), model=LocalModel.load(path, ops=ops), digest=digest, files=files)
