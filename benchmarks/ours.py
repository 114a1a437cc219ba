"""Our side of the in-process parts: the forward pass alone, and the engine as a user has it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np

from greenlight.engine import Engine, GenerateRequest, Generation, SamplingParams, TokenEvent
from greenlight.engine.local import LocalModel
from greenlight.model.decoder import Decoder
from greenlight.ops.protocol import PAGE_SIZE, Batch

_numbers = count()


class Forward:
    """A decoder with pages for one sequence, timed.

    Args:
        decoder: a packed model.
        positions: the most that the sequence will have.
    """

    def __init__(self, decoder: Decoder, positions: int) -> None:
        n_pages = -(-positions // PAGE_SIZE)
        self._decoder, self._pages = decoder, decoder.new_pages(n_pages)
        self._table = np.arange(n_pages, dtype=np.int32)[None]

    def prefill_tok_s(self, tokens: Sequence[int]) -> float:
        """One forward pass over a prompt in an empty context; logits of its last position."""
        start = time.perf_counter()
        self._forward(tokens, 0)
        return len(tokens) / (time.perf_counter() - start)

    def decode_tok_s(self, prompt: Sequence[int], n: int) -> float:
        """Run n forward passes of one token each, the most likely one after the one before."""
        return self._decode(self._forward(prompt, 0), len(prompt), n)

    def both_tok_s(self, prompt: Sequence[int], n: int) -> tuple[float, float]:
        """A prompt in an empty context, then n tokens after it."""
        start = time.perf_counter()
        token = self._forward(prompt, 0)
        return len(prompt) / (time.perf_counter() - start), self._decode(token, len(prompt), n)

    def _decode(self, token: int, past: int, n: int) -> float:
        start = time.perf_counter()
        for position in range(past, past + n):
            token = self._forward([token], position)
        return n / (time.perf_counter() - start)

    def _forward(self, tokens: Sequence[int], past: int) -> int:
        batch = Batch(
            tokens=np.asarray(tokens, np.int32),
            starts=np.array([0, len(tokens)], np.int32),
            past=np.array([past], np.int32),
            page_tables=self._table,
            outputs=np.array([len(tokens) - 1], np.int32),
        )
        return int(np.argmax(self._decoder.forward(batch, self._pages)[0]))


class Ours(Forward):
    """The same of a whole model, and the engine as a user has it.

    Args:
        path: the GGUF file.
        positions: the most that the sequence will have.
    """

    def __init__(self, path: Path, positions: int) -> None:
        self.model = LocalModel.load(path)
        self._engines: dict[tuple[int, bool], Engine] = {}
        super().__init__(self.model.decoder, positions)

    def engine_decode_tok_s(self, prompt: Sequence[int], n: int) -> float:
        """The same through the engine: scheduler, sampler and text included."""
        return self.streams_tok_s([prompt], n)

    def streams_tok_s(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        """Tokens per second of all answers, from when each has its first token to when the first one ends."""
        engine = self._engine(len(prompts))
        # An answer that began early may not end before the last one begins: prompts are read a few to a step.
        sampling = SamplingParams(max_tokens=n + 1 + len(prompts), ignore_eos=True)
        for prompt in prompts:
            engine.submit(GenerateRequest(id=f"stream-{next(_numbers)}", prompt=tuple(prompt), sampling=sampling))
        begun: set[str] = set()
        while len(begun) < len(prompts):
            begun |= {event.id for event in engine.step() if isinstance(event, TokenEvent)}
        drawn, start = 0, time.perf_counter()
        for _ in range(n):
            events = engine.step()
            assert not any(isinstance(event, Generation) for event in events), "an answer ended in the timed window"
            drawn += sum(isinstance(event, TokenEvent) for event in events)
        seconds = time.perf_counter() - start
        for request_id in engine.in_flight:
            engine.cancel(request_id)
        engine.step()
        return drawn / seconds

    def answers_s(self, prompts: Sequence[Sequence[int]], n: int, *, at_once: int = 32, guesses: bool = False) -> float:
        """Seconds until every prompt has n tokens more, so many written at once; the most likely token each time."""
        engine, left = self._engine(min(len(prompts), at_once), guesses=guesses), len(prompts)
        sampling = SamplingParams(max_tokens=n, ignore_eos=True)
        start = time.perf_counter()
        for prompt in prompts:
            engine.submit(GenerateRequest(id=f"answer-{next(_numbers)}", prompt=tuple(prompt), sampling=sampling))
        while left:
            for event in engine.step():
                if isinstance(event, Generation):
                    assert len(event.tokens) == n, f"{len(event.tokens)} tokens were written, not {n}"
                    left -= 1
        return time.perf_counter() - start

    def _engine(self, sequences: int, *, guesses: bool = False) -> Engine:
        """One engine for each number of sequences, so that only its first round touches fresh memory."""
        key = sequences, guesses
        if key not in self._engines:
            self._engines[key] = self.model.engine(max_sequences=sequences, guesses=guesses)
        return self._engines[key]
