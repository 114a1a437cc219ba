"""What did the benchmarks run on, and was it quiet?"""

from __future__ import annotations

import os
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.text import ROOT
from greenlight.compose.machine import cores, machine

PACKAGES = ("greenlight-llm", "numpy", "llama-cpp-python", "lm-eval", "torch", "transformers")
NOT_CODE = ("benchmarks/results.json", "benchmarks/*.md")
"""What a run changes itself, and what people write of figures."""

PAUSE_S = 0.03
QUIET = 0.1
"""Part of one core that a parked process may still use."""


def facts() -> dict[str, Any]:
    """The machine, its instruction sets and the versions of everything measured."""
    from greenlight.ops import select_ops
    from greenlight.ops.native import available, cpu_features, threads

    ops = select_ops()
    name, _, version = ops.identity.partition("/")
    return {
        **machine(),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        "ops": f"{name}/{ops.isa}/{version}" if ops.isa else ops.identity,
        "threads": threads() if available() else cores(),
        "cpu_features": cpu_features() if available() else [],
        "load_average_before": round(os.getloadavg()[0], 2),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def code() -> dict[str, Any]:
    """The commit that is measured, and whether any code differs from it; None outside of a checkout."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", ".", *(f":!{pattern}" for pattern in NOT_CODE))
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


class Parking:
    """Waits until this process is asleep: thread pools of both sides spin for a while after their work."""

    most_left = 0.0
    """Part of one core that the process still used when a pause was given up, at most so far."""

    def __call__(self, limit_s: float = 5.0) -> None:
        give_up = time.perf_counter() + limit_s
        used = 1.0
        while used >= QUIET and time.perf_counter() < give_up:
            before = time.process_time()
            time.sleep(PAUSE_S)
            used = (time.process_time() - before) / PAUSE_S
        self.most_left = max(self.most_left, used)


park = Parking()


class Bystanders:
    """How much of the machine do others use, from when this was made?"""

    def __init__(self) -> None:
        self._start = time.perf_counter(), _busy_s(), _own_s()

    def share(self) -> float | None:
        """Of all cores, 0 to 1; None where the system does not tell."""
        start, busy, own = self._start
        now = _busy_s()
        if busy is None or now is None:
            return None
        room = (time.perf_counter() - start) * (os.cpu_count() or 1)
        return max(0.0, (now - busy) - (_own_s() - own)) / room


def _busy_s() -> float | None:
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _git(*arguments: str) -> str | None:
    """What git says of this tree; None where it has none of its own."""
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
