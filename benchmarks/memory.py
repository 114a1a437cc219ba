"""How much memory does a chat hold? Read from the kernel as the last of 100 tokens arrives."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.processes import Run, chat_commands, run
from benchmarks.setting import Setting
from greenlight.model.load import describe
from greenlight.ops import select_ops

TITLE = "memory"
PROMPT, TOKENS, ROUNDS = "Tell a long story about a lighthouse keeper and her dog.", 100, 5
OVER_FILE, OVER_ALL_MB = 1.2, 60.0
"""Resident memory may be so many file sizes, plus keys and values, plus so much for Python and all libraries."""


def measure(setting: Setting) -> list[Figure]:
    """Resident memory at the end of the answer, and the peak on the way there; the limit is on the first."""
    commands = chat_commands(setting, PROMPT, TOKENS)
    rounds = setting.count(ROUNDS)
    ours = [run(commands["ours"]) for _ in range(rounds)]
    peer = [run(commands["peer"]) for _ in range(rounds)]
    if not all(seen.memory_mb for seen in (*ours, *peer)):
        return [Figure(name="memory of a chat", unit="MB", ours=(), why_not="this system has no /proc/PID/status")]
    # As many positions are counted for the question as for the answer; it has fewer.
    kv_mb = describe(setting.path).memory(2 * TOKENS, ops_name=select_ops().name).kv_bytes / 1e6
    file_mb = setting.path.stat().st_size / 1e6
    how = {"peer_threads": setting.threads}
    limit = OVER_FILE * file_mb + kv_mb + OVER_ALL_MB
    return [
        _figure("resident while chatting", "VmRSS", ours, peer, limit, {**how, "file_mb": file_mb, "kv_mb": kv_mb}),
        _figure("peak of a chat", "VmHWM", ours, peer, None, how),
    ]


def _figure(
    name: str, line: str, ours: list[Run], peer: list[Run], limit: float | None, settings: dict[str, float]
) -> Figure:
    return Figure(
        name=name,
        unit="MB",
        ours=tuple(seen.memory_mb[line] for seen in ours),
        peer=tuple(seen.memory_mb[line] for seen in peer),
        peer_name="llama-cpp-python",
        more_is_better=False,
        at_most=limit,
        settings={
            **settings,
            "tokens": TOKENS,
            "mb_ours": ours[-1].memory_mb,
            "mb_peer": peer[-1].memory_mb,
            "peer_context": 2048,
        },
    )
