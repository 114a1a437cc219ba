"""Which work of a conversion that was killed is kept? A model that was whole; then only its comparison is done again.

Beside a model that is written and not compared yet lies `.TARGET.written`: what was asked for, and the digest of what
was written. Whoever asks for the same again goes on from there; what differs in anything is no such model.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from greenlight import hub
from greenlight.errors import GreenlightError
from greenlight.evidence import JSON, sha256_json, write_json
from greenlight.formats.jsonfile import read_json


def written_path(target: Path) -> Path:
    """Where it is said that a model is whole and not compared yet."""
    return target.with_name(f".{target.name}.written")


def keep(target: Path, asked: Mapping[str, JSON], made: Mapping[str, JSON]) -> None:
    """Say that the model is whole.

    Args:
        target: the model.
        asked: what it was asked to be.
        made: what is to be known of it, its digest among it as `target_digest`.
    """
    write_json(written_path(target), {"asked": _asked(asked), "made": dict(made)})


def kept(target: Path, asked: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """What `keep` was told of the model that is there, if it is still the one, and was asked for in the same words."""
    try:
        said = read_json(written_path(target))
        made = said["made"]
        same = said["asked"] == _asked(asked) and made["target_digest"] == hub.digest(target)
    except (GreenlightError, KeyError, TypeError):
        return None  # nothing was left, or not by us
    return made if same else None


def forget(target: Path) -> None:
    """The work is done: nobody needs to go on."""
    written_path(target).unlink(missing_ok=True)


def clear(folder: Path) -> Path:
    """A folder of work that is thrown away, without what a killed attempt left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _asked(asked: Mapping[str, JSON]) -> str:
    return sha256_json({**asked, "greenlight": metadata.version("greenlight-llm")})
