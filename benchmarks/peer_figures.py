"""How fast is each peer when nothing disturbs it? Figures that a run is held against before it counts."""

from __future__ import annotations

from collections.abc import Collection

PROVENANCE = "measured on a quiet two-core AVX-512 VNNI server, 2026-11"

INSTRUCTION_SET = "avx512vnni"
"""Of that server. A peer on a machine without it is slower, quiet or not; its rows are void all the same."""

LLAMA_CPP = "llama-cpp-python 0.3.36, two threads, built for the CPU it ran on"
LM_EVAL = "lm-eval 0.4.13, transformers 5.23.0, torch 2.13.0 for CPU, bfloat16, batch size 1"

MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
"""The figures are of this file and of those that llama.cpp's quantizer makes from it."""

DECODE_TOK_S = {"Q4_0": 143.0, "Q4_1": 100.0, "Q8_0": 98.0}
"""128 tokens after 32, one stream, by file."""

PREFILL_TOK_S = {"Q4_0": 605.0, "Q4_1": 238.0, "Q8_0": 400.0}
"""512 tokens, by file."""

STREAMS_TOK_S = {("Q4_0", 8): 294.0, ("Q4_0", 32): 429.0, ("Q4_1", 8): 176.0, ("Q8_0", 8): 246.0}
"""Decode of several sequences in one context, in all, by file and number of sequences."""

CHOICE_SCORING_S, CHOICE_WALL_S = 73.0, 98.0
"""100 four-way questions of about 90 tokens: scoring alone, and from process start to end."""


def known_for(features: Collection[str]) -> bool:
    """Whether a machine with these instruction sets is of the kind on which the figures were taken."""
    return INSTRUCTION_SET in features
