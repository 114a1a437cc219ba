"""python -m greenlight.compose.memory_check: does a model take the memory that was planned? Measured, part by part.

A fresh process reads a model, packs it, and answers at the asked context and number of sequences; before and after
each part it reads from the kernel what it holds.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from greenlight.engine import Engine, GenerateRequest, SamplingParams
from greenlight.engine.local import tokenizer_of
from greenlight.errors import EngineError, UnsupportedError
from greenlight.evidence import JSON
from greenlight.formats.tensors import release_freed
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.kv_groups import group_layers, kv_groups
from greenlight.model.load import load_decoder
from greenlight.model.memory import STEP_ROWS, MemoryPlan
from greenlight.ops import select_ops
from greenlight.ops.protocol import PAGE_SIZE

MEASURED_CONTEXT = 2048
"""Positions that are measured unless others are asked for, or as many as the model reads."""

DECODED = 16
"""Tokens that a sequence writes at least; most of its positions are read."""

TOLERANCE, SLACK_BYTES = 0.2, 8 << 20
"""A part is as planned within a fifth of what was planned, or within 8 MiB."""

_STATUS = Path("/proc/self/status")
_ROLLUP = Path("/proc/self/smaps_rollup")
_PEAK = Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is measured."""

    path: str
    """The file or folder."""

    adapters: tuple[str, ...]
    """Folders or GGUF files of adapters."""

    ops: str
    """Name of the operations."""

    context: int
    """Positions of each sequence."""

    sequences: int
    """Sequences held at once."""


class Held(NamedTuple):
    """What this process holds."""

    own: int
    """Bytes that are on no disk."""

    resident: int
    """All bytes in memory, those mapped from files included."""


def measure_memory(plan: MemoryPlan, asked: Asked) -> dict[str, JSON]:
    """The plan's parts beside what a fresh process took.

    Raises:
        EngineError: the process failed; its last words are in the error.
        UnsupportedError: the system does not tell what a process holds.
    """
    if not _ROLLUP.exists():
        raise UnsupportedError(
            "what a process holds cannot be read on this system",
            found=f"{sys.platform}, without {_ROLLUP}",
            do="measure on Linux; without --measure the plan is shown alone",
        )
    # The command is this interpreter and this module; what is asked is an argument, not a shell word.
    command = [sys.executable, "-m", "greenlight.compose.memory_check", json.dumps(asdict(asked))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        found = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}, nothing on stderr"])[-1]
        raise EngineError("the memory could not be measured in a process of its own", where=asked.path, found=found)
    return compared(plan, json.loads(result.stdout))


def compared(plan: MemoryPlan, found: Mapping[str, JSON]) -> dict[str, JSON]:
    """Each part as planned and as it was.

    Args:
        plan: of the same model, context and sequences.
        found: what the other process wrote.
    """
    pages = dict(found["pages"])
    parts = [
        _part("weights", plan.weights_bytes - plan.mapped_bytes, found["weights_bytes"]),
        _part("peak while loading", plan.load_peak_bytes, found["load_peak_bytes"]),
        *(
            _part(f"keys and values, {_reach(kind.window)}", kind.kv_bytes, pages[_key(kind.window)] * plan.page_bytes)
            for kind in plan.kv_kinds
        ),
        _part("keys and values", plan.kv_bytes, found["kv_bytes"]),
        _part("activations", plan.activations_bytes, found["activations_bytes"]),
        _part("all of it, loaded", plan.total_bytes - plan.mapped_bytes, found["running_bytes"]),
    ]
    return {
        "context": plan.context,
        "sequences": plan.sequences,
        "ops": found["ops"],
        "program_bytes": found["program_bytes"],
        "mapped_bytes": plan.mapped_bytes,
        "looked_up_bytes": found["looked_up_bytes"],
        "tolerance": {"ratio": TOLERANCE, "bytes": SLACK_BYTES},
        "parts": parts,
        "as_planned": all(part["as_planned"] for part in parts),
    }


def _part(name: str, planned: int, measured: int) -> dict[str, JSON]:
    return {
        "name": name,
        "planned_bytes": planned,
        "measured_bytes": measured,
        "ratio": round(measured / planned, 4) if planned else None,
        "as_planned": abs(measured - planned) <= max(TOLERANCE * planned, SLACK_BYTES),
    }


def _reach(window: int | None) -> str:
    return "layers that see all" if window is None else f"window of {window:,}"


def _key(window: int | None) -> str:
    return "all" if window is None else str(window)


def _take(asked: Asked) -> dict[str, JSON]:
    """Load, answer, and say what each took; in the other process."""
    ops, path = select_ops(asked.ops), Path(asked.path)
    checkpoint = open_checkpoint(path)
    tokenizer = tokenizer_of(checkpoint)
    gc.collect()
    release_freed()
    before = _held()
    _reset_peak()
    decoder = load_decoder(checkpoint, ops, adapter=tuple(map(Path, asked.adapters)) or None)
    load_peak = _peak() - before.resident
    del checkpoint
    gc.collect()
    loaded = _held()
    # What a first answer brings in for good (code of libraries, threads) is no part of a step.
    _answer(Engine(decoder, tokenizer, max_sequences=1, prefix_cache=False), 8, 1)
    gc.collect()
    ready = _held()
    # Enough even where nothing left a window, lest a wrong plan be hidden by sequences that wait for pages.
    n_groups = len(kv_groups(group_layers(decoder.kv_layers)))
    n_pages = asked.sequences * n_groups * (-(-asked.context // PAGE_SIZE) + 2)
    engine = Engine(decoder, tokenizer, max_sequences=asked.sequences, n_pages=n_pages, prefix_cache=False)
    _reset_peak()
    _answer(engine, asked.context, asked.sequences)
    full = _held()
    # Rows of the embedding are looked up in the file: its pages are the system's, which takes them back when it must.
    looked_up = max(0, (full.resident - full.own) - (ready.resident - ready.own))
    running = _peak() - ready.resident - looked_up
    pages = {_key(window): n for window, n in engine.most_held_pages.items()}
    del engine
    gc.collect()
    kv = full.own - _held().own
    return {
        "ops": ops.identity,
        "program_bytes": before.resident,
        "weights_bytes": loaded.own - before.own,
        "load_peak_bytes": load_peak,
        "kv_bytes": kv,
        "activations_bytes": running - kv,
        "running_bytes": loaded.own - before.own + running,
        "looked_up_bytes": looked_up,
        "pages": pages,
    }


def _answer(engine: Engine, context: int, sequences: int) -> None:
    """Fill `context` positions of each sequence: most are read, the last ones written."""
    decoded = min(tokens_written(context, sequences), context - 1)
    sampling = SamplingParams(max_tokens=decoded, ignore_eos=True)
    vocabulary = min(engine.limits.vocab_size, engine.tokenizer.vocab_size)
    requests = []
    for number in range(sequences):
        prompt = tuple((number + 7 * position) % vocabulary for position in range(context - decoded))
        requests.append(GenerateRequest(id=str(number), prompt=prompt, sampling=sampling))
    for _ in engine.generate(requests):
        pass


def tokens_written(context: int, sequences: int) -> int:
    """Tokens that each sequence writes: enough for the first to be there still when the last has been read.

    Each step reads what room the tokens being written leave it; sequences that ended early would hold nothing, and a
    plan for all at once could not be held against them.
    """
    return DECODED + -(-context * sequences // max(1, STEP_ROWS - sequences))


def _held() -> Held:
    fields = dict(re.findall(r"^(\w+): +(\d+) kB$", _ROLLUP.read_text(), re.MULTILINE))
    return Held(int(fields["Anonymous"]) * 1024, int(fields["Rss"]) * 1024)


def _peak() -> int:
    """Most bytes in memory since the peak was last set back."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found, "the kernel writes this line for every process"
    return int(found[1]) * 1024


def _reset_peak() -> None:
    """Let the peak count from now (proc(5), clear_refs)."""
    try:
        _PEAK.write_text("5")
    except OSError as error:
        raise UnsupportedError(
            "the peak of memory cannot be set back on this system", where=str(_PEAK), found=error.strerror
        ) from error


def main() -> None:
    """Measure what the command line asks for."""
    json.dump(_take(Asked(**json.loads(sys.argv[1]))), sys.stdout)


if __name__ == "__main__":
    main()
