"""How do runs of other tools come in? One file a tool: its files to questions, answers and grades; no model is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from greenlight.assess.imports.every_eval import read_every_eval
from greenlight.assess.imports.foreign import ForeignRun, ForeignSample, ForeignTask, Wanted
from greenlight.assess.imports.inspect_log import read_inspect
from greenlight.assess.imports.lm_eval import read_lm_eval
from greenlight.assess.imports.suite import ImportedSuite, Mapped, default_mapping, lines_of, to_suite

__all__ = [
    "READERS",
    "ForeignRun",
    "ForeignSample",
    "ForeignTask",
    "ImportedSuite",
    "Mapped",
    "Wanted",
    "default_mapping",
    "lines_of",
    "to_suite",
]

READERS: dict[str, Callable[[Path, Wanted], ForeignRun]] = {
    "lm-eval": read_lm_eval,
    "inspect": read_inspect,
    "every-eval-ever": read_every_eval,
}
"""Name of a tool to what reads its files."""
