"""Is a folder the checkpoint in its makers' own layout? Many repositories have it in original/, beside the usual files.

Its tensors have other names and another order, and its config says other things: what stands above it is what is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from greenlight.errors import GreenlightError, UnsupportedError
from greenlight.formats.jsonfile import read_json

_OPENAI = ("block.0.attn.qkv.weight", "block.0.mlp.mlp1_weight.blocks")
"""Names of tensors there (openai/gpt-oss, gpt_oss/torch/weights.py)."""


def refuse_original(folder: Path) -> None:
    """Refuse a folder that its files show to be one.

    Raises:
        UnsupportedError: naming whose layout it is, and where the usual one is.
    """
    has_config = (folder / "config.json").is_file()
    if (folder / "params.json").is_file() and not has_config:
        raise _refusal(folder, "Meta's or Mistral's", "params.json and no config.json")
    if (folder / "dtypes.json").is_file() and has_config and not _says_its_type(folder):
        raise _refusal(folder, "OpenAI's", "dtypes.json, and a config.json without model_type")


def refuse_original_names(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that its tensors show to be one.

    Raises:
        UnsupportedError: as `refuse_original`.
    """
    known = set(names)
    if found := [name for name in _OPENAI if name in known]:
        raise _refusal(folder, "OpenAI's", f"a tensor {found[0]}")


def _says_its_type(folder: Path) -> bool:
    try:
        return "model_type" in read_json(folder / "config.json")
    except GreenlightError:
        return True  # damaged: whoever reads it next says how


def _refusal(folder: Path, whose: str, found: str) -> UnsupportedError:
    above = folder.resolve().parent
    there = (above / "config.json").is_file()
    return UnsupportedError(
        f"the folder holds a checkpoint in {whose} own layout, which is not read",
        where=str(folder),
        found=found,
        do=f"use the folder above it: {above}"
        if there
        else "fetch the files that stand above it in the same repository: greenlight pull hf:OWNER/NAME",
    )
