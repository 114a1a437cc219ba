"""How do requests become results? One engine owns one decoder's pages and answers any number of requests at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from greenlight.engine.batching import make_batch
from greenlight.engine.generating import Generating
from greenlight.engine.limits import Limits
from greenlight.engine.mailbox import Mailbox, PostOffice
from greenlight.engine.pages import PagePool
from greenlight.engine.prefix import PrefixTree
from greenlight.engine.requests import Event, GenerateRequest, Generation, Request, Scored, ScoreRequest, TokenEvent
from greenlight.engine.sampler import Draw, Row, Sampler
from greenlight.engine.scheduler import Scheduler
from greenlight.engine.scoring import Scoring
from greenlight.engine.sequence import Chunk, Sequence
from greenlight.errors import ConfigError, EngineError
from greenlight.model.kv_groups import group_layers, kv_groups
from greenlight.ops.protocol import PAGE_SIZE
from greenlight.text.stream import StreamDecoder

if TYPE_CHECKING:
    from greenlight.model.decoder import Decoder
    from greenlight.text.tokenizer import Tokenizer

FEW_ROWS = 9
"""Rows of a step that cost little more than one, since reading the weights is what takes the time."""

DEFAULT_KV_BYTES = 1 << 30
"""Memory for keys and values unless said otherwise; pages never written to cost nothing."""


class Engine:
    """Runs requests through a decoder, many at once, and returns what each would get alone.

    Two verbs, `generate` and `score`, take any number of requests and yield results as they finish; `stream` yields one
    answer token by token. Beneath them `submit`, `step` and `cancel` leave the loop to the caller. Which tokens a step
    holds depends on the requests submitted and the number of steps alone, never on a clock. One thread at a time.

    Args:
        decoder: the model.
        tokenizer: its tokenizer: end tokens, and text from tokens.
        max_batch_tokens: tokens a step may hold; more read prompts faster, fewer keep steps short.
        max_sequences: answers written at once; fewer than max_batch_tokens, so that prompts are read meanwhile.
        kv_bytes: memory for keys and values, 1 GiB unless said otherwise; what is never written to costs none.
        n_pages: the same as a number of pages; give one or the other.
        prefix_cache: keep pages for later requests that begin alike.
        guesses: compute several tokens of an answer at once where few are written and their text repeats itself. Only
            on operations that give a row the same bits in every batch: answers are the same with and without.

    Raises:
        ConfigError: a setting makes no sense.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        *,
        max_batch_tokens: int = 512,
        max_sequences: int = 32,
        kv_bytes: int | None = None,
        n_pages: int | None = None,
        prefix_cache: bool = True,
        guesses: bool = True,
    ) -> None:
        _check_sizes(max_batch_tokens, max_sequences)
        self.decoder, self.tokenizer = decoder, tokenizer
        self.max_batch_tokens, self.max_sequences = max_batch_tokens, max_sequences
        config = decoder.config
        layers = group_layers(decoder.kv_layers)
        self._groups = kv_groups(layers)
        one_page = decoder.memory(PAGE_SIZE).page_bytes
        most = sum(group.most_blocks(config.max_seq_len, max_batch_tokens) for group in self._groups)
        self.limits = Limits(
            vocab_size=config.vocab_size,
            max_seq_len=config.max_seq_len,
            n_pages=_count_pages(one_page, max_sequences * most, kv_bytes=kv_bytes, n_pages=n_pages),
            page_bytes=one_page,
            groups=self._groups,
            max_batch_tokens=max_batch_tokens,
        )
        """What one request may need."""
        self._pages = decoder.new_pages(self.limits.n_pages, layers)
        self._pool = PagePool(self.limits.n_pages)
        self._tree = PrefixTree(self._pool, self._groups, enabled=prefix_cache)
        self._scheduler = Scheduler(
            *(self._pool, self._tree, self._copy_page, self._groups),
            max_batch_tokens=max_batch_tokens,
            max_sequences=max_sequences,
        )
        self._sampler = Sampler()
        self._guesses = guesses and decoder.ops.batch_invariant
        self._eos_ids = frozenset(tokenizer.eos_ids)
        self._jobs: dict[str, Generating | Scoring] = {}
        self._arrivals = count()
        self._post = PostOffice()

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight and no event waits for `step` to return it."""
        return not self._jobs and self._post.empty

    @property
    def n_in_flight(self) -> int:
        """Requests submitted that have not ended."""
        return len(self._jobs)

    @property
    def in_flight(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self._jobs)

    @property
    def n_preempted(self) -> int:
        """How often a sequence gave up its pages and started again."""
        return self._scheduler.n_preempted

    @property
    def n_evicted(self) -> int:
        """How many pages of known prefixes were given up for others."""
        return self._tree.n_evicted

    @property
    def most_held_pages(self) -> dict[int | None, int]:
        """By window of layers, most pages of keys and values that requests held in one step."""
        held: dict[int | None, int] = {}
        for group, pages in zip(self._groups, self._scheduler.most_held, strict=True):
            held[group.window] = held.get(group.window, 0) + pages
        return held

    @property
    def n_free_pages(self) -> int:
        """Pages that no request in flight holds; some may keep prefixes until they are needed."""
        return self._pool.n_available

    def check(self, request: Request) -> None:
        """Raise EngineError if `submit` would refuse this request."""
        if request.id in self._jobs:
            raise EngineError(
                "a request of this id is in flight",
                where=f"request {request.id!r}",
                do="give each request its own id, or wait until the other has ended",
            )
        self.limits.check(request)
        if not request.prompt:
            self._beginning(request)

    def submit(self, request: Request) -> None:
        """Queue a request; `step` will return its events.

        Raises:
            EngineError: it can never be honoured, or its id is taken.
        """
        self.check(request)
        arrival = next(self._arrivals)
        if isinstance(request, GenerateRequest):
            sequence = Sequence(request.id, (arrival, 0), list(request.prompt), self._tree.root)
            reply, limit = request.reply, self.limits.max_seq_len
            text = reply.decoder(self.tokenizer, request.prompt) if reply else StreamDecoder(self.tokenizer)
            self._jobs[request.id] = Generating(request, sequence, text, self._eos_ids, limit)
        else:
            job = Scoring(request, request.prompt or self._beginning(request), arrival, self._tree.root)
            self._jobs[request.id], sequence = job, job.first
        self._scheduler.add(sequence)

    def cancel(self, request_id: str) -> Generation | None:
        """End a request now: its pages are free when this returns, whether it was queued or half done.

        Returns:
            The answer as far as it came, finished as `cancelled`; None for continuations being weighed. An iterator
            that asked for the answer yields it too; `step` does not.

        Raises:
            EngineError: no request of this id is in flight.
        """
        job = self._jobs.pop(request_id, None)
        if job is None:
            raise EngineError(
                "no request of this id is in flight",
                where=f"request {request_id!r}",
                found="it ended or was cancelled before, or was never submitted",
                do="cancel a request once, between its submit and its end",
            )
        self._scheduler.remove(request_id)
        answer = job.end("cancelled") if isinstance(job, Generating) else None
        self._post.end(request_id, answer)
        return answer

    def step(self) -> list[Event]:
        """Run one step and return what it brought, save what belongs to an iterator of this engine."""
        self._step()
        return self._post.collect()

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Generation]:
        """Answer requests, yielding each answer as it ends; more are taken from `requests` as room is made.

        Raises:
            EngineError: a request can never be honoured; the ones in flight are cancelled. `check` tells beforehand.
        """
        for event in self._serve(requests, GenerateRequest):
            if isinstance(event, Generation):
                yield event

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """Weigh continuations, yielding each request's weights as they are known; else like `generate`."""
        for event in self._serve(requests, ScoreRequest):
            if isinstance(event, Scored):
                yield event

    def stream(self, request: GenerateRequest) -> Iterator[TokenEvent | Generation]:
        """Answer one request token by token; the `Generation` comes last. Closing the iterator cancels the request."""
        for event in self._serve([request], GenerateRequest):
            if not isinstance(event, Scored):
                yield event

    def _serve(self, requests: Iterable[Request], kind: type[Request]) -> Iterator[Event]:
        """Events of these requests; those of others that come meanwhile wait for whom they belong to."""
        source, box = iter(requests), Mailbox()
        try:
            while self._refill(source, box, kind) or box.open or box.waiting:
                self._step()
                yield from box.collect()
        finally:
            for request_id in sorted(box.open):
                self._post.end(request_id)
                self._jobs.pop(request_id, None)
                self._scheduler.remove(request_id)

    def _refill(self, source: Iterator[Request], box: Mailbox, kind: type[Request]) -> bool:
        """Keep enough requests queued to fill the next step; False when the source has no more."""
        while self._scheduler.n_waiting < self.max_sequences:
            request = next(source, None)
            if request is None:
                return False
            if not isinstance(request, kind):
                raise ConfigError(f"{type(request).__name__} in place of {kind.__name__}", where=f"{request!r:.80}")
            self.submit(request)
            self._post.subscribe(request.id, box)
        return True

    def _step(self) -> None:
        chunks = self._scheduler.plan()
        writing = [c for c in chunks if isinstance(self._jobs[c.sequence.request_id], Generating)]
        weighing = [c for c in chunks if isinstance(self._jobs[c.sequence.request_id], Scoring)]
        # Two passes where both verbs are at work: weights come from `score` always, so that they never depend on
        # whether some answer was being written at the time.
        if writing:
            self._write(writing)
        if weighing:
            self._weigh(weighing)

    def _write(self, chunks: list[Chunk]) -> None:
        """One pass for answers: draw a token where a sequence's last known token was computed, and after each guess."""
        chunks = self._with_guesses(chunks)
        outputs: list[int] = []
        rows: list[Row] = []
        n_rows = 0
        for chunk in chunks:
            n_rows += chunk.n_rows
            if chunk.complete:
                outputs += range(n_rows - 1 - len(chunk.guess), n_rows)
                rows += map(self._generating(chunk).row, range(1 + len(chunk.guess)))
        logits = self.decoder.forward(make_batch(chunks, outputs), self._pages)  # (R, V)
        draws = iter(self._sampler.draw(logits, rows) if rows else [])
        for chunk in chunks:
            if chunk.complete:
                self._take(chunk, list(islice(draws, 1 + len(chunk.guess))))
            else:
                self._scheduler.advance(chunk)

    def _with_guesses(self, chunks: list[Chunk]) -> list[Chunk]:
        """The same, with guesses where so few rows are computed that more cost little."""
        room = FEW_ROWS - sum(chunk.n_rows for chunk in chunks)
        if not self._guesses or room < len(chunks):
            return chunks
        share = room // len(chunks)
        return [
            self._scheduler.extend(chunk, self._generating(chunk).guess(share)) if chunk.complete else chunk
            for chunk in chunks
        ]

    def _take(self, chunk: Chunk, draws: list[Draw]) -> None:
        """Tokens of an answer: the next one, and more as long as a guess was right."""
        job, events = self._generating(chunk), list[Event]()
        for n_right, draw in enumerate(draws):
            events += job.accept(draw)
            ended = isinstance(events[-1], Generation)
            if ended or chunk.guess[n_right : n_right + 1] != (draw.token,):
                break
        if chunk.guess:
            job.guessing.learn(len(chunk.guess), n_right)
        self._scheduler.advance(chunk._replace(stop=chunk.stop + n_right))
        if ended:
            del self._jobs[job.request.id]
            self._scheduler.finish(job.sequence)
        for event in events:
            self._post.deliver(event)

    def _weigh(self, chunks: list[Chunk]) -> None:
        """One pass for weights: all targets that the chunks reach, none of their logits kept."""
        reached = [[t for t in chunk.sequence.targets if t.position < chunk.stop] for chunk in chunks]
        outputs, first = [], 0
        for chunk, targets in zip(chunks, reached, strict=True):
            outputs += [first + target.position - chunk.start for target in targets]
            first += chunk.stop - chunk.start
        tokens = np.array([target.token for targets in reached for target in targets], np.int32)
        logprobs, greedy = self.decoder.score(make_batch(chunks, outputs), self._pages, tokens)  # (R,), (R,)
        if not np.isfinite(logprobs).all():
            raise EngineError("the model's log-probabilities are not finite numbers", do="check the weights' digest")
        weights = zip(logprobs.tolist(), greedy.tolist(), strict=True)
        for chunk, targets in zip(chunks, reached, strict=True):
            job = self._jobs[chunk.sequence.request_id]
            assert isinstance(job, Scoring), "only scores are weighed"
            self._scheduler.advance(chunk)
            del chunk.sequence.targets[: len(targets)]
            for target in targets:
                job.accept(target, *next(weights))
            if chunk.complete:
                self._scheduler.finish(chunk.sequence, job.children(chunk.sequence, targets))
            if (result := job.result) is not None:
                del self._jobs[result.id]
                self._post.deliver(result)

    def _generating(self, chunk: Chunk) -> Generating:
        job = self._jobs[chunk.sequence.request_id]
        assert isinstance(job, Generating), "only answers are written"
        return job

    def _beginning(self, request: Request) -> tuple[int, ...]:
        """The token that an empty prompt stands for."""
        bos = self.tokenizer.bos_id
        beginnings = [*([] if bos is None else [bos]), *sorted(self._eos_ids)]
        if not beginnings:
            raise EngineError(
                "an empty prompt has no token to begin with: the tokenizer knows neither beginning nor end of text",
                where=f"prompt of request {request.id!r}",
                do="give a prompt of at least one token",
            )
        return (beginnings[0],)

    def _copy_page(self, source: int, target: int) -> None:
        self.decoder.ops.copy_page(self._pages, source, target)


def _check_sizes(max_batch_tokens: int, max_sequences: int) -> None:
    if max_sequences < 1:
        raise ConfigError(f"max_sequences is {max_sequences}", do="use 1 or more")
    if max_batch_tokens <= max_sequences:
        raise ConfigError(
            f"max_batch_tokens is {max_batch_tokens}, max_sequences {max_sequences}",
            do="let a step hold more tokens than there are answers, or no prompt could be read while all are written",
        )


def _count_pages(one_page: int, at_most: int, *, kv_bytes: int | None, n_pages: int | None) -> int:
    if kv_bytes is not None and n_pages is not None:
        raise ConfigError("both kv_bytes and n_pages are given", do="give one: they set the same thing")
    if n_pages is None:
        n_pages = min((DEFAULT_KV_BYTES if kv_bytes is None else kv_bytes) // one_page, at_most)
    if n_pages < 1:
        raise ConfigError(
            "there is no memory for a single page of keys and values",
            found=f"n_pages {n_pages}; a page of {PAGE_SIZE} positions takes {one_page} bytes",
            do=f"raise kv_bytes to at least {one_page}",
        )
    return n_pages
