"""greenlight convert: the same model in another format or type of numbers, and what that cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from greenlight.cli.app import AsJson, Pull, Ref, emit, verb

if TYPE_CHECKING:
    from greenlight.compose.converting import Conversion


@verb(
    "convert",
    examples="greenlight convert ./my-model my-model.gguf --type Q8_0\n\ngreenlight convert smollm2 ./smollm2-hf",
)
def convert(
    ref: Ref,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="FILE.gguf, or a folder; not there yet.")],
    type_: Annotated[
        str | None, typer.Option("--type", "--to", metavar="TYPE", help="Of weights, such as F16; as they are without.")
    ] = None,
    format_: Annotated[
        Literal["gguf", "hf"] | None, typer.Option("--format", help="By default what TARGET's name says.")
    ] = None,
    tokenizer: Annotated[bool, typer.Option("--tokenizer/--no-tokenizer", help="Whether TARGET gets one.")] = True,
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """The same model in another format or type; refused where it would compute or read something else."""
    from greenlight.cli.view import TerminalView
    from greenlight.compose.converting import convert as run
    from greenlight.model.types import type_named

    asked = type_named(type_) if type_ else None
    with TerminalView("convert", quiet=as_json) as view:
        done = run(ref, target, type_=asked, format_=format_, tokenizer=tokenizer, pull=pull, observer=view)
    emit(done.to_json(), as_json=as_json, text=lambda: _text(done))


def _text(done: Conversion) -> str:
    types = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in done.types.items())
    lines = [
        f"{done.target}  {done.target_bytes / 1e6:,.1f} MB, from {done.source_bytes / 1e6:,.1f} MB",
        f"  types    {types}",
        f"  source   {done.source_digest}  {done.source}",
        f"  target   {done.target_digest}",
        *(f"  note     {note}" for note in done.notes),
    ]
    return "\n".join(lines)
