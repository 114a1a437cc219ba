"""greenlight merge: parts of one exam, asked in different places, become one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli.app import AsJson, emit, verb


@verb(
    "merge",
    examples="greenlight merge part1 part2 --out runs/whole\n\n"
    "greenlight assess smollm2 --lock LOCK --shard 1/4 --out part1",
)
def merge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders of one lock.")],
    out: Annotated[Path, typer.Option(help="The new run folder.")],
    as_json: AsJson = False,
) -> None:
    """Join runs of one lock, item by item; two different answers to one item are refused."""
    from greenlight.cli.commands import decide_command
    from greenlight.release.merge import merge_runs

    found = merge_runs(runs, out)
    value = {"folder": str(found.folder), "samples": found.samples, "notes": list(found.notes)}
    lines = [f"merged  {found.folder}: {found.samples:,} answers", *(f"note    {text}" for text in found.notes)]
    emit(value, as_json=as_json, text=lambda: "\n".join([*lines, f"next    {decide_command(found.folder)}"]))
