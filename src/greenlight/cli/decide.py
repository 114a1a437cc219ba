"""greenlight decide, report: the verdict of a run under its own lock, and the page that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Run, emit, verb
from greenlight.evidence import JSON


@verb("decide", examples="greenlight decide runs/smollm2-1a2b3c4d --check")
def decide(
    run: Run,
    policy: Annotated[
        str | None, typer.Option(help="Another policy, shown beside the locked one, never instead.")
    ] = None,
    ledger: options.Ledger = None,
    release_of: options.ReleaseOf = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 0 GO, 10 GO WITH CONDITIONS, 20 HOLD, 30 NO-GO.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The verdict under the lock in RUN; writes decision.json, report.html and manifest.json.

    With a ledger the decision is entered there, and another policy is kept with the run and shown in its report.
    """
    from greenlight import compose
    from greenlight.cli.commands import Given
    from greenlight.cli.view import VERDICTS, row_line, verdict_text
    from greenlight.gate.decision import VERDICT_EXIT

    folder, given = Path(run), Given(ledger=ledger, release_of=release_of)
    if policy and ledger:
        from greenlight.compose.entering import keep_other

        keep_other(folder, policy)
    decision = compose.decide(folder)
    compose.report(folder)
    other = compose.decide_under(folder, policy) if policy else None
    if ledger:
        from greenlight.compose.entering import enter_decision

        enter_decision(folder, ledger, release_of=release_of)

    def text() -> str:
        lines = [row_line(row) for row in decision["rows"]] + [verdict_text(decision, folder, given)]
        if other:
            lines += ["", f"under {other['policy']['name']} (not the locked policy): {VERDICTS[other['verdict']]}"]
            lines += [_other_line(row) for row in other["rows"]]
        return "\n".join(lines)

    emit({**decision, "other": other} if other else decision, as_json=as_json, text=text)
    if check:
        raise typer.Exit(VERDICT_EXIT[decision["verdict"]])


@verb("report", examples="greenlight report reviews/smollm2-7f3a09c1")
def report(run: Run, as_json: AsJson = False) -> None:
    """Write report.html, one file that needs nothing from outside."""
    from greenlight import compose

    path = compose.report(Path(run))
    emit({"report": str(path)}, as_json=as_json, text=lambda: str(path))


def _other_line(row: Mapping[str, JSON]) -> str:
    """One row under another policy, with the limit that was locked beside it."""
    limit = "no limit" if row["limit"] is None else f"limit {row['limit']:g}"
    return f"  {row['row']:<32} {limit:<14} {row['status']:<13} {row['reason']}"
