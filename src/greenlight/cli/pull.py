"""greenlight pull, list, rm: what is in the cache, and how it gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenlight.cli.app import AsJson, Ref, emit, verb


@verb(
    "pull",
    examples="greenlight pull smollm2\n\ngreenlight pull hf:owner/name:Q4_K_M\n\n"
    "greenlight pull hf:owner/name@main#model.Q4_0.gguf\n\ngreenlight pull data:xstest",
)
def pull(
    ref: Ref,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take a local copy; its digest is checked.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use what is in the cache, and ask nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a model or a data set (data:NAME), check its digest, keep it in the cache."""
    from greenlight import hub
    from greenlight.cli.view import TerminalView

    if ref.startswith(hub.DATA_PREFIX):
        _pull_data(ref, source, as_json=as_json)
        return
    with TerminalView("pull", quiet=as_json) as view:
        parsed = hub.parse_reference(ref)
        path = hub.pull(parsed, source_file=source, progress=view.pulling, offline=offline, notice=view.note)
    revision = hub.revision(parsed)
    emit(
        {"reference": ref, "path": str(path), "revision": revision},
        as_json=as_json,
        text=lambda: f"{ref}  {path}{f'  (commit {revision})' if revision else ''}",
    )


def _pull_data(ref: str, source: Path | None, *, as_json: bool) -> None:
    from greenlight import hub
    from greenlight.cli.view import TerminalView
    from greenlight.errors import UsageError

    if source is not None:
        raise UsageError("--from is for models", do="let GREENLIGHT_DATA name the folder that holds your copy")
    with TerminalView("pull", quiet=as_json) as view:
        pulled = hub.pull_data(ref, progress=view.pulling)
    lines = [f"{pulled.name}  {pulled.folder}{'  (your own copy, left as it is)' if pulled.own else ''}"]
    lines += [f"licence  {pulled.licence}", *(f"{digest[:16]}  {file}" for file, digest in pulled.sha256.items())]
    emit({**pulled._asdict(), "folder": str(pulled.folder)}, as_json=as_json, text=lambda: "\n".join(lines))


@verb("list", examples="greenlight list --json")
def list_(as_json: AsJson = False) -> None:
    """What the catalog names, and what is in the cache."""
    from greenlight.compose.models import list_models

    entries = list_models()
    emit(entries, as_json=as_json, text=lambda: "\n".join(_line(entry) for entry in entries))


@verb("rm", examples="greenlight rm smollm2")
def remove(ref: Ref, as_json: AsJson = False) -> None:
    """Remove a model from the cache."""
    from greenlight import hub

    freed = hub.remove(hub.parse_reference(ref))
    emit(
        {"reference": ref, "freed_bytes": freed},
        as_json=as_json,
        text=lambda: f"removed {ref}, {freed / 1e6:,.0f} MB freed",
    )


def _line(entry: dict[str, object]) -> str:
    size = entry["size_bytes"]
    megabytes = f"{size / 1e6:,.0f} MB" if isinstance(size, int | float) else ""
    state = "in the cache" if entry["cached"] else "not pulled"
    return f"{entry['reference']!s:<32} {megabytes:>10}  {state:<13} {entry['title'] or ''}".rstrip()
