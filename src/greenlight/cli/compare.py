"""greenlight compare, drift: which of several models did better on the same items, where, and how surely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, emit, verb

if TYPE_CHECKING:
    from greenlight.release.comparing import RunComparison
    from greenlight.release.comparing.flips import Flip, SuiteFlips
    from greenlight.release.comparing.rows import PairedRow
    from greenlight.release.comparing.standing import Standing

FLIPS = 5
"""Flips that a suite shows unless asked for more."""

_WIDTH = 160
"""Characters of a prompt or an answer that are shown."""

Across = Annotated[bool, typer.Option("--across", help="Compare runs although their settings differ, and say so.")]
Flips = Annotated[int, typer.Option(min=0, help="Flipped answers to show of each suite; --json has all.")]
Out = Annotated[Path | None, typer.Option(help="Where the models' run folders go; ./compare by default.")]
Only = Annotated[str | None, typer.Option(help="Names of assessments, separated by commas; for models.")]
PolicyName = Annotated[
    str | None, typer.Option("--policy", help="Whose rows are compared: a shipped policy or a TOML file.")
]


@verb(
    "compare",
    examples="greenlight compare runs/base-1a2b3c4d runs/tuned-5e6f7a8b\n\n"
    "greenlight compare smollm2 ./tuned.gguf --minutes 4",
)
def compare(
    names: Annotated[list[str], typer.Argument(metavar="A B…", help="Run folders, or models; the first is the base.")],
    policy: PolicyName = None,
    across: Across = False,
    flips: Flips = FLIPS,
    only: Only = None,
    minutes: options.Minutes = None,
    out: Out = None,
    system: options.System = None,
    temperature: options.Temperature = 0.0,
    include_harmful: options.IncludeHarmful = False,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Runs or models on the same items: paired differences with bounds, flips, and each one's verdict."""
    from greenlight import compose
    from greenlight.cli.view import TerminalView

    settings = options.settings(system, temperature, 0, 1.0, 0.0, 1.0)
    with TerminalView("greenlight compare", quiet=True) as view:
        found = compose.compare_references(
            names,
            policy=policy,
            across=across,
            include_harmful=include_harmful,
            settings=settings,
            only=only.split(",") if only else None,
            minutes=minutes,
            out=out,
            ops=options.computing(ops, precision),
            pull=pull,
            observer=view,
        )
    emit(found.to_json(), as_json=as_json, text=lambda: "\n".join(_lines(found, flips, drift=False)))


@verb(
    "drift",
    examples="greenlight drift smollm2 ./tuned.gguf --minutes 4\n\ngreenlight drift runs/parent runs/derived --check",
)
def drift(
    parent: Annotated[str, typer.Argument(metavar="PARENT", help="A run folder or a model.")],
    derived: Annotated[str, typer.Argument(metavar="DERIVED", help="What was tuned or converted from it.")],
    policy: PolicyName = None,
    flips: Flips = FLIPS,
    only: Only = None,
    minutes: options.Minutes = None,
    out: Out = None,
    include_harmful: options.IncludeHarmful = False,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 10 where a regression is shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a derived model lost against its parent: regressions first, then the rest of the comparison."""
    from greenlight import compose
    from greenlight.cli.view import TerminalView

    with TerminalView("greenlight drift", quiet=True) as view:
        found = compose.compare_references(
            [parent, derived],
            policy=policy,
            include_harmful=include_harmful,
            only=only.split(",") if only else None,
            minutes=minutes,
            out=out,
            ops=options.computing(ops, precision),
            pull=pull,
            observer=view,
        )
    emit(found.to_json(), as_json=as_json, text=lambda: "\n".join(_lines(found, flips, drift=True)))
    if check and found.regressions:
        raise typer.Exit(10)


def _lines(found: RunComparison, flips: int, *, drift: bool) -> Iterator[str]:
    first, *others = found.standings
    yield f"{first.name} beside {', '.join(other.name for other in others)} · policy {found.policy}"
    yield from (f"  settings differ: {words}" for words in found.settings)
    yield from _regressions(found, drift=drift)
    rows = found.rows
    if drift:
        rows = tuple(sorted(rows, key=lambda row: (row.holm_worse is None, row.holm_worse or 0.0)))
    yield from _table(found, rows)
    yield from _standings(found)
    for suite in found.flips:
        yield from _suite(suite, flips)
    yield from _missing(found)
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in found.unpaired:
        reasons.setdefault((row.second, row.reason), []).append(row.row)
    for (second, reason), rows_ in reasons.items():
        yield f"  not paired with {second}, {reason}: {', '.join(rows_)}"


def _missing(found: RunComparison) -> Iterator[str]:
    first = found.standings[0].name
    for second, missing in found.missing:
        if missing.only_first or missing.only_second:
            told = [f"{first} alone {_some(missing.only_first)}", f"{second} alone {_some(missing.only_second)}"]
            yield f"  missing in {missing.suite}: {', '.join(told)}, neither {missing.neither:,}"
        elif missing.neither == missing.n:
            yield f"  {missing.suite}: asked of neither {first} nor {second}"
        else:
            yield f"  missing in {missing.suite}: {missing.neither:,} in both"


def _regressions(found: RunComparison, *, drift: bool) -> Iterator[str]:
    if found.regressions:
        yield f"WORSE  shown after Holm over {_tested(found)} comparisons, alpha {found.alpha:g}"
        for row in found.regressions:
            yield f"  {row.second}  {row.row}: {row.difference:+.3f} [{row.lower:+.3f}, {row.upper:+.3f}]"
    elif drift:
        yield f"no regression shown (Holm over {_tested(found)} comparisons, alpha {found.alpha:g}); what may be lost:"
        for row in sorted(found.rows, key=lambda row: -(row.loss_upper or 0.0))[:3]:
            if row.loss_upper is not None:
                yield f"  {row.row}: worse by at most {row.loss_upper:.3f}"


def _tested(found: RunComparison) -> int:
    return sum(row.p_worse is not None for row in found.rows)


def _table(found: RunComparison, rows: Sequence[PairedRow]) -> Iterator[str]:
    bounds = f"bounds each at {found.alpha:g}"
    yield f"\n  {'row':<32}{'base':>7}{'other':>7}  {'difference':<26}{'worse/better':<14}{'McNemar':<9}{bounds}"
    for row in rows:
        difference = f"{row.difference:+.3f} [{row.lower:+.3f}, {row.upper:+.3f}]"
        split = "" if row.direction == "zero" else f"{row.worse_items}/{row.better_items}"
        p = "" if row.mcnemar_p is None else f"{row.mcnemar_p:.3g}"
        notes = [row.outcome, f"n {row.n:,}" + ("" if row.n == row.n_planned else f" of {row.n_planned:,}")]
        notes += ["as the judge reads it"] if row.judged else []
        name = row.row if len(found.standings) == 2 else f"{row.row} {row.second}"
        yield (
            f"  {name:<32}{row.first_value:>7.3f}{row.second_value:>7.3f}  {difference:<26}{split:<14}{p:<9}"
            f"{'; '.join(notes)}"
        )


def _standings(found: RunComparison) -> Iterator[str]:
    from greenlight.cli.view import VERDICTS, number

    yield f"\n  under {found.policy}: " + ", ".join(
        f"{standing.name} {VERDICTS[standing.verdict]}"
        + (f" ({standing.kind}: never a GO)" if standing.kind in ("exploratory", "imported") else "")
        for standing in found.standings
    )
    for standing in found.standings:
        yield from _waived(standing)
    for rows in zip(*(standing.rows for standing in found.standings), strict=True):
        if any(row["value"] is not None for row in rows) or rows[0]["level"] != "disclose":
            cells = (f"{row['status'].lower():<13} {number(row['metric'], row['value']):<10}" for row in rows)
            yield f"  {rows[0]['level']:<9}{rows[0]['row']:<32}{'  '.join(cells)}".rstrip()
    yield from (f"  better for this policy: {one.sentence}" for one in found.ahead)


def _waived(standing: Standing) -> Iterator[str]:
    """Which rows of a run stand waived: here they count as measured."""
    from greenlight.cli.view import VERDICTS

    for waived in standing.waived:
        yield f"  waived in {standing.name}: {waived.row}, {waived.who} until {waived.until}, {waived.was} as measured"
    if standing.verdict_waived is not None:
        decided = VERDICTS[standing.verdict_waived]
        yield f"  {standing.name} is {decided} with what is waived there; here every row counts as measured"


def _suite(suite: SuiteFlips, shown: int) -> Iterator[str]:
    if not suite.n:
        return
    yield f"\n  {suite.suite}: {len(suite.flips):,} of {suite.n:,} graded otherwise by {suite.second}" + (
        f", {suite.reworded:,} more in other words" if suite.reworded else ""
    )
    for flip in suite.flips[:shown]:
        yield from _flip(flip)
    if len(suite.flips) > shown:
        yield f"    and {len(suite.flips) - shown:,} more: --flips N, or --json"


def _flip(flip: Flip) -> Iterator[str]:
    asked = _short(flip.prompt) if flip.prompt is not None else f"(withheld, prompt {flip.prompt_sha256[:12]})"
    yield f"    {flip.item}  {asked}"
    for mark, said in (("-", flip.first), ("+", flip.second)):
        text = _short(said.text) if said.text is not None else f"(withheld, answer {said.sha256[:12]})"
        yield f"      {mark} {said.label:<16} {text}"


def _short(text: str) -> str:
    from greenlight.release.text import excerpt, visible

    shown = excerpt(" ".join(visible(text).split()), _WIDTH)
    return shown.text + ("…" if shown.left_out else "")


def _some(items: Sequence[str]) -> str:
    return f"{len(items):,}" + (f" ({', '.join(items[:3])}{'…' if len(items) > 3 else ''})" if items else "")
