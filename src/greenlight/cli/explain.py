"""greenlight explain: the public page of a release that waits, and its feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli.app import AsJson, Run, emit, verb


@verb(
    "explain",
    examples="greenlight explain run --ledger release.jsonl --out public\n\n"
    'greenlight explain run --ledger release.jsonl --out public --redact "jailbreak.worst=names an open weakness"',
)
def explain(
    run: Run,
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The release's ledger; the run must stand in it.")],
    out: Annotated[Path, typer.Option(help="Folder of the page; earlier pages there are its past.")],
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="Dollars an hour of the machine costs.")] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option("--redact", metavar="ROW=REASON", help="Withhold a row, in a visible box; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the page that a waiting release owes its readers: what holds it, by how much, what would settle it."""
    from greenlight.compose.explaining import explain_run

    made = explain_run(run, ledger, out, price_per_hour=price_per_hour, redact=_redacted(redact))
    emit({"files": [str(path) for path in made]}, as_json=as_json, text=lambda: "\n".join(f"wrote   {p}" for p in made))


def _redacted(given: list[str] | None) -> dict[str, str]:
    from greenlight.errors import UsageError

    found: dict[str, str] = {}
    for text in given or ():
        row, equals, reason = text.partition("=")
        if not (row and equals and reason.strip()) or row in found:
            raise UsageError(
                "a row is withheld with a reason", where=f"--redact {text}", do="write ROW=REASON, once each"
            )
        found[row] = reason.strip()
    return found
