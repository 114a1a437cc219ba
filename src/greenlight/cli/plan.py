"""greenlight plan, lock: what an exam would take, and how it is fixed before the first answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, verb


@verb("plan", examples="greenlight plan smollm2 --policy starter")
def plan(
    ref: Annotated[
        str | None,
        typer.Argument(metavar="[REF]", help="Times a few answers of this model for the estimate of minutes."),
    ] = None,
    policy: options.Policy = "starter",
    as_json: AsJson = False,
) -> None:
    """Items, labels, power and P(GO) of a perfect model, before anything is asked."""
    from greenlight import compose
    from greenlight.cli.tables import plan_table

    planned = compose.plan_reference(policy, ref)
    emit(planned.to_json(), as_json=as_json, text=lambda: plan_table(planned.to_json()))


@verb(
    "lock",
    examples="greenlight lock starter smollm2 --out exam.lock.json\n\ngreenlight review smollm2 --lock exam.lock.json",
)
def lock(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="A shipped policy (starter) or a TOML file.")],
    ref: Ref,
    out: Annotated[Path, typer.Option(help="Where the lock is written.")],
    system: options.System = None,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    reference: options.References = None,
    ops: options.Ops = None,
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Fix policy, model, template, settings and exam by digest. Each lock is one attempt once it is decided."""
    from greenlight import compose

    settings = options.settings(system, temperature, top_k, top_p, min_p, repetition_penalty)
    value = compose.lock_reference(
        policy, ref, out, settings=settings, ops=ops, references=options.read_references(reference), pull=pull
    )
    emit(
        value,
        as_json=as_json,
        text=lambda: f"locked {value['id'][:8]}  {out}\nnext    greenlight review {ref} --lock {out}",
    )
