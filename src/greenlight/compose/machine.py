"""What machine is this, and what can it do? Facts a run records, and the doctor's findings."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from greenlight.evidence import JSON
from greenlight.ops import select_ops

SUPPORTED = (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"))
"""Systems and machines that greenlight is made for."""


def machine() -> dict[str, JSON]:
    """What the run ran on, as far as a figure may depend on it."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
    }


def diagnose() -> dict[str, JSON]:
    """What this machine can do: which operations run and why, threads, memory, where the cache is."""
    from greenlight.places import home

    ops = select_ops()
    facts = machine()
    supported = (facts["system"], facts["machine"]) in SUPPORTED
    free = free_memory_bytes()
    return {
        "greenlight": metadata.version("greenlight-llm"),
        **facts,
        "supported": supported,
        "ops": ops.identity,
        "isa": ops.isa,
        "fast": ops.name == "native",
        "why": getattr(ops, "reason", None),
        "threads": ops.threads,
        "free_memory_bytes": free,
        "cache": str(home()),
        "torch": _version("torch"),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_bytes() -> int | None:
    """Memory that a new process can have without swapping; None where the system does not tell."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return None
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
