"""greenlight release: a decided run in the forms that others read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli.app import AsJson, emit, verb

if TYPE_CHECKING:
    from greenlight.compose.publish import Publication
    from greenlight.release.exports import Team


@verb(
    "release",
    examples="greenlight release reviews/smollm2-7f3a09c1 --out release --licence apache-2.0\n\n"
    "greenlight release --team-template > team.toml",
)
def release(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A decided run folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the forms: empty, or of an earlier release.")] = None,
    team: Annotated[Path | None, typer.Option(help="TOML with what only the team can answer.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, by its SPDX identifier.")] = "",
    base_model: Annotated[list[str] | None, typer.Option(help="owner/name of a model that this one came from.")] = None,
    model_id: Annotated[str, typer.Option(help="Where the model is published: owner/name.")] = "",
    openness: Annotated[Path | None, typer.Option(help="openness.yml: what is released under which licence.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key in PEM form: sign RUN as model.sig.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The model that was assessed, to be signed, too: REF, or MODEL+ADAPTER.")
    ] = None,
    team_template: Annotated[bool, typer.Option("--team-template", help="Print a file of answers to fill in.")] = False,
    openness_template: Annotated[
        bool, typer.Option("--openness-template", help="Print an openness.yml to fill in.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write card, statements, bills of materials and records of a decided run; name what was left out and why."""
    from greenlight.errors import UsageError

    if team_template or openness_template:
        print(_template(team=team_template), end="")
        return
    if run is None or out is None:
        raise UsageError("a release needs a run and an output folder", do="greenlight release RUN --out FOLDER")
    from greenlight.compose.publish import release_run

    answers = _team(team, licence=licence, base_models=tuple(base_model or ()), model_id=model_id)
    made = release_run(run, out, team=answers, openness=openness, key=key, model=model)
    emit(made.to_json(), as_json=as_json, text=lambda: _text(made))


def _template(*, team: bool) -> str:
    if team:
        from greenlight.release.exports import team_template

        return team_template()
    from greenlight.measure.openness import template

    return template()


def _team(path: Path | None, **given: object) -> Team:
    from greenlight.errors import UsageError
    from greenlight.release.exports import read_team

    if path is None:
        return read_team("", "the options", **given)
    try:
        return read_team(path.read_text("utf-8"), str(path), **given)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the team's answers cannot be read", where=str(path), found=str(error)) from error


def _text(made: Publication) -> str:
    lines = [f"release   {made.folder}"]
    lines += [f"  wrote   {name}" for name in made.files]
    for entry in made.left_out:
        lines.append(f"  not     {entry.form}: {entry.why}" + (f"; {entry.do}" if entry.do else ""))
    lines += [f"  signed  {path}" for path in made.signatures]
    return "\n".join(lines)
