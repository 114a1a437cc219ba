"""What could this machine do at the very most? Bytes read and int8 operations per second, measured here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import MemoryReader, park
from benchmarks.setting import Setting, SideFailedError, run_quietly

SOURCE = Path(__file__).with_name("int8_peak.cpp")


@dataclass(frozen=True, slots=True)
class Roofline:
    """A machine's two limits, of all its cores together."""

    read_gb_s: float
    """Memory read, gigabytes (1e9 bytes) per second."""

    int8_gop_s: float | None
    """Products and sums of int8 in registers, billions per second; None where nothing measures it (no x86)."""


def roofline(setting: Setting) -> Roofline:
    """Measure both, with as many threads as the run has."""
    park()
    return Roofline(MemoryReader().gb_s(), int8_gop_s(setting))


def int8_gop_s(setting: Setting) -> float | None:
    """The best of three runs of int8_peak.cpp, built for this CPU."""
    compiler, program = shutil.which("g++"), setting.work / "int8_peak"
    if compiler is None:
        return None
    command = [compiler, "-O2", "-march=native", "-pthread", str(SOURCE), "-o", str(program)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    try:
        return float(run_quietly([str(program), str(setting.threads)], {}))
    except (SideFailedError, ValueError):
        return None
