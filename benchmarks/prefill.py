"""How fast is a prompt read? 512 tokens in an empty context, logits of the last one."""

from __future__ import annotations

from benchmarks import peer_figures
from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.roofline import INT8, part_of_int8, peaks
from benchmarks.setting import Setting, per_token
from benchmarks.text import plain_text
from benchmarks.threads import best_threads

TITLE = "prefill"
TOKENS, ROUNDS = 512, 9
FLOORS = {"Q4_0": 3.0, "Q4_1": 6.0, "Q8_0": 4.0}


def measure(setting: Setting) -> list[Figure]:
    """The default file, then the other types."""
    return [figure for kind in setting.kinds for figure in _one_file(setting, kind)]


def _one_file(setting: Setting, kind: str) -> list[Figure]:
    path = setting.quantised(kind)
    ours = Ours(path, TOKENS)
    peer = LlamaCpp(path, threads=setting.threads, positions=TOKENS)
    tokens = ours.model.encode(plain_text())[:TOKENS]
    tried = best_threads(setting.threads, lambda n: (peer.use_threads(n), peer.prefill_tok_s(tokens))[1])
    peer.use_threads(tried.threads)
    sides = {"ours": lambda: ours.prefill_tok_s(tokens), "peer": lambda: peer.prefill_tok_s(tokens)}
    seen = alternate(setting.count(ROUNDS), {**sides, **peaks(setting, INT8)}, between=park)
    peer.close()
    name = f"prefill {kind}, {TOKENS} tokens"
    figure = Figure(
        name=name,
        unit="tok/s",
        ours=seen["ours"],
        peer=seen["peer"],
        peer_name="llama.cpp",
        ratio_floor=FLOORS.get(kind),
        known=peer_figures.PREFILL_TOK_S.get(kind) if setting.known else None,
        best=tried.value,
        settings={"build": build(), **tried.settings("tok/s")},
    )
    return [figure, *part_of_int8(name, seen["ours"], per_token(path).products, seen)]
