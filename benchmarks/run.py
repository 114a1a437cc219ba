"""Measure greenlight beside the tools a user would pick instead, in one run; what `make bench` does.

After each part its figures are put into results.json and RESULTS.md beside this file, in place of those of the same
part on the same machine (benchmarks/record.py); what other runs measured stays. A model other than the default one, or
a trial of few rounds, belongs elsewhere (--out) or nowhere (--print).

    python benchmarks/run.py [--only decode,prefill] [--rounds N] [--print | --out FOLDER] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # As a script, this folder would come first, and its memory.py and others before packages of the same name.
    sys.path[0] = str(ROOT)

from benchmarks import machine, record, report  # noqa: E402
from benchmarks.figures import Figure, void_because  # noqa: E402
from benchmarks.parts import PARTS  # noqa: E402
from benchmarks.runs import Run, run_id  # noqa: E402
from benchmarks.setting import Setting, SideFailedError  # noqa: E402

MODEL = "smollm2"


def main() -> None:
    arguments = _arguments()
    # A user's second start finds compiled modules, whatever this environment says, and so does the peers' first.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parts = arguments.only.split(",") if arguments.only else list(PARTS)
    folder = None if arguments.print else Path(arguments.out or record.HERE)
    with tempfile.TemporaryDirectory(prefix="greenlight-bench-") as temporary:
        work = Path(arguments.work or temporary).resolve()
        work.mkdir(parents=True, exist_ok=True)
        setting = _setting(arguments.model, work, arguments.rounds)
        begun = begin(setting, arguments.commit)
        run = measure(setting, begun, parts, lambda so_far: record.add(folder, [so_far]) if folder else None)
    everything = [figure for part in run.parts.values() for figure in part]
    print("\n" + report.table(everything))
    for sentence in report.warnings(run):
        print(f"not to be quoted: {sentence}")
    for figure in everything:
        if reason := void_because(figure):
            print(f"void: {figure.name}: {reason}")
        if figure.why_not:
            print(f"not run: {figure.name}: {figure.why_not}")
    if folder is not None:
        print(f"written: {folder / 'results.json'}, {folder / 'RESULTS.md'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of every part; each part has its own number otherwise")
    parser.add_argument("--model", default=MODEL, help="a GGUF model, by a name that is pulled or a path")
    parser.add_argument("--out", help="folder for results.json and RESULTS.md; this one otherwise")
    parser.add_argument("--print", action="store_true", help="write nothing")
    parser.add_argument("--commit", help="of the code, where this is a copy without git")
    parser.add_argument("--work", help="folder for derived files, kept; a temporary one otherwise")
    arguments = parser.parse_args()
    unknown = set((arguments.only or PARTS[0]).split(",")) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}; use 1 or more")
    if arguments.model != MODEL and not (arguments.out or arguments.print):
        parser.error(f"--model is not {MODEL}, whose figures stand here; add --print or --out FOLDER")
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


def measure(setting: Setting, run: Run, parts: Sequence[str], keep: Callable[[Run], object]) -> Run:
    """Run the parts in order; hand on what there is after each, so that a run that is killed keeps it.

    A part is kept whole or not at all: half of it must not take the place of one that was measured to its end.
    """
    start = time.perf_counter()
    for name in parts:
        part = importlib.import_module(f"benchmarks.{name}")
        print(f"{part.TITLE} ...", file=sys.stderr, flush=True)
        bystanders = machine.Bystanders()
        figures = list(_part(part, setting))
        print(report.table(figures), file=sys.stderr, flush=True)
        run = replace(
            run,
            seconds=time.perf_counter() - start,
            most_cpu_left_in_pauses=machine.park.most_left,
            others_share_of_cores={**run.others_share_of_cores, name: bystanders.share()},
            parts={**run.parts, name: figures},
        )
        keep(run)
    return run


def begin(setting: Setting, commit: str | None = None) -> Run:
    """A run of no parts yet."""
    date, facts = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}", machine.facts()
    model = {"ref": setting.ref, "file": setting.path.name, "size_bytes": setting.path.stat().st_size}
    code = machine.code()
    commit, dirty = code["commit"] or commit, code["dirty"]
    return Run(id=run_id(date, facts), date=date, machine=facts, commit=commit, dirty=dirty, model=model)


def _part(part: Any, setting: Setting) -> Iterator[Figure]:
    """A part's figures; where a side failed, those before it and one that says so, and the other parts go on."""
    try:
        yield from part.measure(setting)
    except SideFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        yield Figure(name=part.TITLE, unit="", ours=(), why_not=str(error).splitlines()[0])


if __name__ == "__main__":
    main()
