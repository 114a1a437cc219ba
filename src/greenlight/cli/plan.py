"""greenlight plan, lock: what an exam would take, and how it is fixed before the first answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, verb
from greenlight.evidence import JSON


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
    from greenlight.cli.commands import open_references, words
    from greenlight.cli.tables import plan_table
    from greenlight.cli.view import TerminalView

    with TerminalView("greenlight plan", quiet=True) as view:
        planned = compose.plan_reference(policy, ref, observer=view)
    rules = () if policy == "starter" else ("--policy", policy)
    following = words("greenlight", "review", ref or "REF", *rules, *open_references(planned.policy))
    emit(
        planned.to_json(),
        as_json=as_json,
        text=lambda: f"{plan_table(planned.to_json())}\nnext    {following}",
    )


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
    ledger: options.Ledger = None,
    release_of: options.ReleaseOf = None,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Fix policy, model, template, settings and exam by digest. Each lock is one attempt, which a ledger counts."""
    from greenlight import compose
    from greenlight.cli.commands import words

    settings = options.settings(system, temperature, top_k, top_p, min_p, repetition_penalty)
    value = compose.lock_reference(
        policy,
        ref,
        out,
        settings=settings,
        ops=options.computing(ops, precision),
        references=options.read_references(reference),
        ledger=ledger,
        release_of=release_of,
        pull=pull,
    )
    models = options.typed_models(reference, options.computing(ops, precision))
    book = () if ledger is None else ("--ledger", str(ledger))
    emit(
        value,
        as_json=as_json,
        text=lambda: "\n".join(
            [
                f"locked {value['id'][:8]}  {out}",
                *([] if ledger is None else [f"ledger  {ledger}, {_attempt(value)}"]),
                f"next    {words('greenlight', 'review', ref, '--lock', out, *models, *book)}",
            ]
        ),
    )


def _attempt(value: Mapping[str, JSON]) -> str:
    from greenlight.gate.lock import policy_of

    number, of = value["attempt"], policy_of(value).attempts
    spent = "" if number <= of else ": the policy's attempts are spent, so this one can be no GO"
    return f"attempt {number} of {of}{spent}"
