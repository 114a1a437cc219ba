"""How fast are a prompt of some length and the answer after it? Measured in one go, llama.cpp's in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Forward
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.roofline import Roofline, roofline
from benchmarks.setting import Setting, per_token
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


def measure_works(setting: Setting, works: Sequence[Work]) -> list[Figure]:
    """Prefill and decode of each, and the share of what the machine could do that ours reached."""
    limits = roofline(setting)
    return [figure for work in works for figure in _measure(setting, work, limits)]


def _measure(setting: Setting, work: Work, limits: Roofline) -> list[Figure]:
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
    prefill = alternate(setting.count(work.rounds), sides, between=park, warm_up=False)
    peer.close()
    common: dict[str, Any] = {"unit": "tok/s", "peer_name": "llama.cpp"}
    common["settings"] = {
        "prompt": work.prompt,
        "tokens": work.tokens,
        "build": build(),
        "peer_threads": setting.threads,
    }
    cost = per_token(work.path)
    read = [100 * rate * cost.read_bytes / (limits.read_gb_s * 1e9) for rate in decode["ours"]]
    shares = {f"decode after {work.prompt}, {work.name}, part of memory's read speed": read}
    if limits.int8_gop_s is not None:
        done = [100 * rate * 2 * cost.products / (limits.int8_gop_s * 1e9) for rate in prefill["ours"]]
        shares[f"prefill of {work.prompt}, {work.name}, part of the int8 rate"] = done
    return [
        Figure(name=f"prefill of {work.prompt}, {work.name}", **prefill, ratio_floor=work.prefill_floor, **common),
        Figure(
            name=f"decode after {work.prompt}, {work.name}",
            ours=tuple(decode["ours"]),
            peer=tuple(decode["peer"]),
            ratio_floor=work.decode_floor,
            **common,
        ),
        *(Figure(name=name, unit="%", ours=tuple(share), settings=asdict(limits)) for name, share in shares.items()),
    ]
