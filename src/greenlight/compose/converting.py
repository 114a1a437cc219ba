"""How does one model become another file: of another format, or another type? Exactly, or with what it cost said."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from greenlight import hub
from greenlight.compose.identity import Text, compare, listen, report_path, write_report
from greenlight.compose.models import Files, adapter_place, find_files
from greenlight.compose.observer import Observer
from greenlight.compose.resuming import clear, forget, keep, kept
from greenlight.engine.local import tokenizer_of
from greenlight.errors import UsageError
from greenlight.evidence import JSON, sha256
from greenlight.formats.gguf_writer import write_gguf
from greenlight.formats.part_names import model_name, part_name
from greenlight.formats.planned import Planned
from greenlight.formats.safetensors_writer import MAX_SHARD_BYTES, write_weights
from greenlight.formats.storing import folder_in_the_making, refuse_existing
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import Checkpoint
from greenlight.model.export import plan_folder, plan_gguf
from greenlight.model.lineage import card_text, general_entries
from greenlight.model.types import Importance, folder_types, gguf_types

Format: TypeAlias = Literal["gguf", "hf"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A model that was converted."""

    source: Files
    """What it was made from."""

    source_digest: str
    """Its SHA-256; with an adapter, that of both."""

    origin: dict[str, JSON]
    """With adapters: digests of base and adapters, and what became of its deltas; else empty."""

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

    def made(self) -> dict[str, JSON]:
        """All but where source and target lie."""
        return {name: value for name, value in asdict(self).items() if name not in ("source", "target")}

    @classmethod
    def again(cls, source: Files, target: Path, made: Mapping[str, JSON]) -> Conversion:
        """The one that `made` was said of."""
        return cls(source=source, target=target, **{**made, "notes": tuple(made["notes"])})

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {
            "stored_as": self.format,
            "notes": list(self.notes),
            "source": {
                "path": str(self.source.path),
                "sha256": self.source_digest,
                "bytes": self.source_bytes,
                **self.origin,
            },
            "target": {"path": str(self.target), "sha256": self.target_digest, "bytes": self.target_bytes},
            "types": dict(self.types),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked of a conversion."""

    type_: TensorType | None = None
    """Of weights; None keeps each as it is (blocks become F32 in a folder, which holds none)."""

    format_: Format | None = None
    """gguf or hf; None is what the target's name says."""

    tokenizer: bool = True
    """Whether the target gets one; a model without is of use to tests alone."""

    calibration: Text | None = None
    """Read first, to learn which inputs matter to types whose values share a scale."""

    text: Text | None = None
    """What parent and child are compared on; None: nothing is compared."""

    ops: str | None = None
    """What computes the comparison; the target's bytes do not hang on it."""

    max_shard_bytes: int = MAX_SHARD_BYTES
    """Bytes of one file of a folder."""

    def to_json(self) -> dict[str, JSON]:
        """What decides the target's bytes; the text that it is compared on does not."""
        return {
            "type": self.type_.name if self.type_ else None,
            "tokenizer": self.tokenizer,
            "calibration": sha256(self.calibration.text.encode()) if self.calibration else None,
            "max_shard_bytes": self.max_shard_bytes,
        }


def convert(
    reference: str,
    target: Path | str,
    wish: Wish | None = None,
    *,
    pull: bool = False,
    observer: Observer | None = None,
) -> dict[str, JSON]:
    """Write a model in another format or type, compare it with its parent, and write the report beside it.

    Killed while it writes, it leaves nothing under the target's name, and the next attempt begins anew; killed while it
    compares, it leaves the whole model, and the same call again only compares.

    Args:
        reference: what is converted.
        target: a file or folder that is not there yet.
        wish: how; by default an exact copy in the format of the target's name, compared on nothing.
        pull: fetch the model first if it is absent.
        observer: told of bytes written and tokens compared.

    Returns:
        The report: `greenlight.identity/1`.

    Raises:
        UnsupportedError: the target could not say what the model computes, or how it reads text.
        FormatError, TextError, HubError: something is damaged, absent, in the way, or the disk is too small.
        UsageError: the type does not go with the format.
    """
    target, watch, wish = Path(target), observer or Observer(), wish or Wish()
    refuse_existing(report_path(target))
    format_ = _format(target, wish.format_)
    source = find_files(reference, pull=pull, observer=watch)
    asked = {**wish.to_json(), "source": source.digests()[0], "format": format_}
    if made := kept(target, asked):
        done = Conversion.again(source, target, made)
        watch.going_on(target)
    else:
        refuse_existing(target)
        importance = listen(source, wish.calibration, watch.measuring) if wish.calibration else None
        done = write_model(source, target, wish, format_, importance, watch)
        keep(target, asked, done.made())
    measured = _measured(done, wish, watch) if wish.text else None
    report = write_report(done.to_json(), measured, target)
    forget(target)
    return report


def _measured(done: Conversion, wish: Wish, watch: Observer) -> dict[str, JSON]:
    """Parent and child on the text; where inputs were weighed, the same without, of a copy that is thrown away."""
    assert wish.text is not None
    measured = compare(done.source, done.target, wish.text, ops=wish.ops, told=watch.measuring)
    if wish.calibration is None:
        return measured
    folder = clear(done.target.with_name(f".{done.target.name}.plain"))
    try:
        plain = folder / done.target.name
        write_model(done.source, plain, wish, done.format, None, watch)
        without = compare(done.source, plain, wish.text, ops=wish.ops, told=watch.measuring)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    calibration = {"name": wish.calibration.name, "sha256": sha256(wish.calibration.text.encode())}
    return {**measured, "calibration": {**calibration, "without": {key: without[key] for key in ("kl", "top1")}}}


def _format(target: Path, asked: Format | None) -> Format:
    named: Format = "gguf" if target.suffix == ".gguf" else "hf"
    if asked is not None and asked != named:
        raise UsageError(
            "the target's name does not go with its format",
            where=str(target),
            found=f"--format {asked}",
            do="GGUF files end in .gguf, Hugging Face folders do not",
        )
    if (part := part_name(target.name)) and part.n_parts != 1:
        raise UsageError(
            "the target's name is that of one part of a model",
            where=str(target),
            found="a GGUF file is written whole",
            do=f"name it {model_name(target.name)}.gguf",
        )
    return named


def write_model(
    source: Files, target: Path, wish: Wish, format_: Format, importance: Importance | None, watch: Observer
) -> Conversion:
    """The conversion itself, without comparing anything; an adapter's deltas go into the weights."""
    checkpoint, digest = source.checkpoint("merged"), source.digests()[0]
    if wish.tokenizer and checkpoint.metadata.get("tokenizer.ggml.model") != "none":
        tokenizer_of(checkpoint)  # one that belongs to another model is not carried on
    origin = _origin(source)

    def progress(_: str, done: int, total: int) -> None:
        watch.writing(done, total)

    def cleared(n_bytes: int) -> None:
        watch.beginning_anew(target, n_bytes)

    name = stated_name(checkpoint)
    if format_ == "gguf":
        entries = general_entries(checkpoint, name, digest, origin) | _tokenizer_entries(checkpoint, wish.tokenizer)
        types = gguf_types(wish.type_, tied_head=checkpoint.config.tied_head)
        plan = plan_gguf(checkpoint, types, entries, importance)
        target_digest = write_gguf(target, plan.metadata, plan.tensors, progress=progress, cleared=cleared)
        hub.remember(target, target_digest)
        metadata, tensors, size = plan.metadata, plan.tensors, target.stat().st_size
    else:
        folder_plan = plan_folder(checkpoint, folder_types(wish.type_, checkpoint.family.hf_in_blocks))
        metadata, tensors = {}, folder_plan.tensors
        size = sum(tensor.n_bytes for tensor in tensors)
        with folder_in_the_making(target, size, cleared) as folder:
            write_weights(folder, tensors, max_shard_bytes=wish.max_shard_bytes, progress=progress)
            _write_beside(folder, checkpoint, folder_plan.config, tokenizer=wish.tokenizer)
            (folder / "README.md").write_text(card_text(checkpoint, name, digest, origin), encoding="utf-8")
        target_digest = hub.digest(target)
    return Conversion(
        source=source,
        source_digest=digest,
        origin=origin,
        source_bytes=checkpoint.size,
        target=target,
        target_digest=target_digest,
        target_bytes=size,
        format=format_,
        types=_types(tensors),
        notes=(*_notes(checkpoint, metadata), *_merged_notes(source, checkpoint, tensors)),
    )


def _origin(source: Files) -> dict[str, JSON]:
    """What was merged: the digests of a base and of its adapters; nothing where there is no adapter."""
    if not source.adapters:
        return {}
    adapters = {
        adapter_place(index): {"path": str(path), "sha256": hub.digest_of(hub.adapter_digests(path))}
        for index, path in enumerate(source.adapters)
    }
    return {"base": {"path": str(source.path), "sha256": hub.digest(source.path)}, **adapters}


def _merged_notes(source: Files, checkpoint: Checkpoint, tensors: Sequence[Planned]) -> list[str]:
    """Which weights an adapter went into, and as what they are stored: a sum that is stored in few bits is rounded."""
    if not source.adapters:
        return []
    names = {name for module in source.adapted_modules() for name in (module, checkpoint.family.gguf_name(module))}
    types = Counter(planned.type.name for planned in tensors if planned.name in names)
    stored = ", ".join(f"{count} as {type_}" for type_, count in types.most_common())
    named = " and ".join(path.name for path in source.adapters)
    added = f"the adapter {named} was" if len(source.adapters) == 1 else f"the adapters {named} were"
    return [f"{added} added in float32; the sums are stored: {stored}"]


def stated_name(checkpoint: Checkpoint) -> str:
    """What a model calls itself, or else its file or folder."""
    name = checkpoint.metadata.get("general.name")
    return name if isinstance(name, str) and name else model_name(checkpoint.path.resolve().name)


def _tokenizer_entries(checkpoint: Checkpoint, tokenizer: bool) -> dict[str, JSON]:
    if checkpoint.format == "gguf":
        return {}
    if not tokenizer:
        return {"tokenizer.ggml.model": "none"}
    from greenlight.text.gguf_entries import gguf_entries

    by_lines = checkpoint.family.gguf_by_lines
    return gguf_entries(checkpoint.path, checkpoint.config.vocab_size, by_lines=by_lines)


_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
    *("vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"),
    "additional_chat_templates/*.jinja",
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
            copy = folder / file.relative_to(checkpoint.path)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copy)


def _types(tensors: Sequence[Planned]) -> dict[str, int]:
    sizes = Counter[str]()
    for tensor in tensors:
        sizes[tensor.type.name] += tensor.n_bytes
    return dict(sizes.most_common())


def _notes(checkpoint: Checkpoint, metadata: Mapping[str, JSON]) -> list[str]:
    """What a user of the target should know; `metadata` is a GGUF file's own."""
    config, notes = checkpoint.config, []
    if checkpoint.format == "safetensors" and config.windows and metadata.get("general.architecture") == "llama":
        notes.append(
            f"the architecture 'llama' has no window: context_length is {metadata['llama.context_length']}, up to "
            "which every layer sees everything anyway"
        )
    if checkpoint.left_out:
        notes.append(f"parts that are no text model are left out: {', '.join(checkpoint.left_out)[:200]}")
    return notes
