"""What do native operations lose against float32 on the same weights, beside llama.cpp, and what does exactness cost?

The reference widens the file's weights to float32 and rounds nothing (numpy's operations); keys and values are float16
on both sides that are judged, as each has it by default. Accuracy is counted once: another round gives the same bits.
Where rows fill no whole blocks of 256, llama.cpp's quantizer takes another type: of the default model, files of Q4_K
and Q6_K have these in the down projections and, for the rest, Q5_0 or Q8_0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import multiple_choice
from benchmarks.agreement import Agreement, agreement, joined, standard_error
from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Forward
from benchmarks.peers.llama_cpp_model import LlamaCpp, build
from benchmarks.setting import Setting
from benchmarks.text import plain_text, python_source, source
from greenlight.compose.identity import predictions
from greenlight.engine.local import tokenizer_of
from greenlight.formats.gguf import read_gguf
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops

TITLE = "precision"
TIMED = ("Q4_0", "Q4_1", "Q8_0")
KINDS = (*TIMED, "Q4_K_S", "Q6_K")
PRECISIONS = {"standard": "native", "exact": "native+exact"}
POSITIONS = 512
"""Of each text."""
LEAST_TOP1, MOST_KL = 0.99, 0.0005
"""Of the exact precision: part of the positions, nats."""
KL_FLOOR = 0.8
"""llama.cpp's divergence over ours in the standard precision: no worse, but for what so many positions can tell."""
PROMPT, TOKENS, PREFILL, ROUNDS = 32, 128, 512, 5
SPEED_FLOOR = 0.5
LEAST_CHOICES, NEAR_TIE_NATS = 99.0, 0.05
"""Of a hundred questions; and what two choices may be apart: exact log-likelihoods were up to 0.02 from lm-eval's."""

Tokens = NDArray[np.int32]
Logits = NDArray[np.float32]


def measure(setting: Setting) -> list[Figure]:
    """Accuracy by type, what the exact precision costs, and its choices beside lm-eval's."""
    accuracy = [figure for kind in KINDS for figure in _accuracy(setting, kind)]
    cost = [figure for kind in TIMED for figure in _cost(setting, kind)]
    choices = multiple_choice.agreement(setting, PRECISIONS["exact"], least=LEAST_CHOICES, tie=NEAR_TIE_NATS)
    return [*accuracy, *cost, *choices]


def _accuracy(setting: Setting, kind: str) -> list[Figure]:
    path = setting.quantised(kind)
    found = _agreements(setting, path)
    standard, exact, peer = found["standard"], found["exact"], found["llama.cpp"]
    n = len(peer.same)
    said = {"texts": [source(), python_source().name], "values_by_type": _by_type(path)}
    common: dict[str, Any] = {"counted": True, "settings": said | {"build": build()}}
    beside = common | {"peer_name": "llama.cpp"}

    def top1(precision: str, n_same: int, **more: Any) -> Figure:
        return Figure(
            name=f"{kind}, {precision}: float32's likeliest token", unit=f"of {n}", ours=(float(n_same),), **more
        )

    def divergence(precision: str, kl: float, **more: Any) -> Figure:
        name = f"{kind}, {precision}: divergence from float32"
        return Figure(name=name, unit="nats", ours=(kl,), more_is_better=False, **more)

    least = math.ceil(peer.n_same - 2 * standard_error(standard, peer))
    return [
        top1("standard", standard.n_same, peer=(float(peer.n_same),), at_least=least, **beside),
        divergence("standard", standard.mean_kl, peer=(peer.mean_kl,), ratio_floor=KL_FLOOR, **beside),
        top1("exact", exact.n_same, at_least=math.ceil(LEAST_TOP1 * n), **common),
        divergence("exact", exact.mean_kl, at_most=MOST_KL, **common),
    ]


def _agreements(setting: Setting, path: Path) -> dict[str, Agreement]:
    """Each side's with float32, over both texts."""
    checkpoint = open_checkpoint(path)
    texts = _texts(tokenizer_of(checkpoint).encode)
    decoders = {name: load_decoder(checkpoint, select_ops(ops)) for name, ops in PRECISIONS.items()}
    peer = LlamaCpp(path, threads=setting.threads, positions=POSITIONS)
    sides: dict[str, Callable[[Tokens], Logits]] = {name: _run(decoder) for name, decoder in decoders.items()}
    sides["llama.cpp"] = peer.logits
    reference = _run(load_decoder(checkpoint, select_ops("numpy")))
    seen: dict[str, list[Agreement]] = {name: [] for name in sides}
    for tokens in texts:
        expected = reference(tokens)[:-1]
        for name, logits in sides.items():
            seen[name].append(agreement(expected, logits(tokens)[:-1], tokens[1:]))
    peer.close()
    return {name: joined(parts) for name, parts in seen.items()}


def _texts(encode: Callable[[str], list[int]]) -> list[Tokens]:
    """English and a program; with the token that follows the last position."""
    return [np.array(encode(text)[:POSITIONS], np.int32) for text in (plain_text(), python_source().read_text())]


def _run(decoder: Decoder) -> Callable[[Tokens], Logits]:
    return lambda tokens: np.concatenate([rows for _, rows in predictions(decoder, tokens)])


def _by_type(path: Path) -> dict[str, float]:
    """Which part of a file's values each type holds."""
    counts: Counter[str] = Counter()
    for tensor in read_gguf(path).tensors.values():
        counts[tensor.type.name] += tensor.n_values
    return {name: round(n / counts.total(), 4) for name, n in counts.most_common()}


def _cost(setting: Setting, kind: str) -> list[Figure]:
    """The exact precision beside the standard one, on one file."""
    checkpoint = open_checkpoint(setting.quantised(kind))
    tokens = tokenizer_of(checkpoint).encode(plain_text())[:PREFILL]
    ours, peer = (
        Forward(load_decoder(checkpoint, select_ops(PRECISIONS[name])), PREFILL) for name in ("exact", "standard")
    )
    works: dict[str, Callable[[Forward], float]] = {
        f"decode {kind}, exact": lambda side: side.decode_tok_s(tokens[:PROMPT], TOKENS),
        f"prefill {kind}, {PREFILL} tokens, exact": lambda side: side.prefill_tok_s(tokens),
    }
    return [_beside(setting, name, partial(work, ours), partial(work, peer)) for name, work in works.items()]


def _beside(setting: Setting, name: str, ours: Callable[[], float], peer: Callable[[], float]) -> Figure:
    return Figure(
        name=name,
        unit="tok/s",
        **alternate(setting.count(ROUNDS), {"ours": ours, "peer": peer}, between=park),
        peer_name="ours, standard",
        ratio_floor=SPEED_FLOOR,
    )
