"""Which verbs are there, and which file has each? A command line that names one waits for no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

FILES: Mapping[str, tuple[str, ...]] = {
    "review": ("review",),
    "pull": ("pull", "list", "rm"),
    "inspect": ("inspect",),
    "doctor": ("doctor",),
    "chat": ("chat",),
    "convert": ("convert",),
    "plan": ("plan", "lock"),
    "assess": ("assess", "eval"),
    "label": ("label",),
    "judge": ("judge",),
    "decide": ("decide", "report"),
    "verify": ("verify",),
    "waive": ("waive",),
    "ledger": ("ledger", "delay", "reopen"),
    "explain": ("explain",),
    "contaminate": ("contaminate",),
    "release": ("release",),
    "diff": ("diff",),
    "compare": ("compare", "drift"),
    "merge": ("merge",),
    "replay": ("replay",),
    "import_": ("import",),
}
"""Modules of this package, in the order of the help, and the verbs that each registers as it is imported."""


def register(arguments: Sequence[str] = ()) -> None:
    """Register what a command line needs: the verb that it begins with, or all where it begins with anything else."""
    asked = [file for file, verbs in FILES.items() if arguments and arguments[0] in verbs]
    for file in asked or FILES:
        import_module(f"greenlight.cli.{file}")
