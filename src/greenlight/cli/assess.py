"""greenlight assess: ask and record, without deciding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, verb


@verb(
    "assess",
    examples="greenlight assess smollm2 --only refuse,hierarchy --minutes 2\n\ngreenlight decide runs/smollm2-1a2b3c4d",
    aliases=("eval",),
)
def assess(
    ref: Ref,
    lock: Annotated[Path | None, typer.Option(help="The exam of a lock; without it the run is exploratory.")] = None,
    policy: options.PolicyOrLock = None,
    only: Annotated[str | None, typer.Option(help="Names of assessments, separated by commas.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME-LOCK by default.")] = None,
    minutes: options.Minutes = None,
    system: options.System = None,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    include_harmful: options.IncludeHarmful = False,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Ask every item, also those no row needs any more: for `greenlight compare`."),
    ] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Ask the K-th of N parts of each suite; `greenlight merge` joins.")
    ] = None,
    reference: options.References = None,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    openness: options.Openness = None,
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Ask and record; resumable. Without a lock the run is exploratory and can never be a GO."""
    from greenlight import compose
    from greenlight.cli.commands import decide_command
    from greenlight.cli.view import TerminalView

    with TerminalView(f"greenlight assess {ref}", quiet=as_json) as view:
        folder = compose.assess_reference(
            ref,
            policy=policy,
            lock_path=lock,
            settings=options.settings(system, temperature, top_k, top_p, min_p, repetition_penalty),
            out=out,
            only=only.split(",") if only else None,
            minutes=minutes,
            include_harmful=include_harmful,
            whole=whole,
            shard=options.read_shard(shard),
            ops=options.computing(ops, precision),
            references=options.read_references(reference),
            openness=openness,
            pull=pull,
            observer=view,
        )
    emit(
        {"folder": str(folder)},
        as_json=as_json,
        text=lambda: f"run     {folder}\nnext    {decide_command(folder)}",
    )
