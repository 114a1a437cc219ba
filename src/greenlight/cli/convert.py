"""greenlight convert: the same model in another format or type of numbers, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, verb
from greenlight.evidence import JSON


@verb(
    "convert",
    examples="greenlight convert smollm2 smollm2-q8.gguf --type Q8_0\n\ngreenlight convert smollm2 ./smollm2-hf\n\n"
    "greenlight convert ./mine mine.gguf --type Q4_K --calibrate notes.txt\n\n"
    "greenlight convert smollm2+./my-adapter merged.gguf",
)
def convert(
    ref: Ref,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="FILE.gguf, or a folder; not there yet.")],
    type_: Annotated[
        str | None, typer.Option("--type", "--to", metavar="TYPE", help="Of weights, such as Q8_0; without: as it is.")
    ] = None,
    format_: Annotated[
        Literal["gguf", "hf"] | None, typer.Option("--format", help="By default what TARGET's name says.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="Compare on this text, not on the packaged one.")
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Compare TARGET with its parent.")] = True,
    calibrate: Annotated[
        Path | None, typer.Option("--calibrate", metavar="FILE", help="Learn from this text which inputs matter.")
    ] = None,
    tokenizer: Annotated[bool, typer.Option("--tokenizer/--no-tokenizer", help="Whether TARGET gets one.")] = True,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """The same model in another format or type, compared with its parent; refused where it would be another model."""
    from greenlight.cli.view import TerminalView
    from greenlight.compose.converting import Wish
    from greenlight.compose.converting import convert as run
    from greenlight.compose.identity import Text
    from greenlight.model.types import type_named

    compared = Text.of_file(text) if text else Text.packaged()
    wish = Wish(
        type_=type_named(type_) if type_ else None,
        format_=format_,
        tokenizer=tokenizer,
        calibration=Text.of_file(calibrate) if calibrate else None,
        text=compared if report and tokenizer else None,
        ops=options.computing(ops, precision),
    )
    with TerminalView("convert", quiet=as_json) as view:
        value = run(ref, target, wish, pull=pull, observer=view)
    emit(value, as_json=as_json, text=lambda: _text(value, target))


def _text(value: Mapping[str, JSON], target: Path) -> str:
    source, made = value["source"], value["target"]
    types = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in value["types"].items())
    lines = [
        f"{target}  {made['bytes'] / 1e6:,.1f} MB, from {source['bytes'] / 1e6:,.1f} MB",
        f"  types            {types}",
    ]
    if value["measured"]:
        lines += _measured(value["measured"])
    lines += [
        f"  source           {source['sha256']}",
        *(f"  {part:<16} {source[part]['sha256']}" for part in source if part.startswith(("base", "adapter"))),
        f"  target           {made['sha256']}",
        f"  report           {value['id']}  {target}.identity.json",
        *(f"  note             {note}" for note in value["notes"]),
    ]
    return "\n".join(lines)


def _measured(found: Mapping[str, JSON]) -> list[str]:
    kl, top1, perplexity, text = found["kl"], found["top1"], found["perplexity"], found["text"]
    error = f" ± {kl['standard_error']:.2g}" if kl["standard_error"] is not None else ""
    lines = [
        f"  compared on      {found['positions']:,} positions of the text {text['name']!r}, with {found['ops']}",
        f"  KL divergence    {kl['mean']:.3g}{error} nats a token, 99.9th percentile {kl['p99.9']:.3g}",
        f"  same first       {top1['share']:.4f} [{top1['lower']:.4f}, {top1['upper']:.4f}]",
        f"  perplexity       {perplexity['parent']:.3f} before, {perplexity['child']:.3f} after",
    ]
    if first := found["first_difference"]:
        spelled = first["text"]
        lines.append(
            f"  first difference position {first['position']}: {spelled['parent']!r} became {spelled['child']!r}, "
            f"margin {first['margin']:.3g} nats"
        )
    else:
        lines.append("  first difference none")
    if calibration := found.get("calibration"):
        before = calibration["without"]
        lines.append(
            f"  uncalibrated     KL {before['kl']['mean']:.3g}, same first {before['top1']['share']:.4f} "
            f"(calibrated on {calibration['name']!r})"
        )
    return lines
