"""Runs as the benchmarks keep them, made up."""

from dataclasses import replace

from benchmarks.figures import Figure
from benchmarks.runs import Run

MACHINE = {
    "processor": "a CPU",
    "cores": 2,
    "memory_mb": 8000,
    "system": "Linux",
    "machine": "x86_64",
    "cpu_features": ["avx2"],
    "ops": "native/avx2/1",
    "threads": 2,
    "python": "3.11",
    "packages": {"numpy": "2.4", "torch": None},
}
OTHER = {**MACHINE, "processor": "another CPU"}

FIGURES = [
    Figure(
        name="decode",
        unit="tok/s",
        ours=(200.0, 210.0, 190.0),
        peer=(100.0, 100.0, 100.0),
        peer_name="peer",
        ratio_floor=1.5,
        known=110.0,
        settings={"peer_threads": 2, "peer_tok/s_by_threads": {1: 60.0, 2: 101.5}, "build": "AVX = 1"},
    ),
    Figure(name="prefill", unit="tok/s", ours=(9.0,), peer=(1.0,), peer_name="peer", ratio_floor=2.5, known=100.0),
    Figure(name="agreement", unit="of 100", ours=(), why_not="no data"),
]
RUN = Run(
    id="2026-11-01T00:00:00Z-avx2",
    date="2026-11-01T00:00:00Z",
    commit="c0ffee" * 6,
    dirty=False,
    machine=MACHINE,
    model={"file": "a.gguf", "size_bytes": 98_000_000},
    others_share_of_cores={"decode": 0.01, "prefill": None},
    seconds=600.0,
    parts={"decode": FIGURES[:1], "prefill": FIGURES[1:]},
)


def run(date, parts, machine=MACHINE):
    """A run whose parts are one round of one figure each; None where it could not be measured."""
    figures = {part: [figure(part, value)] for part, value in parts.items()}
    shares = dict.fromkeys(parts, 0.01)
    name = f"{date}-{machine['processor']}"
    return replace(RUN, id=name, date=date, machine=machine, parts=figures, others_share_of_cores=shares)


def figure(name, value):
    """One round of one figure, or none."""
    return Figure(name=name, unit="tok/s", ours=() if value is None else (value,))
