"""llama.cpp's side of the in-process parts, through its C interface, so that no Python of the binding's is timed."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from benchmarks.setting import SideFailedError

BATCH = 512
"""Rows of one step, as its own tools have it."""


@llama_cpp.llama_log_callback
def _say_nothing(_level: int, _text: bytes, _data: object) -> None:
    pass


llama_cpp.llama_log_set(_say_nothing, ctypes.c_void_p(0))
llama_cpp.llama_backend_init()


def build() -> str:
    """What the library was built with, as it says itself."""
    return llama_cpp.llama_print_system_info().decode().strip()


class LlamaCpp:
    """A loaded model and a context, timed; close it when done.

    Args:
        path: the GGUF file.
        threads: threads of decoding and of prompts.
        positions: context of each sequence.
        sequences: how many there are in the context.
    """

    def __init__(self, path: Path, *, threads: int, positions: int, sequences: int = 1) -> None:
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = positions * sequences, sequences
        params.n_batch = params.n_ubatch = BATCH
        params.n_threads = params.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise SideFailedError(f"llama.cpp made no context for {path}")
        self._n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._rows = llama_cpp.llama_batch_init(BATCH, 0, 1)

    def use_threads(self, threads: int) -> None:
        llama_cpp.llama_set_n_threads(self._context, threads, threads)

    def prefill_tok_s(self, tokens: Sequence[int]) -> float:
        """One batch over a prompt in an empty context; logits of its last position."""
        self._forget()
        start = time.perf_counter()
        self._next(tokens)
        return len(tokens) / (time.perf_counter() - start)

    def decode_tok_s(self, prompt: Sequence[int], n: int) -> float:
        """Decode n batches of one token each, the most likely one after the one before."""
        self._forget()
        return self._decode(self._next(prompt), n)

    def both_tok_s(self, prompt: Sequence[int], n: int) -> tuple[float, float]:
        """A prompt in an empty context, in the context's own batches, then n tokens after it."""
        self._forget()
        start = time.perf_counter()
        for at in range(0, len(prompt), BATCH):
            token = self._next(prompt[at : at + BATCH])
        return len(prompt) / (time.perf_counter() - start), self._decode(token, n)

    def streams_tok_s(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        """Tokens per second of all sequences, n batches of one token of each; the tokens are given, none is drawn."""
        self._forget()
        for sequence, prompt in enumerate(prompts):
            rows = [(token, position, sequence) for position, token in enumerate(prompt)]
            self._decode_rows(rows, answers=1)
        start = time.perf_counter()
        for step in range(n):
            rows = [(prompt[step % len(prompt)], len(prompt) + step, s) for s, prompt in enumerate(prompts)]
            self._decode_rows(rows, answers=len(rows))
        return n * len(prompts) / (time.perf_counter() - start)

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """After each token of a text that fits one batch, (T, V)."""
        self._forget()
        self._decode_rows([(int(token), position, 0) for position, token in enumerate(tokens)], answers=len(tokens))
        rows = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(rows, (len(tokens), self._n_vocab)).copy()

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._rows)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def _next(self, tokens: Sequence[int]) -> int:
        """The most likely token after these, in the one sequence there is."""
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        self._check(llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(array, len(tokens))))
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (self._n_vocab,))
        return int(np.argmax(logits))

    def _decode(self, token: int, n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            token = self._next([token])
        return n / (time.perf_counter() - start)

    def _decode_rows(self, rows: list[tuple[int, int, int]], *, answers: int) -> None:
        """Run one batch of (token, position, sequence) rows; logits of the last `answers`."""
        batch = self._rows
        batch.n_tokens = len(rows)
        for i, (token, position, sequence) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, position, 1, sequence
            batch.logits[i] = i >= len(rows) - answers
        self._check(llama_cpp.llama_decode(self._context, batch))
        llama_cpp.llama_synchronize(self._context)

    def _check(self, code: int) -> None:
        if code:
            raise SideFailedError(f"llama_decode returned {code}")
