"""greenlight diff: what is different between two bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli.app import AsJson, emit, verb

if TYPE_CHECKING:
    from greenlight.release.diff import Change, Comparison


@verb("diff", examples="greenlight diff reviews/smollm2-7f3a09c1 reviews/smollm2-82b6e4d0")
def diff(
    left: Annotated[str, typer.Argument(metavar="A", help="A decided run folder.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """What is different between two decided runs, the weightiest first: exit 0 the same, 1 different."""
    from greenlight.release.diff import compare

    found = compare(Path(left), Path(right))
    emit(found.to_json(), as_json=as_json, text=lambda: _text(found))
    if not found.same:
        raise typer.Exit(1)


def _text(found: Comparison) -> str:
    lines = ["SAME" if found.same else "DIFFERENT", f"  {'same lock' if found.same_lock else 'not the same lock'}"]
    lines += [_line(change) for change in found.changes]
    lines += [_line(change) for change in found.circumstances]
    return "\n".join(lines)


def _line(change: Change) -> str:
    sides = f"{change.left or 'nothing'} → {change.right or 'nothing'}"
    return f"  {change.kind:<13} {change.what}: {sides}"
