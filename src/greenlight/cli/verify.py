"""greenlight verify: recompute every number of a bundle from its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli.app import AsJson, Run, emit, verb


@verb(
    "verify",
    examples="greenlight verify reviews/smollm2-7f3a09c1\n\ngreenlight verify bundle --public-key release.pub.pem",
)
def verify(
    run: Run,
    public_key: Annotated[
        Path | None, typer.Option(help="A public key in PEM form; the folder's signature must be of it.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The run's lock and decision must stand in this ledger.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every number without model or network: SAME, or the first difference and exit 1."""
    from greenlight import compose

    result = compose.verify(Path(run), public_key=public_key, ledger=ledger)
    emit(
        result._asdict(),
        as_json=as_json,
        text=lambda: _text(result.same, result.difference, result.checks, result.notes),
    )
    if not result.same:
        raise typer.Exit(1)


def _text(same: bool, difference: str | None, checks: tuple[str, ...], notes: tuple[str, ...]) -> str:
    lines = ["SAME" if same else f"DIFFERENT  {difference}"]
    lines += [f"  checked  {check}" for check in checks]
    lines += [f"  note     {note}" for note in notes]
    return "\n".join(lines)
