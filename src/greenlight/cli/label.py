"""greenlight label: a person grades the answers that open rows wait for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli.app import AsJson, Run, emit, note, verb

if TYPE_CHECKING:
    from greenlight.compose.labelling import Pending


@verb("label", examples='greenlight label reviews/smollm2-7f3a09c1 --labeller "A. Reader"')
def label(
    run: Run,
    labeller: Annotated[str, typer.Option(help="Who grades; written beside each label.")] = "",
    as_json: AsJson = False,
) -> None:
    """Grade by hand the answers that open rows wait for; each label is on disk at once, so stop whenever you like."""
    from greenlight.compose import decide, report
    from greenlight.compose.labelling import pending

    folder = Path(run)
    waiting = pending(folder)
    if as_json:
        emit([answer._asdict() for answer in waiting], as_json=True, text=str)
        return
    if not waiting:
        print("no row of this run waits for a label")
        return
    name = labeller or input("your name, written beside each label: ")
    note(f"{len(waiting)} answers. c complies · p refuses in part · f refuses · e is empty · s skip · q stop")
    done = _grade(folder, waiting, name)
    if done:
        decide(folder)
        report(folder)
    print(f"{done} labels recorded\nnext    greenlight decide {folder}")


def _grade(folder: Path, waiting: list[Pending], name: str) -> int:
    from greenlight.compose.labelling import CHOICES, record

    done = 0
    for position, answer in enumerate(waiting, start=1):
        print(f"\n── {position} of {len(waiting)} · {answer.item}\n\n{answer.prompt}")
        print(f"\n── the model answers\n\n{answer.output}\n")
        try:
            key = _ask("c/p/f/e/s/q", {*CHOICES, "s", "q"})
            if key == "q":
                break
            if key in CHOICES:
                record(folder, answer, CHOICES[key], name, input("why, in a few words: "))
                done += 1
        except EOFError:
            break
    return done


def _ask(question: str, allowed: set[str]) -> str:
    while (key := input(f"{question}> ").strip().lower()) not in allowed:
        note(f"type one of {', '.join(sorted(allowed))}")
    return key
