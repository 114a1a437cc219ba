"""greenlight inspect: what a model is, and whether it fits here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Ref, emit, note, verb
from greenlight.cli.drawing import block_lines
from greenlight.errors import UsageError


@verb(
    "inspect",
    examples="greenlight inspect smollm2 --context 4096\n\ngreenlight inspect smollm2 --measure --sequences 4",
)
def inspect(
    ref: Ref,
    context: Annotated[int | None, typer.Option(min=1, help="Positions per sequence for the memory plan.")] = None,
    sequences: Annotated[int, typer.Option(min=1, help="Sequences held at once.")] = 1,
    measure: Annotated[
        bool, typer.Option("--measure", help="Load it, answer, and hold what that took against the plan.")
    ] = False,
    text: Annotated[str | None, typer.Option(help="Show how the model reads this text, token by token.")] = None,
    top: Annotated[int, typer.Option(min=1, max=20, help="Alternatives at each token of --text.")] = 5,
    html: Annotated[Path | None, typer.Option(help="Write the reading of --text, layer by layer, as a page.")] = None,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    as_json: AsJson = False,
) -> None:
    """What a model is: family, sizes, parts, tokenizer, template rendered, licence, provenance, memory plan.

    With --measure a process of its own loads the model and fills --context positions (2,048 if none are named).

    With --text: each token's probability under the model, what else was likely, and what each layer would have said.
    """
    if text is not None:
        _read(ref, text, top, html, options.computing(ops, precision), as_json=as_json)
        return
    if html is not None:
        raise UsageError("--html is the picture of a text", do="add --text")
    from greenlight.compose.inspection import inspect as look

    facts = look(ref, context=context, sequences=sequences, measure=measure, ops=options.computing(ops, precision))
    emit(facts, as_json=as_json, text=lambda: _text(facts))


def _read(ref: str, text: str, top: int, html: Path | None, ops: str | None, *, as_json: bool) -> None:
    from greenlight.cli.lens import page_of, text_of
    from greenlight.compose.lens import read

    reading = read(ref, text, top=top, ops=ops)
    emit(reading, as_json=as_json, text=lambda: text_of(reading))
    if html is not None:
        try:
            html.write_text(page_of(reading), encoding="utf-8")
        except OSError as error:
            raise UsageError("the page cannot be written", where=str(html), found=error.strerror) from error
        note(f"written: {html}")


def _text(facts: dict[str, Any]) -> str:
    config, memory, tokenizer = facts["config"], facts["memory"], facts["tokenizer"]
    lines = [
        f"{facts['reference']}  {facts['family']} · {facts['n_parameters']:,} parameters · {_mb(facts['size_bytes'])} "
        f"({facts['format']})",
        f"  licence     {facts['licence'] or 'not stated in the file'}",
        f"  sizes       {config['n_layers']} layers, dim {config['dim']}, {config['n_heads']} heads over "
        f"{config['n_kv_heads']} kv heads of {config['head_dim']}, feed-forward {config['ffn_dim']}, "
        f"vocabulary {config['vocab_size']:,}, context {config['max_seq_len']:,}",
        f"  tokenizer   {tokenizer['vocab_size']:,} tokens, {tokenizer['special_tokens']} special, "
        f"begins with {tokenizer['bos_id']}, ends at {tokenizer['eos_ids']}",
        *block_lines(config),
        "  parts",
    ]
    for part in facts["parts"]:
        types = ", ".join(part["types"])
        lines.append(
            f"    {part['name']:<14} {part['n_parameters']:>14,} parameters {_mb(part['n_bytes']):>10}  {types}"
        )
    if facts["n_active_parameters"] != facts["n_parameters"]:
        share = facts["n_active_parameters"] / facts["n_parameters"]
        lines.append(
            f"    {'active':<14} {facts['n_active_parameters']:>14,} parameters used by each token ({share:.0%} of all)"
        )
    lines.append(f"  bytes by type {', '.join(f'{name} {_mb(size)}' for name, size in facts['types'].items())}")
    lines += _computed(facts["computed"])
    lines += [f"  {name:<28} {_one_line(value)}" for name, value in facts["provenance"].items()]
    lines += [f"  left out    {part} left out: only text is read and written" for part in facts["left_out"]]
    if facts["unread"]:
        lines.append(f"  not read    fields that no part of the computation reads: {', '.join(facts['unread'])}")
    lines += [
        "  template rendered",
        *(f"    {line}" for line in (facts["template"] or {}).get("rendered", "none").splitlines()),
    ]
    lines += _memory(memory)
    lines += [f"  sha256      {digest}  {name}" for name, digest in facts["files"].items()]
    return "\n".join(lines)


def _computed(computed: dict[str, Any]) -> list[str]:
    """How each type of weight is computed with, types of one way together."""
    ways: dict[str, list[str]] = {}
    for name, way in computed["types"].items():
        ways.setdefault(way, []).append(name)
    return [f"  computed    {', '.join(names)}: {way} ({computed['ops']})" for way, names in ways.items()]


def _memory(memory: dict[str, Any]) -> list[str]:
    fits = {None: "free memory is not known here", True: "fits", False: "does not fit"}[memory["fits"]]
    free = f" of {_mb(memory['free_bytes'])} free" if memory["free_bytes"] is not None else ""
    lines = [
        f"  memory for {memory['sequences']} × {memory['context']:,} positions: "
        f"{_mb(memory['total_bytes'])}{free}: {fits}",
        f"    weights {_mb(memory['weights_bytes'])} · keys and values {_mb(memory['kv_bytes'])} "
        f"({memory['kv_bytes_per_position']:,} bytes a position) · activations {_mb(memory['activations_bytes'])}",
    ]
    if len(memory["kv_layers"]) > 1:
        lines += [f"    {_kv_layer(kind)}" for kind in memory["kv_layers"]]
    lines.append(f"    at most {_mb(memory['load_peak_bytes'])} while it is loaded")
    lines += _measured(memory["measured"]) if memory["measured"] else []
    if memory["fits"] is False:
        largest = max(("weights", "kv"), key=lambda name: memory[f"{name}_bytes"])
        lines.append(
            "    do: take a model with fewer bytes per weight"
            if largest == "weights"
            else "    do: lower --context or --sequences"
        )
    return lines


def _measured(found: dict[str, Any]) -> list[str]:
    """The plan's parts beside what they took."""
    tolerance = found["tolerance"]
    lines = [f"  measured with {found['ops']}, {found['sequences']} × {found['context']:,} positions filled"]
    lines.append(f"    {'':<34}{'planned':>12}{'measured':>12}{'ratio':>8}")
    for part in found["parts"]:
        ratio = "" if part["ratio"] is None else f"{part['ratio']:.2f}"
        off = "" if part["as_planned"] else "  not as planned"
        sizes = f"{_mb(part['planned_bytes']):>12}{_mb(part['measured_bytes']):>12}"
        lines.append(f"    {part['name']:<34}{sizes}{ratio:>8}{off}")
    lines.append(f"    beside it Python, libraries and tokenizer took {_mb(found['program_bytes'])}")
    if found["looked_up_bytes"]:
        lines.append(f"    {_mb(found['looked_up_bytes'])} of the file hold rows of the embedding, and can be let go")
    if found["mapped_bytes"]:
        lines.append(f"    {_mb(found['mapped_bytes'])} of embedding stay in the file: rows are read as they are used")
    within = f"within {tolerance['ratio']:.0%} or {tolerance['bytes'] / (1 << 20):.0f} MiB"
    lines.append(
        f"    every part is {within} of the plan"
        if found["as_planned"]
        else f"    THE PLAN IS WRONG HERE: a part is not {within} of it; please report it with this output"
    )
    return lines


def _kv_layer(kind: dict[str, Any]) -> str:
    reach = "that see all" if kind["window"] is None else f"with a window of {kind['window']:,}"
    return f"{kind['n_layers']} layers {reach}: {kind['bytes_per_position']:,} bytes a position"


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


def _one_line(value: object) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= 90 else f"{text[:87]}…"
