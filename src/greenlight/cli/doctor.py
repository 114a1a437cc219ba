"""greenlight doctor: what this machine can do, and which path runs."""

from __future__ import annotations

from greenlight.cli.app import AsJson, emit, verb


@verb("doctor", examples="greenlight doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """What this machine can do: kernels, threads, memory, cache."""
    from greenlight.compose.machine import diagnose

    facts = diagnose()
    emit(facts, as_json=as_json, text=lambda: "\n".join(f"{name:<12} {value}" for name, value in facts.items()))
