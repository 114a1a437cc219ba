"""How fast is a prompt read? 512 tokens in an empty context, logits of the last one."""

from __future__ import annotations

from benchmarks import peer_figures
from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.setting import Setting
from benchmarks.text import plain_text
from benchmarks.threads import best_threads

TITLE = "prefill"
TOKENS, ROUNDS = 512, 9
FLOORS = {"Q4_0": 3.0, "Q4_1": 6.0, "Q8_0": 4.0}


def measure(setting: Setting) -> list[Figure]:
    """The default file, then the other types that llama.cpp's quantizer makes of it."""
    return [_one_file(setting, kind) for kind in dict.fromkeys([setting.kind, "Q4_0", "Q8_0"])]


def _one_file(setting: Setting, kind: str) -> Figure:
    path = setting.quantised(kind)
    ours = Ours(path, TOKENS)
    peer = LlamaCpp(path, threads=setting.threads, positions=TOKENS)
    tokens = ours.model.encode(plain_text())[:TOKENS]
    tried = best_threads(setting.threads, lambda n: (peer.use_threads(n), peer.prefill_tok_s(tokens))[1])
    peer.use_threads(tried.threads)
    sides = {"ours": lambda: ours.prefill_tok_s(tokens), "peer": lambda: peer.prefill_tok_s(tokens)}
    seen = alternate(setting.count(ROUNDS), sides, between=park)
    peer.close()
    return Figure(
        name=f"prefill {kind}, {TOKENS} tokens",
        unit="tok/s",
        **seen,
        peer_name="llama.cpp",
        ratio_floor=FLOORS.get(kind),
        known=peer_figures.PREFILL_TOK_S.get(kind) if setting.known else None,
        best=tried.value,
        settings={"build": build(), **tried.settings("tok/s")},
    )
