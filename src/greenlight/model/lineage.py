"""Where does a model come from, under which licence? Carried into what is converted from it, as GGUF's general.*."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from greenlight.model.checkpoint import Checkpoint
from greenlight.model.facts import card_of

PARENT = "greenlight.parent"
"""Keys that name what a file was converted from."""

_LICENCE_KEYS = {"license": "license", "license_name": "license.name", "license_link": "license.link"}
_LISTS = {"tags": "tags", "language": "languages"}
_SOURCES = {"base_model": "base_model", "datasets": "dataset"}


def general_entries(
    checkpoint: Checkpoint, name: str, digest: str, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """general.* keys: what a GGUF file says already, or the front matter of a folder's README.md; and the parent.

    Args:
        checkpoint: what is converted.
        name: what it is called where it does not say.
        digest: its SHA-256.
        origin: of a base with an adapter, the digest of each, as `sha256` under `base` and `adapter`.
    """
    parent = {f"{PARENT}.name": name, f"{PARENT}.sha256": digest}
    parent |= {f"{PARENT}.{part}.sha256": said["sha256"] for part, said in (origin or {}).items()}
    if checkpoint.format == "gguf":
        return parent
    card = card_of(checkpoint.path / "README.md")
    entries: dict[str, Any] = {"general.type": "model", "general.name": name}
    for field, key in _LICENCE_KEYS.items():
        if isinstance(value := card.get(field), str):
            entries[f"general.{key}"] = value
    for field, key in _LISTS.items():
        if values := _listed(card.get(field)):
            entries[f"general.{key}"] = values
    for field, key in _SOURCES.items():
        entries |= _numbered(key, _listed(card.get(field)))
    return entries | parent


def card_text(checkpoint: Checkpoint, name: str, digest: str, origin: Mapping[str, Any] | None = None) -> str:
    """README.md of a folder: the source's licence and origins as front matter, and what was done."""
    fields: dict[str, str | list[str]] = {}
    if checkpoint.format == "gguf":
        for field, key in (*_LICENCE_KEYS.items(), *_LISTS.items()):
            value = checkpoint.metadata.get(f"general.{key}")
            if isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value)):
                fields[field] = value
        for field, key in _SOURCES.items():
            if names := _unnumbered(checkpoint.metadata, key):
                fields[field] = names
    else:
        card = card_of(checkpoint.path / "README.md")
        fields = {field: card[field] for field in (*_LICENCE_KEYS, *_LISTS, *_SOURCES) if field in card}
    lines = [line for field, value in fields.items() for line in _yaml(field, value)]
    front = ["---", *lines, "---", ""] if lines else []
    said = f"Converted by greenlight from {name} (SHA-256 {digest})."
    if origin:
        parts = " and ".join(f"{part} (SHA-256 {entry['sha256']})" for part, entry in origin.items())
        said += f" Merged of {parts}."
    return "\n".join([*front, f"# {name}", "", said, ""])


def _unnumbered(metadata: Mapping[str, Any], key: str) -> list[str]:
    """References as a card lists them: owner/name."""
    count = metadata.get(f"general.{key}.count", 0)
    found = []
    for index in range(count if isinstance(count, int) and count < 1000 else 0):
        name, owner = (metadata.get(f"general.{key}.{index}.{part}") for part in ("name", "organization"))
        if isinstance(name, str):
            name = name.replace(" ", "-")
            found.append(f"{owner}/{name}" if isinstance(owner, str) else name)
    return found


def _yaml(field: str, value: str | list[str]) -> list[str]:
    """One field as YAML; JSON's quotes are YAML's."""
    if isinstance(value, str):
        return [f"{field}: {json.dumps(value, ensure_ascii=False)}"]
    return [f"{field}:", *(f"- {json.dumps(entry, ensure_ascii=False)}" for entry in value)]


def _numbered(key: str, references: list[str]) -> dict[str, Any]:
    """owner/name references as GGUF numbers them."""
    if not references:
        return {}
    entries: dict[str, Any] = {f"general.{key}.count": len(references)}
    for index, reference in enumerate(references):
        owner, _, name = reference.rpartition("/")
        entries[f"general.{key}.{index}.name"] = name
        if owner:
            entries[f"general.{key}.{index}.organization"] = owner
    return entries


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
