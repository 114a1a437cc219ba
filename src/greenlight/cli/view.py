"""What does a review look like in a terminal? Rows appear as they are decided; progress goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenlight.cli.commands import Given, next_command, words
from greenlight.compose.observer import Observer
from greenlight.evidence import JSON

if TYPE_CHECKING:
    from greenlight.gate.plan import Plan

VERDICTS = {"go": "GO", "go_with_conditions": "GO WITH CONDITIONS", "hold": "HOLD", "no_go": "NO-GO"}

BYTES = {"peak_memory_bytes", "size_bytes"}


def number(metric: str, value: float | None) -> str:
    """A figure as a reader wants it: rates to two places, bytes in megabytes."""
    if value is None:
        return "–"
    if metric in BYTES:
        return f"{value / 1e6:,.0f} MB"
    if metric.endswith("_tok_s"):
        return f"{value:,.0f} tok/s"
    if metric.endswith("_s"):
        return f"{value:.3f} s"
    return f"{value:.2f}"


def row_line(row: Mapping[str, JSON], wall_s: float | None = None) -> str:
    """One row: what was measured, its interval, the limit it is held against, the status, and how much it took."""
    metric = row["metric"]
    figure = f"{metric.replace('_', ' ')} {number(metric, row['value'])}"
    if row["lower"] is not None and row["upper"] is not None:
        figure += f" [{number(metric, row['lower'])}, {number(metric, row['upper'])}]"
    if row["limit"] is not None:
        figure += f" limit {'≤' if row['direction'] == 'max' else '≥'} {number(metric, row['limit'])}"
    # The row's own name is assessment.metric, and @reference or ~judge where it has one.
    beside = row["row"].removeprefix(f"{row['assess']}.{metric}")
    name = f"{row['assess']}{beside}"
    return f"  {name:<22} {figure:<58} {row['status']:<13} {_amount(row, wall_s)}".rstrip()


def _amount(row: Mapping[str, JSON], wall_s: float | None) -> str:
    if not row["n_planned"]:
        return ""
    used, planned = row["n_used"], row["n_planned"]
    text = f"{used:,} of {planned:,} items" if used != planned else f"{planned:,} items"
    if wall_s is not None:
        text += f", {'certain after ' if row['status'] in {'FAIL', 'PASS'} and used < planned else ''}{wall_s:.0f} s"
    labels = row.get("labels")
    if labels and labels["needed"] is not None and row["status"] == "INCONCLUSIVE":
        text += f"; needs {labels['needed'] - labels['have']} labels by a person"
    return text


def verdict_text(decision: Mapping[str, JSON], folder: Path | str, given: Given | None = None) -> str:
    """The verdict, the rows that decided it, what would change it, and where everything lies.

    Args:
        decision: what decision.json holds.
        folder: the run.
        given: what the user named: the next commands name it, too.
    """
    named = given or Given()
    by_row = {row["row"]: row for row in decision["rows"]}
    lines = ["", f"{VERDICTS[decision['verdict']]}  {decision['sentence']}"]
    deciding = [*decision["explanation"]["holds"], *decision["explanation"]["open"]]
    for position, name in enumerate(dict.fromkeys(deciding), start=1):
        row = by_row[name]
        lines.append(f"  {position}  {name:<32} {row['status']}: {row['reason']}")
        if row["change"]:
            lines.append(f"     {'changes if':<12} {row['change']}")
        if row["next"]:
            lines.append(f"     {'next':<12} {next_command(row['next'], decision, folder, named)}")
    lines += [f"  condition: {condition}" for condition in decision["conditions"]]
    lines += [
        f"  waiver: {waiver['row']}, {waiver['who']}, until {waiver['until']}: {waiver['effect']}"
        for waiver in decision.get("waivers", ())
    ]
    if "attempt" in decision:
        lines.append(f"  {decision['attempt']['text']} · time: the author's word")
    if "other" in decision:
        other = decision["other"]
        lines.append(f"  {other['note']}: {VERDICTS[other['verdict']]} under {other['policy']['name']}")
    lines += [
        "",
        f"report  {Path(folder) / 'report.html'}",
        f"verify  {words('greenlight', 'verify', folder, *named.book[:2])}",
    ]
    return "\n".join(lines)


class TerminalView(Observer):
    """Draws long work: a bar on stderr where that is a terminal, plain lines where it is not."""

    def __init__(self, title: str, *, quiet: bool = False, given: Given | None = None) -> None:
        self._title, self._quiet, self._given = title, quiet, given
        self._bar: Any = None
        self._task: Any = None
        self._pulled = 0.0

    def __enter__(self) -> TerminalView:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def pulling(self, done_bytes: int, total_bytes: int | None) -> None:
        """A download bar; where stderr is no terminal, a line every few seconds."""
        self._show("download", done_bytes, total_bytes, unit="MB", scale=1e6)

    def writing(self, done_bytes: int, total_bytes: int) -> None:
        """A bar of bytes written."""
        self._show("write", done_bytes, total_bytes, unit="MB", scale=1e6)

    def measuring(self, n_done: int, n_tokens: int) -> None:
        """A bar of tokens measured."""
        self._show("measure", n_done, n_tokens, unit="tokens", scale=1)

    def beginning_anew(self, target: Path, n_bytes: int) -> None:
        """Say what became of an earlier attempt."""
        self.note(f"an earlier attempt at {target} was broken off; its {n_bytes / 1e6:,.1f} MB are written anew")

    def going_on(self, target: Path) -> None:
        """Say what is not done again."""
        self.note(f"{target} was written whole by an earlier attempt; it is compared now")

    def slow(self, reason: str) -> None:
        """Say once that numpy runs, and why."""
        self.note(f"running on numpy, many times slower: {reason}")

    def note(self, text: str) -> None:
        """Say what is no error and still should be known."""
        self._close()
        print(f"note: {text}", file=sys.stderr)

    def waiting(self, text: str) -> None:
        """Say what an endpoint is waited for: its silence looks like ours."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def planned(self, plan: Plan) -> None:
        """Say what is coming before it starts."""
        from greenlight.cli.tables import p_go_words

        facts = plan.to_json()
        minutes = f", about {facts['minutes']:.0f} min" if facts.get("minutes") else ""
        self._print(
            f"  plan        {len(facts['rows'])} rows, up to {facts['items']:,} items{minutes} · {p_go_words(facts)}"
        )

    def unmeasured(self, rows: Sequence[str]) -> None:
        """Say it before anything is asked."""
        shown = ", ".join(rows[:6]) + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")
        self._print(f"  not here    {shown}: cannot be measured of this model, and stays NOT RUN")

    def locked(self, lock: Mapping[str, JSON], folder: Path) -> None:
        """The headline: which policy, fixed before the first sample."""
        self._print(
            f"{self._title}    policy {lock['policy']['name']} · locked {lock['id'][:8]} before the first sample · "
            f"{lock['kind']}"
        )
        print(f"evidence goes to {folder}", file=sys.stderr)

    def suite_started(self, suite: str, n_items: int, n_done: int) -> None:
        """Open a bar for the suite."""
        self._close()
        if n_done:
            print(f"  {suite}: {n_done} answers of an earlier run are kept", file=sys.stderr)

    def progress(self, suite: str, n_done: int, n_items: int) -> None:
        """Move the suite's bar."""
        self._show(suite, n_done, n_items, unit="items", scale=1)

    def suite_ended(self, suite: str, rows: Sequence[Mapping[str, JSON]], wall_s: float) -> None:
        """Print the suite's rows as decided."""
        self._close()
        for row in rows:
            self._print(row_line(row, wall_s))

    def decided(self, decision: Mapping[str, JSON], folder: Path) -> None:
        """Print the verdict."""
        self._close()
        self._print(verdict_text(decision, folder, self._given))

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)

    def _show(self, what: str, done: float, total: float | None, *, unit: str, scale: float) -> None:
        if sys.stderr.isatty():
            self._draw(what, done, total)
        elif time.monotonic() - self._pulled > 10:
            self._pulled = time.monotonic()
            of = f" of {total / scale:,.0f}" if total else ""
            print(f"  {what}: {done / scale:,.0f}{of} {unit}", file=sys.stderr)

    def _draw(self, what: str, done: float, total: float | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("  {task.description:<12}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(what, total=total)
        self._bar.update(self._task, completed=done, total=total, description=what)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
