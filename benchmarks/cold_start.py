"""How long does a user wait? From starting the process to the first piece of the answer, and for --help."""

from __future__ import annotations

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.processes import chat_commands, run
from benchmarks.setting import Setting, greenlight_command

TITLE = "cold start"
PROMPT, TOKENS, ROUNDS = "Name three colours.", 4, 9
FIRST_TOKEN_S, HELP_S = 0.7, 0.2


def measure(setting: Setting) -> list[Figure]:
    """The file is in the page cache on both sides; everything else starts from nothing."""
    commands = chat_commands(setting, PROMPT, TOKENS)
    helping = [*greenlight_command(), "--help"]
    seen = alternate(
        setting.count(ROUNDS),
        {
            "ours": lambda: run(commands["ours"]).first_byte_s,
            "peer": lambda: run(commands["peer"]).first_byte_s,
            "help": lambda: run(helping).total_s,
        },
        between=park,
    )
    return [
        Figure(
            name="process start to first token",
            unit="s",
            ours=seen["ours"],
            peer=seen["peer"],
            peer_name="llama-cpp-python",
            more_is_better=False,
            at_most=FIRST_TOKEN_S,
            settings={"prompt": PROMPT, "peer_threads": setting.threads},
        ),
        Figure(name="greenlight --help", unit="s", ours=seen["help"], more_is_better=False, at_most=HELP_S),
    ]
