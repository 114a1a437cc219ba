"""What is this model, before it runs? Family, sizes, types, where it comes from and under which licence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.model.checkpoint import Checkpoint
from greenlight.model.config import ModelConfig
from greenlight.model.families import family_named
from greenlight.model.memory import MemoryPlan, StoredSizes, plan_memory, stored_sizes

_PARTS = (
    ("inputs by layer", "per_layer"),
    ("embedding", "embed_tokens"),
    ("head", "lm_head"),
    ("attention", "self_attn."),
    ("feed-forward", "mlp."),
    ("norms", "norm."),
    ("scales", "layer_scalar"),
)
"""Parts of a model, and what marks their tensors' names; the first mark found decides."""

_TECHNICAL = ("general.architecture", "general.file_type", "general.quantization_version", "general.alignment")
_CARD_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PartFacts:
    """One part of a model."""

    name: str
    """embedding, attention, feed-forward, norms or head."""

    n_parameters: int
    """Its values."""

    n_bytes: int
    """Bytes they take in the file."""

    types: dict[str, int]
    """Bytes by type of element."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What the files of a model say."""

    path: Path
    """The file or folder."""

    format: str
    """gguf or safetensors."""

    size_bytes: int
    """Bytes of the files of weights."""

    config: ModelConfig
    """Family, sizes and switches."""

    n_parameters: int
    """Values of all tensors; a tied head counts once."""

    n_active_parameters: int
    """Those that one token uses: all, without the experts that it does not choose."""

    parts: tuple[PartFacts, ...]
    """All parameters by part."""

    stored: StoredSizes
    """What of their sizes decides what they take in memory."""

    licence: str | None
    """As the file or the model card names it; None where nothing does."""

    provenance: dict[str, str | list[str]]
    """All that the file or the model card says of its origin, by its own key."""

    unread: tuple[str, ...]
    """Fields of config.json that no part of the computation reads and that are not known to be harmless."""

    left_out: tuple[str, ...] = ()
    """Parts that the files hold and that are not run, such as "vision part of 12 tensors"."""

    @property
    def family(self) -> str:
        """What computes it."""
        return self.config.family

    @property
    def types(self) -> dict[str, int]:
        """Bytes of weights by type of element, largest first."""
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(part.types)
        return dict(total.most_common())

    def memory(self, context: int, sequences: int = 1, ops_name: str = "native") -> MemoryPlan:
        """What running it would take on ops of that name, predicted."""
        layers = family_named(self.family).kv_layers(self.config)
        return plan_memory(self.config, layers, self.stored, ops_name, context, sequences)

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {"family": self.family, **asdict(self), "path": str(self.path), "types": self.types}


def facts_of(checkpoint: Checkpoint) -> ModelFacts:
    """The facts of an opened model; no weight is read."""
    if checkpoint.format == "gguf":
        provenance = _general(checkpoint.metadata)
        licence = provenance.get("general.license")
    else:
        provenance = card_of(checkpoint.path / "README.md")
        licence = provenance.get("license")
    parts = _parts(checkpoint)
    return ModelFacts(
        path=checkpoint.path,
        format=checkpoint.format,
        size_bytes=checkpoint.size,
        config=checkpoint.config,
        n_parameters=sum(part.n_parameters for part in parts),
        n_active_parameters=_active(checkpoint),
        parts=parts,
        stored=stored_sizes(checkpoint),
        licence=licence if isinstance(licence, str) else None,
        provenance=provenance,
        unread=checkpoint.unread,
        left_out=checkpoint.left_out,
    )


def _active(checkpoint: Checkpoint) -> int:
    config = checkpoint.config
    total = sum(tensor.n_values for tensor in checkpoint.tensors.values())
    if not config.n_experts:
        return total
    experts = sum(tensor.n_values for name, tensor in checkpoint.tensors.items() if "mlp.experts." in name)
    return total - experts // config.n_experts * (config.n_experts - config.n_experts_used)


def _parts(checkpoint: Checkpoint) -> tuple[PartFacts, ...]:
    values: Counter[str] = Counter()
    types: dict[str, Counter[str]] = {}
    for name, tensor in checkpoint.tensors.items():
        part = next(part for part, mark in _PARTS if mark in name)
        values[part] += tensor.n_values
        types.setdefault(part, Counter())[tensor.type.name] += tensor.n_bytes
    return tuple(
        PartFacts(name=part, n_parameters=values[part], n_bytes=types[part].total(), types=dict(types[part]))
        for part, _ in _PARTS
        if part in types
    )


def _general(metadata: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """general.* keys of a GGUF file, as text."""
    return {
        key: [str(item) for item in value] if isinstance(value, list | np.ndarray) else str(value)
        for key, value in metadata.items()
        if key.startswith("general.") and key not in _TECHNICAL
    }


def card_of(path: Path) -> dict[str, str | list[str]]:
    """The plain fields of a model card's front matter: `key: value`, or `key:` above lines of `- value`."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_CARD_BYTES).splitlines()
    except OSError:
        return {}  # a folder without a card says nothing of its origin
    if not lines or lines[0].strip() != "---":
        return {}
    fields: dict[str, str | list[str]] = {}
    key = ""
    for line in lines[1:]:
        if line.strip() == "---":
            return fields
        held = fields.get(key)
        if line.lstrip().startswith("- ") and isinstance(held, list):
            held.append(_unquoted(line.lstrip()[2:]))
        elif ":" in line and not line[0].isspace():
            key, value = (side.strip() for side in line.split(":", 1))
            fields[key] = _unquoted(value) if value else []
    return {}  # never closed: not front matter


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'")
