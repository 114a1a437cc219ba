"""greenlight review: the main job; plan, lock, assess, decide and report in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, verb


@verb(
    "review",
    examples="greenlight review smollm2 --pull\n\ngreenlight review ./model.gguf --system @prompt.txt --minutes 10",
)
def review(
    ref: Ref,
    policy: options.PolicyOrLock = None,
    lock: Annotated[
        Path | None, typer.Option(help="The exam of a lock made before; without it this is a rehearsal.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; reviews/NAME-LOCK by default.")] = None,
    minutes: options.Minutes = None,
    system: options.System = None,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    include_harmful: options.IncludeHarmful = False,
    reference: options.References = None,
    ledger: options.Ledger = None,
    release_of: options.ReleaseOf = None,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    openness: options.Openness = None,
    pull: Pull = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 0 GO, 10 GO WITH CONDITIONS, 20 HOLD, 30 NO-GO.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Should this model ship? Ask, measure, decide and explain, under a policy fixed beforehand."""
    from greenlight import compose
    from greenlight.cli.commands import Given
    from greenlight.cli.view import TerminalView
    from greenlight.gate.decision import VERDICT_EXIT

    settings = options.settings(system, temperature, top_k, top_p, min_p, repetition_penalty)
    given = Given(
        ref=ref,
        policy=policy,
        ledger=ledger,
        release_of=release_of,
        sampling=options.typed_sampling(temperature, top_k, top_p, min_p, repetition_penalty),
        models=options.typed_models(reference, options.computing(ops, precision)),
        include_harmful=include_harmful,
    )
    with TerminalView(f"greenlight review {ref}", quiet=as_json, given=given) as view:
        result = compose.review_reference(
            ref,
            policy=policy,
            lock_path=lock,
            settings=settings,
            out=out,
            minutes=minutes,
            include_harmful=include_harmful,
            ops=options.computing(ops, precision),
            references=options.read_references(reference),
            openness=openness,
            pull=pull,
            observer=view,
        )
    if ledger:
        from greenlight.compose.entering import enter_decision

        enter_decision(result.folder, ledger, release_of=release_of)
    if as_json:
        emit({**result.decision, "folder": str(result.folder)}, as_json=True, text=str)
    if check:
        raise typer.Exit(VERDICT_EXIT[result.decision["verdict"]])
