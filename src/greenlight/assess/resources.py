"""What does the model cost to run on this machine? Time to first token, prefill and decode speed, memory, size."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from greenlight.engine import Engine, GenerateRequest, Generation, SamplingParams, TokenEvent
from greenlight.evidence import JSON
from greenlight.measure.metrics import ROUNDS

PREFILL_TOKENS = 512
"""Length of the long prompt."""

CHAT_TOKENS = 32
"""Length of the short prompt, about one question."""

DECODE_TOKENS = 64
"""Tokens generated after the short prompt."""


def measure_resources(engine: Engine, text_tokens: Sequence[int], *, load_s: float) -> dict[str, JSON]:
    """Run the fixed prompt mix alone on an idle engine.

    Args:
        engine: runs the model, without a prefix cache: a prompt that was read before costs nothing.
        text_tokens: tokens of ordinary text, repeated to the length of each prompt.
        load_s: seconds that loading took.

    Returns:
        The raw figures of each round; seconds, tokens per second, bytes.
    """
    long = _stretch(text_tokens, min(PREFILL_TOKENS, engine.limits.max_seq_len // 2))
    short = _stretch(text_tokens, min(CHAT_TOKENS, engine.limits.max_seq_len // 4))
    runs = [_round(engine, long, short, number) for number in range(ROUNDS)]
    return {
        "format": "greenlight.resources/1",
        "runs": runs,
        "peak_memory_bytes": peak_memory_bytes(),
        "load_s": load_s,
    }


def peak_memory_bytes() -> int:
    """Most memory this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        # The kernel's ru_maxrss counts what the parent held when it started this process; VmHWM does not.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _stretch(tokens: Sequence[int], length: int) -> tuple[int, ...]:
    repeats = -(-length // len(tokens))
    return tuple(list(tokens) * repeats)[:length]


def _round(engine: Engine, long: tuple[int, ...], short: tuple[int, ...], number: int) -> dict[str, float]:
    prefill = _timed(engine, f"prefill-{number}", long, 1)
    chat = _timed(engine, f"decode-{number}", short, DECODE_TOKENS)
    assert prefill.first_token_s is not None
    assert chat.first_token_s is not None
    return {
        "first_token_s": chat.first_token_s,
        "decode_tok_s": (len(chat.tokens) - 1) / (chat.total_s - chat.first_token_s),
        "prefill_tok_s": len(long) / prefill.first_token_s,
    }


def _timed(engine: Engine, name: str, prompt: tuple[int, ...], max_tokens: int) -> Generation:
    sampling = replace(SamplingParams(), max_tokens=max_tokens, ignore_eos=True)
    start = time.perf_counter()
    result = None
    for event in engine.stream(GenerateRequest(id=f"resources/{name}/{start}", prompt=prompt, sampling=sampling)):
        if not isinstance(event, TokenEvent):
            result = event
    assert result is not None
    return result
