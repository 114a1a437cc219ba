"""How does a path become a model that runs, or the facts about one?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from greenlight.formats.tensors import release_freed, release_mapped
from greenlight.model.adapter import Adapter
from greenlight.model.adapting import How, adapt, adapter_of
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.facts import ModelFacts, facts_of
from greenlight.ops import Ops, select_ops
from greenlight.ops.beside import with_deltas


def load_decoder(
    source: Path | str | Checkpoint,
    ops: Ops | None = None,
    *,
    adapter: Path | str | Sequence[Path] | Adapter | None = None,
    how: How = "auto",
) -> Decoder:
    """Read a .gguf file or a Hugging Face folder and pack its weights.

    Args:
        source: the file or the folder, or what `open_checkpoint` made of it (whose metadata a tokenizer may need
            as well: a file need not be read twice).
        ops: what computes it; by default the fastest there is.
        adapter: a LoRA adapter: its folder or GGUF file, several of them, or what `adapter_of` made of those.
        how: whether its deltas go into the weights or stay beside them.

    Raises:
        FormatError: damaged files, or weights that do not match their config, or an adapter of another model.
        UnsupportedError: a family, a type or a switch that is not computed here.
        ConfigError: a config that contradicts itself.
    """
    checkpoint, ops = _opened(source), ops or select_ops()
    if adapter is not None:
        paths = [Path(adapter)] if isinstance(adapter, str | Path) else adapter
        read = paths if isinstance(paths, Adapter) else adapter_of(paths, checkpoint)
        adapted = adapt(checkpoint, read, how)
        checkpoint = adapted.checkpoint
        ops = with_deltas(ops) if adapted.beside else ops
    decoder = Decoder(checkpoint, ops)
    # Packing read every page of the file; where the ops copied them, they need not stay resident beside the copy.
    release_mapped(checkpoint.tensors.values())
    release_freed()
    return decoder


def describe(source: Path | str | Checkpoint) -> ModelFacts:
    """What a model's files say of it, checked as for running, without packing its weights.

    Raises:
        GreenlightError: as for `load_decoder`.
    """
    return facts_of(_opened(source))


def _opened(source: Path | str | Checkpoint) -> Checkpoint:
    return source if isinstance(source, Checkpoint) else open_checkpoint(Path(source))
