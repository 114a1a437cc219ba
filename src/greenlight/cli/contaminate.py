"""greenlight contaminate: which questions of a run stand in the text that the model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from greenlight.cli.app import AsJson, Run, emit, verb


@verb("contaminate", examples="greenlight contaminate reviews/smollm2-7f3a09c1 --training-text corpus.txt")
def contaminate(
    run: Run,
    training_text: Annotated[
        list[Path], typer.Option(help="A file of text that the model was trained on; may be given several times.")
    ],
    as_json: AsJson = False,
) -> None:
    """Look for the questions of a run in training text; what is found is recorded, and a decided run decided again."""
    from greenlight.compose import decide, report
    from greenlight.compose.contaminating import contaminate as look

    folder = Path(run)
    found = look(folder, training_text)
    if (folder / "decision.json").exists():
        decide(folder)
        report(folder)
    emit(found, as_json=as_json, text=lambda: "\n".join(_lines(found["suites"])))


def _lines(suites: dict[str, Any]) -> list[str]:
    return [
        f"{name:<28} {counts['seen']} of {counts['told']} questions share a run of words with the text"
        + (f"; {counts['n'] - counts['told']} are too short to tell" if counts["told"] < counts["n"] else "")
        for name, counts in suites.items()
    ]
