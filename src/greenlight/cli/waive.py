"""greenlight waive: a person whom the policy names sets a row aside, for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Run, emit, verb


@verb(
    "waive",
    examples='greenlight waive reviews/smollm2-7f3a09c1 bias.s_amb --who "A. Name" --why "…" --until 2026-03-01',
)
def waive(
    run: Run,
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row, as the report names it.")],
    who: Annotated[str, typer.Option(help="Whoever answers for it: a name in the policy's [waiver].")],
    why: Annotated[str, typer.Option(help="The reason, which is published beside the verdict.")],
    until: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The last day on which it has effect.")],
    ledger: options.Ledger = None,
    as_json: AsJson = False,
) -> None:
    """Set a row aside and decide again: at best GO WITH CONDITIONS, with the waiver beside the verdict everywhere."""
    from greenlight.cli.commands import Given
    from greenlight.cli.view import verdict_text
    from greenlight.compose.entering import enter_decision
    from greenlight.compose.waiving import waive as waive_row

    decision = waive_row(run, row, who=who, why=why, until=until)
    if ledger:
        enter_decision(run, ledger)
    emit(decision, as_json=as_json, text=lambda: verdict_text(decision, Path(run), Given(ledger=ledger)))
