"""greenlight import: a run of another tool, judged without running it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, emit, verb

if TYPE_CHECKING:
    from greenlight.compose.importing import Imported


@verb(
    "import",
    examples="greenlight import out/model/results_2026-01-31.json --as lm-eval --policy mine.toml --out runs/old\n\n"
    "greenlight import log.eval --as inspect --policy mine.toml --out runs/old",
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the tool wrote: results, a log, a record.")],
    tool: Annotated[str, typer.Option("--as", help="lm-eval, inspect or every-eval-ever.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    policy: options.Policy = "starter",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="TASK=ASSESSMENT[:GRADER], what a task is read as; compete.TASK by default."),
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Read this task alone; may be repeated.")] = None,
    metric: Annotated[str, typer.Option(help="The tool's metric or scorer that is taken as its grade.")] = "",
    filter_: Annotated[str, typer.Option("--filter", help="lm-eval's filter whose reading is taken.")] = "",
    include_harmful: options.IncludeHarmful = False,
    as_json: AsJson = False,
) -> None:
    """Judge a run of lm-eval or Inspect under a policy. No lock came before its answers, so it is never a GO."""
    from greenlight.assess.imports import Wanted
    from greenlight.compose.importing import import_run

    made = import_run(
        file,
        tool,
        out,
        policy=policy,
        mapping=_mapping(mapping or []),
        wanted=Wanted(tuple(task or ()), metric, filter_),
        include_harmful=include_harmful,
    )
    emit(made.to_json(), as_json=as_json, text=lambda: _text(made))


def _mapping(given: list[str]) -> dict[str, str]:
    from greenlight.errors import UsageError

    found = {}
    for entry in given:
        task, equals, assess = entry.partition("=")
        if not (task and equals and assess):
            raise UsageError("a mapping is TASK=ASSESSMENT", where="--map", found=entry)
        found[task] = assess
    return found


def _text(made: Imported) -> str:
    from greenlight.cli.view import row_line, verdict_text

    lines = [f"imported    {made.folder}: no lock came before these answers, so this is never a GO"]
    for task in made.tasks:
        again = (
            "graded as the tool did" if task["disagree"] is None else f"graded again, {task['disagree']:,} otherwise"
        )
        lines.append(f"  {task['task']:<22} read as {task['assess']}, {task['n']:,} answers, {again}")
    lines += [f"  {name:<22} read by no row" for name in made.unused]
    lines += [row_line(row) for row in made.decision["rows"]]
    return "\n".join([*lines, verdict_text(made.decision, made.folder)])
