"""What could this machine do at the very most, and what part of it was reached?

Limits are of all cores together, and are measured in the rounds of what is held against them: a machine that others use
too is not as fast in every minute.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.setting import Setting, SideFailedError, run_quietly

TITLE = "what the machine can do"
ROUNDS = 5
PEAKS, READS = (Path(__file__).with_name(name) for name in ("peaks.cpp", "reads.cpp"))
READ, INT8 = "read", "int8"
RATES = (INT8, "float32", "bf16")
"""What peaks.cpp measures."""

Sides = dict[str, Callable[[], float]]
Seen = Mapping[str, Sequence[float]]


def measure(setting: Setting) -> list[Figure]:
    """The limits by themselves."""
    memory = memory_read(setting)
    sides = {READ: memory.gb_s, **peaks(setting, *RATES)}
    seen = alternate(setting.count(ROUNDS), sides, between=park)
    how = {"read_by": memory.by}
    figures = [Figure(name="memory read by all cores", unit="GB/s", ours=seen[READ], settings=how)]
    for rate in RATES:
        name = f"{rate}, products and sums in registers"
        why_not = "" if rate in seen else "this CPU has no such instruction, or nothing here compiles for it"
        figures.append(Figure(name=name, unit="Gop/s", ours=seen.get(rate, ()), why_not=why_not))
    return figures


@dataclass(frozen=True, slots=True)
class MemoryRead:
    """How memory's read speed is measured."""

    by: str
    """What reads: the program, or numpy."""

    gb_s: Callable[[], float]
    """Measures it once, in gigabytes (1e9 bytes) per second."""


def memory_read(setting: Setting, size_bytes: int = 384 << 20) -> MemoryRead:
    """What measures how fast all cores together read memory.

    It is the ceiling of decoding, which reads all weights. Without a compiler numpy reads, which is slower at times.

    Args:
        setting: threads, and where the program is built.
        size_bytes: how much is read each time; what fits into a cache is read from there, as weights of that size are.
    """
    program = _built(setting, READS)
    if program is not None and _works(side := partial(_printed, [str(program), str(setting.threads), str(size_bytes)])):
        return MemoryRead(READS.name, side)
    return MemoryRead("numpy", NumpyReader(size_bytes, setting.threads).gb_s)


class NumpyReader:
    """Reads memory as fast as numpy can.

    Several reductions are tried once and the fastest is kept, so that memory is what limits it.

    Args:
        size_bytes: how much is read each time.
        threads: that read it together.
    """

    def __init__(self, size_bytes: int, threads: int) -> None:
        self._pool, self._size_bytes = ThreadPoolExecutor(threads), size_bytes // 4 * 4
        values = np.ones(size_bytes // 4, np.float32)
        self._parts = np.array_split(values, threads)
        ways: list[Callable[[Any], Any]] = [np.max, np.sum, _dot, _max_of_bytes]
        self._way = max(ways, key=self._gb_s)

    def gb_s(self) -> float:
        """Gigabytes (1e9 bytes) per second, best of three passes."""
        return max(self._gb_s(self._way) for _ in range(3))

    def _gb_s(self, way: Callable[[Any], Any]) -> float:
        start = time.perf_counter()
        list(self._pool.map(way, self._parts))
        return self._size_bytes / (time.perf_counter() - start) / 1e9


def _dot(values: Any) -> Any:
    return np.dot(values, values)


def _max_of_bytes(values: Any) -> Any:
    return np.max(values.view(np.int8))


def peaks(setting: Setting, *rates: str) -> Sides:
    """What measures each of these rates once, in Gop/s; none of those that nothing here measures."""
    program = _built(setting, PEAKS)
    if program is None:
        return {}
    sides = {rate: partial(_printed, [str(program), str(setting.threads), rate]) for rate in rates}
    return {rate: side for rate, side in sides.items() if _works(side)}


def _built(setting: Setting, source: Path) -> Path | None:
    """A program of this CPU's own instructions; none where nothing here compiles it."""
    compiler, program = shutil.which("g++"), setting.work / source.stem
    if compiler is None:
        return None
    command = [compiler, "-O3", "-march=native", "-pthread", str(source), "-o", str(program)]
    return None if subprocess.run(command, capture_output=True, check=False).returncode else program


def _printed(command: list[str]) -> float:
    return float(run_quietly(command, {}))


def _works(side: Callable[[], float]) -> bool:
    try:
        return side() > 0
    except (SideFailedError, ValueError):
        return False


def part_of_read(
    name: str,
    steps_per_s: Sequence[float],
    step_bytes: int,
    gb_s: Sequence[float],
    read_by: str,
    whose: str = "memory's read speed",
) -> Figure:
    """Which part of a read speed was used, round by round.

    Args:
        name: what was timed.
        steps_per_s: forward passes.
        step_bytes: what each of them reads.
        gb_s: the read speed in the same rounds.
        read_by: what read.
        whose: what was read there.
    """
    share = tuple(100 * rate * step_bytes / (limit * 1e9) for rate, limit in zip(steps_per_s, gb_s, strict=True))
    settings = {"bytes_per_step": step_bytes, "read_gb_s": list(gb_s), "read_by": read_by}
    return Figure(name=f"{name}, part of {whose}", unit="%", ours=share, settings=settings)


def part_of_int8(name: str, tok_s: Sequence[float], products: int, seen: Seen) -> list[Figure]:
    """Which part of the int8 rate a prompt's linears used, round by round; no figure where it was not measured."""
    if INT8 not in seen:
        return []
    share = tuple(100 * rate * 2 * products / (limit * 1e9) for rate, limit in zip(tok_s, seen[INT8], strict=True))
    settings = {"operations_per_token": 2 * products, "int8_gop_s": list(seen[INT8])}
    return [Figure(name=f"{name}, part of the int8 rate", unit="%", ours=share, settings=settings)]
