"""How fast are a prompt of some length and the answer after it? Measured in one go, llama.cpp's in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Forward
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.roofline import INT8, READ, MemoryRead, Sides, memory_read, part_of_int8, part_of_read, peaks
from benchmarks.setting import Setting, bytes_of_step, per_token
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A file, a length, and what must be reached there."""

    name: str
    """What is measured, for the table."""

    path: Path
    """The GGUF file."""

    prompt: int
    """Tokens of the prompt."""

    tokens: int
    """Tokens after it."""

    rounds: int
    """Rounds, unless the run says otherwise."""

    prefill_floor: float | None = None
    """The least ratio of prefill."""

    decode_floor: float | None = None
    """The least ratio of decode."""


def measure_works(setting: Setting, works: Sequence[Work]) -> Iterator[Figure]:
    """Prefill and decode of each, and the share of what the machine could do that ours reached; as they come."""
    memory, rates = memory_read(setting), peaks(setting, INT8)
    for work in works:
        yield from _measure(setting, work, memory, rates)


def _measure(setting: Setting, work: Work, memory: MemoryRead, rates: Sides) -> list[Figure]:
    decoder = load_decoder(work.path, select_ops("native"))
    ours = Forward(decoder, work.prompt + work.tokens)
    peer = LlamaCpp(work.path, threads=setting.threads, positions=work.prompt + work.tokens)
    # Random words: nobody reads the answers, and files of random weights have no vocabulary.
    prompt = np.random.default_rng(0).integers(decoder.config.vocab_size, size=work.prompt).tolist()
    decode: dict[str, list[float]] = {"ours": [], "peer": []}

    def side(name: str, run: Callable[[list[int], int], tuple[float, float]]) -> Callable[[], float]:
        def once() -> float:
            prefill, after = run(prompt, work.tokens)
            decode[name].append(after)
            return prefill

        return once

    sides = {"ours": side("ours", ours.both_tok_s), "peer": side("peer", peer.both_tok_s)}
    seen = alternate(setting.count(work.rounds), {**sides, READ: memory.gb_s, **rates}, between=park, warm_up=False)
    peer.close()
    common: dict[str, Any] = {"unit": "tok/s", "peer_name": "llama.cpp"}
    common["settings"] = {
        "prompt": work.prompt,
        "tokens": work.tokens,
        "build": build(),
        "peer_threads": setting.threads,
    }
    prefill_name, decode_name = f"prefill of {work.prompt}, {work.name}", f"decode after {work.prompt}, {work.name}"
    step = bytes_of_step(work.path, work.prompt + work.tokens // 2)
    return [
        Figure(name=prefill_name, ours=seen["ours"], peer=seen["peer"], ratio_floor=work.prefill_floor, **common),
        *part_of_int8(prefill_name, seen["ours"], per_token(work.path).products, seen),
        Figure(
            name=decode_name,
            ours=tuple(decode["ours"]),
            peer=tuple(decode["peer"]),
            ratio_floor=work.decode_floor,
            **common,
        ),
        part_of_read(decode_name, decode["ours"], step, seen[READ], memory.by),
    ]
