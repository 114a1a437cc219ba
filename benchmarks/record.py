"""Where are figures kept? In results.json, a list of runs to which every run adds its parts; RESULTS.md is made of it.

Runs of other machines are added from their own results.json. Without any, RESULTS.md is only written anew, as it must
be after a change of its prose:

    python -m benchmarks.record [FILE...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, median, paired_ratio, status, void_because
from benchmarks.page import markdown
from benchmarks.runs import Run, standing

FORMAT = "greenlight.benchmarks/2"
HERE = Path(__file__).parent
PROSE = ("explained.md", "apart.md")
"""What people write of the figures: sections of RESULTS.md, as they are."""


def add(folder: Path, runs: Iterable[Run]) -> None:
    """Put runs among those of a folder's results.json, and write its RESULTS.md anew."""
    folder.mkdir(parents=True, exist_ok=True)
    text = dumps(standing([*read(folder / "results.json"), *runs]))
    _replace(folder / "results.json", text)
    _replace(folder / "RESULTS.md", markdown(loads(text), prose()))


def read(path: Path) -> list[Run]:
    """The runs of a results.json; none where there is no such file."""
    return loads(path.read_text()) if path.exists() else []


def loads(text: str) -> list[Run]:
    """The runs of a results.json.

    Raises:
        ValueError: it is of another format.
    """
    whole = json.loads(text)
    if whole.get("format") != FORMAT:
        raise ValueError(f"results.json is of format {whole.get('format')}, expected {FORMAT}; measure anew")
    return [_run(each) for each in whole["runs"]]


def dumps(runs: Sequence[Run]) -> str:
    """The text of a results.json."""
    return json.dumps({"format": FORMAT, "runs": [_json(run) for run in runs]}, indent=1, ensure_ascii=False) + "\n"


def prose() -> list[str]:
    """The sections that are written by hand."""
    return [(HERE / name).read_text() for name in PROSE]


def _run(stored: Mapping[str, Any]) -> Run:
    parts = {part: [_figure(each) for each in figures] for part, figures in stored["parts"].items()}
    return Run(**{**stored, "parts": parts})


def _figure(stored: Mapping[str, Any]) -> Figure:
    measured = {each.name: stored[each.name] for each in fields(Figure) if each.name in stored}
    return Figure(**{**measured, "ours": tuple(stored["ours"]), "peer": tuple(stored["peer"])})


def _json(run: Run) -> dict[str, Any]:
    parts = {part: [_judged(figure) for figure in figures] for part, figures in run.parts.items()}
    return {**{each.name: getattr(run, each.name) for each in fields(Run)}, "parts": parts}


def _judged(figure: Figure) -> dict[str, Any]:
    """A figure with its rounds and, for whoever reads the file without this code, what was made of them."""
    return {
        **asdict(figure),
        "median_ours": median(figure.ours),
        "median_peer": median(figure.peer),
        "ratio": paired_ratio(figure),
        "void": void_because(figure),
        "status": status(figure),
    }


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="results.json of other machines")
    files = parser.parse_args().files
    if missing := [str(path) for path in files if not path.is_file()]:
        parser.error(f"there is no {', '.join(missing)}")
    add(HERE, [run for path in files for run in read(path)])


if __name__ == "__main__":
    main()
