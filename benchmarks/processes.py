"""What does a process cost that answers one prompt? Seconds to its first byte, and the memory it holds as it writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.setting import PEERS, Setting, SideFailedError, greenlight_command


@dataclass(frozen=True, slots=True)
class Run:
    """One process, from start to end."""

    first_byte_s: float
    """From just before it was started to the first byte on its stdout."""

    total_s: float
    """To its end."""

    memory_mb: dict[str, float]
    """The kernel's Vm and Rss lines when the last byte was read, in MB (1e6 bytes); empty where there is no /proc."""

    output: bytes
    """All of its stdout."""


def chat_commands(setting: Setting, prompt: str, max_tokens: int) -> dict[str, list[str]]:
    """The same question to the same file: our command, and a script over llama-cpp-python."""
    n = str(max_tokens)
    return {
        "ours": [*greenlight_command(), "chat", setting.ref, "-p", prompt, "--max-tokens", n],
        "peer": [sys.executable, str(PEERS / "llama_cpp_chat.py"), str(setting.path), prompt, n, str(setting.threads)],
    }


def run(command: list[str]) -> Run:
    """Start a process, read what it writes as it comes, look at its memory each time.

    Raises:
        SideFailedError: it failed or wrote nothing.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    first: float | None = None
    memory: dict[str, float] = {}
    output = b""
    while piece := os.read(process.stdout.fileno(), 1 << 16):
        first = first or time.perf_counter()
        output += piece
        memory = _memory(process.pid) or memory
    complaint = process.stderr.read()
    if process.wait() or first is None:
        raise SideFailedError(f"exit {process.returncode} of {' '.join(command)}\n{complaint.decode()[-2000:]}")
    return Run(first - start, time.perf_counter() - start, memory, output)


def parse_memory(status: str) -> dict[str, float]:
    """VmHWM (peak), VmRSS (now), RssAnon and RssFile of a /proc/PID/status, in MB."""
    lines = re.findall(r"^(VmHWM|VmRSS|RssAnon|RssFile):\s+(\d+) kB", status, re.MULTILINE)
    return {name: int(kib) * 1024 / 1e6 for name, kib in lines}


def _memory(pid: int) -> dict[str, float]:
    try:
        return parse_memory(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return {}
