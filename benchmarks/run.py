"""Measure greenlight beside the tools a user would pick instead, in one run; what `make bench` does.

A whole run writes results.json and RESULTS.md beside this file. A run of some parts only prints, unless --out is given,
so that figures of different runs never stand in one table.

    python benchmarks/run.py [--only decode,prefill] [--rounds N] [--model REF] [--out FOLDER] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # As a script, this folder would come first, and its memory.py and others before packages of the same name.
    sys.path[0] = str(ROOT)

from benchmarks import machine, report  # noqa: E402
from benchmarks.figures import Figure, median, paired_ratio, status, void_because  # noqa: E402
from benchmarks.setting import Setting, SideFailedError  # noqa: E402

PARTS = ("decode", "prefill", "streams", "cold_start", "memory", "multiple_choice", "install", "long_context", "kinds")
PARTS += ("sizes", "shared_prefix", "generation", "review", "guesses", "precision")
FORMAT = "greenlight.benchmarks/1"


def main() -> None:
    arguments = _arguments()
    parts = arguments.only.split(",") if arguments.only else list(PARTS)
    with tempfile.TemporaryDirectory(prefix="greenlight-bench-") as temporary:
        work = Path(arguments.work or temporary).resolve()
        work.mkdir(parents=True, exist_ok=True)
        setting = _setting(arguments.model, work, arguments.rounds)
        run, figures = _measure(setting, parts)
    everything = [figure for part in figures.values() for figure in part]
    print("\n" + report.table(everything))
    for sentence in report.warnings(run, everything):
        print(f"not to be quoted: {sentence}")
    for figure in everything:
        if reason := void_because(figure):
            print(f"void: {figure.name}: {reason}")
        if figure.why_not:
            print(f"not run: {figure.name}: {figure.why_not}")
    out = Path(arguments.out) if arguments.out else None if arguments.only else Path(__file__).parent
    if out is not None:
        _write(out, run, figures)
        print(f"written: {out / 'results.json'}, {out / 'RESULTS.md'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of every part; each part has its own number otherwise")
    parser.add_argument("--model", default="smollm2", help="a GGUF model, by a name that is pulled or a path")
    parser.add_argument("--out", help="folder for results.json and RESULTS.md")
    parser.add_argument("--work", help="folder for derived files, kept; a temporary one otherwise")
    arguments = parser.parse_args()
    unknown = set((arguments.only or PARTS[0]).split(",")) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}; use 1 or more")
    return arguments


def _setting(ref: str, work: Path, rounds: int | None) -> Setting:
    from greenlight.compose.machine import cores
    from greenlight.errors import GreenlightError
    from greenlight.hub import resolve

    try:
        path = resolve(ref)
    except GreenlightError as error:
        raise SystemExit(f"error: {error}") from error
    if path.is_dir():
        raise SystemExit(f"error: {path} is a folder; the peers read GGUF files only")
    return Setting(ref=ref, path=path, work=work, threads=cores(), rounds=rounds)


def _measure(setting: Setting, parts: Sequence[str]) -> tuple[dict[str, Any], dict[str, list[Figure]]]:
    """Run the parts in order, printing as they finish."""
    run: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(),
        "model": {"ref": setting.ref, "file": setting.path.name, "size_bytes": setting.path.stat().st_size},
    }
    start, figures, others = time.perf_counter(), {}, {}
    for name in parts:
        part = importlib.import_module(f"benchmarks.{name}")
        print(f"{part.TITLE} ...", file=sys.stderr, flush=True)
        with machine.Bystanders() as bystanders:
            figures[name] = _part(part, setting)
        others[name] = bystanders.share
        print(report.table(figures[name]), file=sys.stderr, flush=True)
    run["others_share_of_cores"] = others
    run["most_cpu_left_in_pauses"] = machine.park.most_left
    run["seconds"] = time.perf_counter() - start
    return run, figures


def _part(part: Any, setting: Setting) -> list[Figure]:
    """A part's figures; where a side failed, one that says so, and the other parts go on."""
    try:
        figures: list[Figure] = part.measure(setting)
    except SideFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return [Figure(name=part.TITLE, unit="", ours=(), why_not=str(error).splitlines()[0])]
    return figures


def _write(folder: Path, run: dict[str, Any], figures: dict[str, list[Figure]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**run, "parts": {name: [_json(figure) for figure in part] for name, part in figures.items()}}
    (folder / "results.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    apart = Path(__file__).with_name("apart.md").read_text()
    (folder / "RESULTS.md").write_text(report.markdown(run, figures, apart))


def _json(figure: Figure) -> dict[str, Any]:
    """A figure with its rounds, and what was made of them."""
    return {
        **asdict(figure),
        "median_ours": median(figure.ours),
        "median_peer": median(figure.peer),
        "ratio": paired_ratio(figure),
        "void": void_because(figure),
        "status": status(figure),
    }


if __name__ == "__main__":
    main()
