"""What does a model reference on the command line mean?"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from greenlight.errors import HubError
from greenlight.hub.catalog import catalog

_REPOSITORY = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[^:@#\s]{1,200}))?"
    r"(?:#(?P<file>[^\s]+)|:(?P<part>[^\s:#]+))?",
    re.ASCII,
)
_HUB_FORM = "hf:owner/name[@revision][#file or :quantisation]"
_FORMS = f"a name from `greenlight list`, a path with a / in it, {_HUB_FORM}, or http://host:port/v1#model"


@dataclass(frozen=True, slots=True)
class CatalogReference:
    """A model of the catalog."""

    text: str
    """As the user wrote it; also the name."""

    @property
    def name(self) -> str:
        """The catalog's name."""
        return self.text


@dataclass(frozen=True, slots=True)
class PathReference:
    """A file or folder of the user's."""

    text: str
    """As the user wrote it."""

    path: Path
    """Where it is."""


@dataclass(frozen=True, slots=True)
class HubReference:
    """A repository on the Hugging Face hub."""

    text: str
    """As the user wrote it."""

    repository: str
    """owner/name."""

    revision: str | None
    """Branch, tag or commit; None for the default branch."""

    file: str | None
    """One file of it; None for the whole model."""

    quant: str | None = None
    """Which of its GGUF files, as Q4_K_M; None where that is not said."""

    @property
    def selection(self) -> str:
        """What follows repository and revision."""
        return f"#{self.file}" if self.file else f":{self.quant}" if self.quant else ""


@dataclass(frozen=True, slots=True)
class EndpointReference:
    """A model behind an OpenAI-compatible endpoint."""

    text: str
    """As the user wrote it."""

    url: str
    """Base address, such as http://localhost:8000/v1."""

    model: str | None
    """Model name there; None for the only one."""


@dataclass(frozen=True, slots=True)
class AdapterReference:
    """A model with LoRA adapters."""

    text: str
    """As the user wrote it."""

    base: CatalogReference | PathReference | HubReference
    """The model."""

    adapters: tuple[PathReference | HubReference, ...]
    """Its adapters, each PEFT's folder or a GGUF file, in the order in which they are added."""


Reference: TypeAlias = CatalogReference | PathReference | HubReference | EndpointReference | AdapterReference
"""What a model can be named by."""


def parse_reference(text: str) -> Reference:
    """Tell catalog names, paths, hub repositories and endpoints apart.

    Raises:
        HubError: a name that is in no catalog, with the nearest ones; or a malformed reference.
    """
    if text.startswith(("http://", "https://")):
        url, _, model = text.partition("#")
        return EndpointReference(text, url.rstrip("/"), model or None)
    if "+" in text and not Path(text).expanduser().exists():
        return _with_adapter(text)
    if text.startswith("hf:"):
        return _hub(text)
    if "/" in text or text.endswith(".gguf"):
        return PathReference(text, Path(text).expanduser())
    known = catalog()
    if text in known:
        return CatalogReference(text)
    raise _unknown(text, list(known))


def _with_adapter(text: str) -> AdapterReference:
    """BASE+ADAPTER, and more of them: each a folder, a GGUF file, or a repository on the hub."""
    base_text, _, adapter_text = text.rpartition("+")
    named = parse_reference(base_text)
    base, before = (named.base, named.adapters) if isinstance(named, AdapterReference) else (named, ())
    assert not isinstance(base, EndpointReference), "an address is told apart before a plus is looked for"
    if not adapter_text:
        raise HubError("the adapter after the + is missing", where=text, do="write MODEL+FOLDER or MODEL+hf:owner/name")
    path = PathReference(adapter_text, Path(adapter_text).expanduser())
    adapter = _hub(adapter_text) if adapter_text.startswith("hf:") else path
    return AdapterReference(text, base, (*before, adapter))


def _hub(text: str) -> HubReference:
    match = _REPOSITORY.fullmatch(text.removeprefix("hf:"))
    if match is None or ".." in text or not text.isprintable():
        raise HubError("a hub reference is malformed", where=repr(text), do=f"write {_HUB_FORM}")
    part = match["part"]
    # After a colon: a file has an ending or a folder, a quantisation has neither.
    is_file = part is not None and ("." in part or "/" in part)
    return HubReference(
        text,
        match["repository"],
        match["revision"],
        match["file"] or (part if is_file else None),
        None if is_file else part,
    )


def _unknown(text: str, known: list[str]) -> HubError:
    near = difflib.get_close_matches(text.lower(), known, n=3, cutoff=0.4)
    found = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
    if text and Path(text).exists():
        found = f"there is a file or folder of that name: write ./{text}"
    return HubError("no model has this name", where=repr(text), found=found, do=f"give {_FORMS}")
