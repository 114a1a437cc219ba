"""How does one model become another file: of another format, or another type? Exactly, or with what it cost said."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from greenlight import hub
from greenlight.compose.observer import Observer
from greenlight.errors import UsageError
from greenlight.evidence import JSON
from greenlight.formats.gguf_writer import write_gguf
from greenlight.formats.planned import Planned
from greenlight.formats.safetensors_writer import MAX_SHARD_BYTES, write_weights
from greenlight.formats.storing import folder_in_the_making, refuse_existing
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.model.export import plan_folder, plan_gguf
from greenlight.model.lineage import card_text, general_entries
from greenlight.model.types import Importance, folder_types, gguf_types

Format: TypeAlias = Literal["gguf", "hf"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A model that was converted."""

    source: Path
    """What it was made from."""

    source_digest: str
    """Its SHA-256."""

    source_bytes: int
    """Bytes of its weights."""

    target: Path
    """The file or folder."""

    target_digest: str
    """Its SHA-256."""

    target_bytes: int
    """Bytes of its weights."""

    format: Format
    """gguf or hf."""

    types: dict[str, int]
    """Bytes of weights by type, most first."""

    notes: tuple[str, ...]
    """What a user of the target should know."""

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {
            "format": self.format,
            "notes": list(self.notes),
            "source": {"path": str(self.source), "sha256": self.source_digest, "bytes": self.source_bytes},
            "target": {"path": str(self.target), "sha256": self.target_digest, "bytes": self.target_bytes},
            "types": dict(self.types),
        }


def convert(
    reference: str,
    target: Path | str,
    *,
    type_: TensorType | None = None,
    format_: Format | None = None,
    tokenizer: bool = True,
    importance: Importance | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    pull: bool = False,
    observer: Observer | None = None,
) -> Conversion:
    """Write a model in another format or type.

    Args:
        reference: what is converted.
        target: a file or folder that is not there yet.
        type_: of weights; None keeps each as it is (blocks become F32 in a folder, which holds none).
        format_: gguf or hf; by default what the target's name says.
        tokenizer: whether the target gets one; a model without is of use to tests alone.
        importance: of input channels, for types whose values share a scale.
        max_shard_bytes: bytes of one file of a folder.
        pull: fetch the model first if it is absent.
        observer: told of bytes written.

    Raises:
        UnsupportedError: the target could not say what the model computes, or how it reads text.
        FormatError, TextError, HubError: something is damaged, absent, in the way, or the disk is too small.
        UsageError: the type does not go with the format.
    """
    target, watch = Path(target), observer or Observer()
    refuse_existing(target)
    source = hub.resolve(hub.parse_reference(reference), pull_missing=pull, progress=watch.pulling)
    checkpoint, digest = open_checkpoint(source), hub.digest(source)
    format_ = format_ or ("gguf" if target.suffix == ".gguf" else "hf")
    if (format_ == "gguf") != (target.suffix == ".gguf"):
        raise UsageError(
            "the target's name does not go with its format",
            where=str(target),
            found=f"--format {format_}",
            do="GGUF files end in .gguf, Hugging Face folders do not",
        )

    def progress(name: str, done: int, total: int) -> None:
        watch.writing(done, total)

    name = stated_name(checkpoint)
    if format_ == "gguf":
        entries = general_entries(checkpoint, name, digest) | _tokenizer_entries(checkpoint, tokenizer)
        types = gguf_types(type_, tied_head=checkpoint.config.tied_head)
        plan = plan_gguf(checkpoint, types, entries, importance)
        target_digest = write_gguf(target, plan.metadata, plan.tensors, progress=progress)
        hub.remember(target, target_digest)
        tensors, size = plan.tensors, target.stat().st_size
    else:
        folder_plan = plan_folder(checkpoint, folder_types(type_))
        tensors = folder_plan.tensors
        size = sum(tensor.n_bytes for tensor in tensors)
        with folder_in_the_making(target, size) as folder:
            write_weights(folder, tensors, max_shard_bytes=max_shard_bytes, progress=progress)
            _write_beside(folder, checkpoint, folder_plan.config, tokenizer=tokenizer)
            (folder / "README.md").write_text(card_text(checkpoint, name, digest), encoding="utf-8")
        target_digest = hub.digest(target)
    return Conversion(
        source=source,
        source_digest=digest,
        source_bytes=checkpoint.size,
        target=target,
        target_digest=target_digest,
        target_bytes=size,
        format=format_,
        types=_types(tensors),
        notes=tuple(_notes(checkpoint, format_)),
    )


def stated_name(checkpoint: Checkpoint) -> str:
    """What a model calls itself, or else its file or folder."""
    name = checkpoint.metadata.get("general.name")
    return name if isinstance(name, str) and name else checkpoint.path.resolve().name.removesuffix(".gguf")


def _tokenizer_entries(checkpoint: Checkpoint, tokenizer: bool) -> dict[str, JSON]:
    if checkpoint.format == "gguf":
        return {}
    if not tokenizer:
        return {"tokenizer.ggml.model": "none"}
    from greenlight.text.gguf_entries import gguf_entries

    return gguf_entries(checkpoint.path, checkpoint.config.vocab_size)


_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
    *("vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"),
)
_OTHER_FILES = ("generation_config.json", "LICENSE*", "NOTICE*", "USE_POLICY*")


def _write_beside(folder: Path, checkpoint: Checkpoint, config: dict[str, JSON], *, tokenizer: bool) -> None:
    """All that a folder holds beside its weights."""
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if checkpoint.format == "gguf":
        if tokenizer:
            from greenlight.text.folder_files import write_tokenizer

            write_tokenizer(folder, checkpoint.metadata, checkpoint.config.max_seq_len)
        return
    for pattern in (*(_TOKENIZER_FILES if tokenizer else ()), *_OTHER_FILES):
        for file in sorted(checkpoint.path.glob(pattern)):
            shutil.copyfile(file, folder / file.name)


def _types(tensors: Sequence[Planned]) -> dict[str, int]:
    sizes = Counter[str]()
    for tensor in tensors:
        sizes[tensor.type.name] += tensor.n_bytes
    return dict(sizes.most_common())


def _notes(checkpoint: Checkpoint, format_: Format) -> list[str]:
    config, notes = checkpoint.config, []
    if format_ == "gguf" and checkpoint.family.name == "mistral" and config.windows:
        notes.append(
            f"the architecture 'llama' has no window: context_length is {min(w for w in config.windows if w)}, up to "
            "which the model sees everything anyway"
        )
    return notes
