"""greenlight replay: random items of a run asked again, with the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Run, emit, verb

if TYPE_CHECKING:
    from greenlight.compose.replaying import Replay

_SHOWN = 200
"""Characters of a value that are shown."""


@verb(
    "replay",
    examples="greenlight replay reviews/smollm2-7f3a09c1 --slice 20\n\n"
    "greenlight replay runs/tuned-1a2b3c4d --slice 20 --model ./tuned.gguf --seed 7",
)
def replay(
    run: Run,
    size: Annotated[int, typer.Option("--slice", metavar="K", help="How many random items to ask again.")] = 20,
    seed: Annotated[int | None, typer.Option(help="Draws the items; by default nobody can foresee which.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="REF", help="Where the model is; by default the name in the lock.")
    ] = None,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Ask random items of a run again: SAME, or the first answer with other bytes and exit 1."""
    from greenlight import compose
    from greenlight.cli.view import TerminalView

    with TerminalView("greenlight replay", quiet=True) as view:
        found = compose.replay(
            Path(run),
            size=size,
            seed=seed,
            model=model,
            ops=options.computing(ops, precision),
            pull=pull,
            observer=view,
        )
    emit(found.to_json(), as_json=as_json, text=lambda: _text(found))
    if not found.same:
        raise typer.Exit(1)


def _text(found: Replay) -> str:
    from greenlight.compose.replaying import CLOSE

    asked = ", ".join(f"{suite} {n:,}" for suite, n in found.asked.items())
    head = (
        f"{'SAME' if found.same else 'DIFFERENT'}  {sum(found.asked.values()):,} answers ({asked}), seed {found.seed}"
    )
    if found.ops == "endpoint":
        head += "\n  note      an endpoint does not promise equal answers: a difference alone shows no other model"
    elif not found.exact:
        head += f"\n  note      {found.ops} rounds by the shape of a batch: log-probabilities are compared to {CLOSE:g}"
    if found.difference is None:
        return head
    file, line, item, field, expected, now = found.difference
    lines = [head, f"  where     {file}, line {line}, {item}: {field}"]
    return "\n".join([*lines, f"  expected  {_short(expected)}", f"  found     {_short(now)}"])


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
