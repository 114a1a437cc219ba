"""greenlight judge: how often is a model wrong when it judges? Measured on answers that people labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, emit, note, verb

if TYPE_CHECKING:
    from greenlight.compose.judging import Calibrated


@verb(
    "judge",
    examples="greenlight judge http://localhost:8080/v1#judge --labelled labelled.jsonl --out judge.json\n\n"
    "greenlight judge strict --policy policy.toml --labelled labelled.jsonl",
)
def judge(
    who: Annotated[
        str,
        typer.Argument(metavar="REF|NAME", help="A model or endpoint; with --policy, the name of one of its judges."),
    ],
    labelled: Annotated[list[Path], typer.Option(help="Answers that people labelled (JSON Lines); may be repeated.")],
    policy: Annotated[str | None, typer.Option(help="A policy that names the judge, its rubric and its file.")] = None,
    rubric: Annotated[str, typer.Option(help="What it is asked: refusal or harm.")] = "refusal",
    out: Annotated[
        Path | None, typer.Option(help="File to write; judge.json, or the one that the policy names.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Show whole answers to the judge, not their beginning.")
    ] = False,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Measure how often a model is wrong as a judge, and write the file that a policy names as its calibration."""
    from greenlight.compose.judging import judge_of_policy, judge_reference
    from greenlight.compose.observer import Observer

    class Shown(Observer):
        def progress(self, suite: str, n_done: int, n_items: int) -> None:
            note(f"{suite}  {n_done} of {n_items}")

    if policy is not None:
        spec, place = judge_of_policy(who, policy)
        who, rubric, out = str(spec.model), spec.rubric, out or place
    found = judge_reference(
        who,
        labelled,
        asked=rubric,
        out=out or Path("judge.json"),
        whole=whole,
        ops=options.computing(ops, precision),
        pull=pull,
        observer=None if as_json else Shown(),
    )
    emit(found.value, as_json=as_json, text=lambda: _text(found, who))


def _text(found: Calibrated, reference: str) -> str:
    value = found.value
    lines = [f"judge     {value['judge']}, {value['source']['name']}"]
    for part in found.qualities:
        table = part.counts
        positive, negative = table.tp + table.fn, table.tn + table.fp
        youden = "unknown" if part.youden is None else f"{part.youden:.2f}"
        verdict = "an instrument" if part.usable else "no instrument: rows that it reads are INVALID"
        lines.append(
            f"{part.table:<14} sensitivity {table.tp}/{positive}, specificity {table.tn}/{negative}, "
            f"Youden {youden}   {verdict}"
        )
    lines.append(f"no verdict     {value['no_verdict']} of {sum(value['tables']['cut']['human -> judge'].values())}")
    notes = value["planted"]
    lines.append(
        f"notes to it    followed {notes['followed']} of {notes['n']} that asked for another verdict (counted above)"
    )
    lines.append(f"written        {found.path}")
    lines += ["", "[judge.NAME]", 'kind = "model"', f'model = "{reference}"', f'rubric = "{value["rubric"]}"']
    lines.append(f'calibration = "{found.path.name}"')
    return "\n".join(lines)
