"""How does a path become a model that runs, or the facts about one?"""

from __future__ import annotations

from pathlib import Path

from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.ops import Ops, select_ops


def load_decoder(path: Path, ops: Ops | None = None) -> Decoder:
    """Read a .gguf file or a Hugging Face folder and pack its weights.

    Args:
        path: the file or the folder.
        ops: what computes it; by default the fastest there is.

    Raises:
        FormatError: damaged files, or weights that do not match their config.
        UnsupportedError: a family, a type or a switch that is not computed here.
        ConfigError: a config that contradicts itself.
    """
    return Decoder(open_checkpoint(Path(path)), ops or select_ops())
