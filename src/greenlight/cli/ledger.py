"""greenlight ledger, delay, reopen: what was locked, decided and promised about a release; what is due again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, emit, verb

if TYPE_CHECKING:
    from greenlight.release.ledger import Due, Entry, Ledger

File = Annotated[Path, typer.Argument(metavar="LEDGER", help="The ledger's file.")]


@verb(
    "ledger",
    examples="greenlight ledger release.jsonl\n\ngreenlight ledger release.jsonl --due --run reviews/smollm2-7f3a09c1",
)
def ledger(
    path: File,
    due: Annotated[bool, typer.Option("--due", help="Show which decisions are due again, and why.")] = False,
    run: Annotated[str | None, typer.Option(help="With --due: the run decided last, for its policy.")] = None,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="With --due: on this day; today by default.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="With --run: the policy as it is kept today; what it asks anew reopens.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="A head that was kept earlier: it must be in there.")] = None,
    note: Annotated[str | None, typer.Option(help="Enter a note.")] = None,
    timestamp: Annotated[Path | None, typer.Option(help="With --note: a signed timestamp over the head.")] = None,
    commit: Annotated[str | None, typer.Option(help="With --note: a public commit of the ledger so far.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a ledger, each entry checked against the one before; or what is due again."""
    from greenlight.compose.entering import due_again, enter_note
    from greenlight.release.ledger import read_ledger

    if note is not None:
        enter_note(path, note, _outside(timestamp, commit))
    if due:
        found, reasons = due_again(path, run=run, policy=policy, on=on)
        emit([reason._asdict() for reason in reasons], as_json=as_json, text=lambda: _due(found, reasons))
        return
    found = read_ledger(path)
    _must_hold(found, head)
    emit(
        {
            "model": found.model,
            "created": found.created,
            "head": found.head,
            "torn_bytes": found.torn_bytes,
            "entries": [asdict(entry) for entry in found.entries],
        },
        as_json=as_json,
        text=lambda: _text(found),
    )


@verb(
    "delay",
    examples="greenlight delay release.jsonl --event planned --date 2026-03-01 --release-of smollm2\n\n"
    'greenlight delay release.jsonl --event slipped --date 2026-03-15 --category "safety & alignment"',
)
def delay(
    path: File,
    event: Annotated[str, typer.Option(help="planned, slipped or released.")],
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD or YYYY-MM; left out where none is set.")] = None,
    words: Annotated[str, typer.Option(help="The date in words, as it was said: early summer.")] = "",
    category: Annotated[
        str | None,
        typer.Option(help="What it slips for: safety & alignment, competitive, technical, or outside the policy."),
    ] = None,
    reason: Annotated[str, typer.Option(help="The reason as it is given.")] = "",
    source: Annotated[str, typer.Option(help="Where it was said.")] = "",
    on: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="When it was said; today by default.")] = None,
    release_of: options.ReleaseOf = None,
    as_json: AsJson = False,
) -> None:
    """Enter a release date that is planned, slips, or is kept."""
    from greenlight.compose.entering import enter_delay
    from greenlight.evidence import now

    said = {"event": event, "on": on or now()[:10], "date": date, "words": words}
    entry = enter_delay(path, {**said, "category": category, "reason": reason, "source": source}, release_of=release_of)
    emit(asdict(entry), as_json=as_json, text=lambda: _line(entry))


@verb("reopen", examples='greenlight reopen release.jsonl --because "a reference is replaced"')
def reopen(
    path: File,
    because: Annotated[str, typer.Option(help="What happened: the event that the policy names.")],
    lock: Annotated[str | None, typer.Option(help="Beginning of a lock's id; the last decision by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Enter that a past decision is due again."""
    from greenlight.compose.entering import enter_reopening

    entry = enter_reopening(path, because, lock)
    emit(asdict(entry), as_json=as_json, text=lambda: _line(entry))


def _outside(timestamp: Path | None, commit: str | None) -> dict[str, object] | None:
    from greenlight.errors import UsageError
    from greenlight.release.ledger.standing import commit_of, outside_of

    if timestamp is not None and commit is not None:
        raise UsageError("a note carries one word from outside", do="enter two notes")
    if timestamp is not None:
        return outside_of(timestamp, "a signed timestamp")
    return None if commit is None else commit_of(commit)


def _must_hold(found: Ledger, head: str | None) -> None:
    from greenlight.errors import EvidenceError

    if head is not None and not (len(head) >= 8 and any(e.sha256.startswith(head) for e in found.entries)):
        raise EvidenceError(
            "the ledger does not hold the head that was kept",
            where=str(found.path),
            found=f"{head[:16]} is the digest of none of {len(found.entries)} entries",
            do="entries after an earlier one were taken away or written anew: ask for the original",
        )


def _text(found: Ledger) -> str:
    lines = [f"ledger of {found.model}, begun {found.created}, {len(found.entries)} entries, {found.exams()} attempts"]
    lines += [_line(entry) for entry in found.entries]
    if found.torn_bytes:
        lines.append(f"  a last line was cut short ({found.torn_bytes} bytes) and never counted as entered")
    return "\n".join([*lines, f"head    {found.head}", "time: the author's word, unless a note from outside says more"])


def _line(entry: Entry) -> str:
    return f"  {entry.index:>4}  {entry.time}  {entry.kind:<10} {_said(entry)}"


def _said(entry: Entry) -> str:
    from greenlight.cli.view import VERDICTS
    from greenlight.release.ledger import attempt_words

    body = entry.body
    match entry.kind:
        case "lock":
            return f"{body['lock'][:8]} {body['model']['name']} under {body['policy']['name']}, {attempt_words(entry)}"
        case "decision":
            other = body["other"]
            beside = "" if other is None else f"; under {other['name']} afterwards: {VERDICTS[other['verdict']]}"
            waived = f"; waived: {', '.join(body['waived'])}" if body["waived"] else ""
            return f"{body['lock'][:8]} {VERDICTS[body['verdict']]}, {attempt_words(entry)}{waived}{beside}"
        case "delay":
            when = body["words"] or body["date"] or "no date"
            why = f": {body['category']}" if body["category"] else ""
            return f"{body['event']} {when}{why}" + (f" ({body['reason']})" if body["reason"] else "")
        case "waiver":
            return f"{body['lock'][:8]} {body['row']}, {body['who']} until {body['until']}: {body['why']}"
        case "reopening":
            return f"{body['lock'][:8]} {body['because']}"
    outside = body["outside"]
    claimed = "" if outside is None else f" (claimed: {outside['what']} {outside['id'] or outside['path']})"
    return f"{body['text']}{claimed}"


def _due(found: Ledger, reasons: list[Due]) -> str:
    if not reasons:
        return f"nothing of {found.model} is due again"
    return "\n".join(f"due since {reason.since}  {reason.lock[:8]}  {reason.why}" for reason in reasons)
