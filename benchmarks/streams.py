"""How fast are many answers written at once? 8 and 32 of them, through the engine, beside one llama.cpp context."""

from __future__ import annotations

from benchmarks import peer_figures
from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.roofline import READ, memory_read, part_of_read
from benchmarks.setting import Setting, bytes_of_step
from benchmarks.text import plain_text
from benchmarks.threads import best_threads

TITLE = "decode, many streams"
PROMPT, TOKENS, ROUNDS = 32, 64, 5
POSITIONS = 256
"""Context of each of the peer's sequences."""
FLOOR = 3.0
TOGETHER = {32: 800.0}
"""Tokens per second that so many streams must reach in all."""


def measure(setting: Setting) -> list[Figure]:
    """The default file and Q4_0, each with both numbers of streams."""
    kinds = dict.fromkeys([setting.kind, "Q4_0"])
    return [figure for kind in kinds for figure in _one_file(setting, kind)]


def _one_file(setting: Setting, kind: str) -> list[Figure]:
    ours = Ours(setting.quantised(kind), PROMPT)
    return [figure for streams in (8, 32) for figure in _together(setting, kind, ours, streams)]


def _together(setting: Setting, kind: str, ours: Ours, streams: int) -> list[Figure]:
    path = setting.quantised(kind)
    peer = LlamaCpp(path, threads=setting.threads, positions=POSITIONS, sequences=streams)
    text = ours.model.encode(plain_text())
    prompts = [text[97 * i : 97 * i + PROMPT] for i in range(streams)]
    tried = best_threads(setting.threads, lambda n: (peer.use_threads(n), peer.streams_tok_s(prompts, TOKENS // 4))[1])
    peer.use_threads(tried.threads)
    memory = memory_read(setting)
    sides = {
        "ours": lambda: ours.streams_tok_s(prompts, TOKENS),
        "peer": lambda: peer.streams_tok_s(prompts, TOKENS),
        READ: memory.gb_s,
    }
    seen = alternate(setting.count(ROUNDS), sides, between=park)
    peer.close()
    name, past = f"decode {kind}, {streams} streams in all", PROMPT + TOKENS // 2
    figure = Figure(
        name=name,
        unit="tok/s",
        ours=seen["ours"],
        peer=seen["peer"],
        peer_name="llama.cpp",
        ratio_floor=FLOOR if kind == "Q4_0" else None,
        at_least=TOGETHER.get(streams),
        known=peer_figures.STREAMS_TOK_S.get((kind, streams)) if setting.known else None,
        best=tried.value,
        settings={"prompt": PROMPT, "tokens": TOKENS, "build": build(), **tried.settings("tok/s")},
    )
    steps = [rate / streams for rate in seen["ours"]]
    return [figure, part_of_read(name, steps, bytes_of_step(path, past, streams), seen[READ], memory.by)]
