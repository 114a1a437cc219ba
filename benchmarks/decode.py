"""How fast is one answer written? 128 tokens after 32, and how much of the memory's speed that is."""

from __future__ import annotations

from typing import Any

from benchmarks import peer_figures
from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.roofline import READ, memory_read, part_of_read
from benchmarks.setting import Setting, bytes_of_step
from benchmarks.text import plain_text
from benchmarks.threads import best_threads

TITLE = "decode, one stream"
PROMPT, TOKENS, ROUNDS = 32, 128, 9
FLOOR = 2.0


def measure(setting: Setting) -> list[Figure]:
    """The default file, then the other types."""
    return [figure for kind in setting.kinds for figure in _one_file(setting, kind)]


def _one_file(setting: Setting, kind: str) -> list[Figure]:
    path = setting.quantised(kind)
    ours = Ours(path, PROMPT + TOKENS)
    peer = LlamaCpp(path, threads=setting.threads, positions=PROMPT + TOKENS)
    prompt = ours.model.encode(plain_text())[:PROMPT]
    tried = best_threads(setting.threads, lambda n: (peer.use_threads(n), peer.decode_tok_s(prompt, TOKENS))[1])
    peer.use_threads(tried.threads)
    step = bytes_of_step(path, PROMPT + TOKENS // 2)
    memory, as_much = memory_read(setting), memory_read(setting, step)
    seen = alternate(
        setting.count(ROUNDS),
        {
            "ours": lambda: ours.decode_tok_s(prompt, TOKENS),
            "peer": lambda: peer.decode_tok_s(prompt, TOKENS),
            "engine": lambda: ours.engine_decode_tok_s(prompt, TOKENS),
            READ: memory.gb_s,
            "read as much": as_much.gb_s,
        },
        between=park,
    )
    peer.close()
    common: dict[str, Any] = {
        "unit": "tok/s",
        "peer": seen["peer"],
        "peer_name": "llama.cpp",
        "ratio_floor": FLOOR,
        "known": peer_figures.DECODE_TOK_S.get(kind) if setting.known else None,
        "best": tried.value,
        "settings": {"prompt": PROMPT, "tokens": TOKENS, "build": build(), **tried.settings("tok/s")},
    }
    return [
        Figure(name=f"decode {kind}, forward passes", ours=seen["ours"], **common),
        Figure(name=f"decode {kind}, through the engine", ours=seen["engine"], **common),
        part_of_read(f"decode {kind}", seen["ours"], step, seen[READ], memory.by),
        # Large caches keep a part of these weights: then the read speed of memory is no limit, and this one is.
        part_of_read(
            *(f"decode {kind}", seen["ours"], step, seen["read as much"], as_much.by),
            whose="the read speed of as many bytes",
        ),
    ]
