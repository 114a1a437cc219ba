"""Can this request ever be honoured? Said before it is queued, with the number that would have to change."""

from __future__ import annotations

from dataclasses import dataclass

from greenlight.engine.requests import GenerateRequest, Request
from greenlight.errors import EngineError
from greenlight.model.kv_groups import KVGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one request may need."""

    vocab_size: int
    """Token ids are below this."""

    max_seq_len: int
    """Positions of the model."""

    n_pages: int
    """Pages of the engine."""

    page_bytes: int
    """Bytes of one."""

    groups: tuple[KVGroup, ...]
    """Of layers: each needs pages of its own."""

    max_batch_tokens: int
    """Positions that one step may compute."""

    def check(self, request: Request) -> None:
        """Raise EngineError if the request can never be honoured."""
        self._check_ids(request, "prompt", request.prompt)
        if isinstance(request, GenerateRequest):
            if len(request.prompt) >= self.max_seq_len:
                raise self._too_long(request, "the prompt leaves no room for an answer", len(request.prompt))
            n_positions = min(len(request.prompt) + request.sampling.max_tokens - 1, self.max_seq_len)
        else:
            for index, tokens in enumerate(request.continuations):
                self._check_ids(request, f"continuation {index}", tokens)
            # An empty prompt stands for one token; a continuation's last token is weighed, never read.
            n_positions = max(len(request.prompt), 1) + max(map(len, request.continuations)) - 1
            if n_positions > self.max_seq_len:
                raise self._too_long(request, "prompt and continuation are longer than the context", n_positions)
        self._check_pages(request, n_positions)

    def _check_ids(self, request: Request, field: str, tokens: tuple[int, ...]) -> None:
        if tokens and not 0 <= min(tokens) <= max(tokens) < self.vocab_size:
            wrong = next(token for token in tokens if not 0 <= token < self.vocab_size)
            raise EngineError(
                "a token id is outside the vocabulary",
                where=f"{field} of request {request.id!r}",
                found=f"{wrong}; ids go from 0 to {self.vocab_size - 1}",
                do="encode the text with this model's own tokenizer",
            )

    def _too_long(self, request: Request, what: str, n_tokens: int) -> EngineError:
        return EngineError(
            what,
            where=f"prompt of request {request.id!r}",
            found=f"{n_tokens} tokens; the model's max_seq_len is {self.max_seq_len}",
            do="shorten the prompt (nothing is cut silently), or use a model with a larger max_seq_len",
        )

    def _check_pages(self, request: Request, n_positions: int) -> None:
        needed = sum(group.most_blocks(n_positions, self.max_batch_tokens) for group in self.groups)
        if needed > self.n_pages:
            raise EngineError(
                "the request needs more memory for keys and values than the engine has",
                where=f"request {request.id!r}",
                found=f"{n_positions} tokens, prompt and answer, take {needed} pages; there are {self.n_pages}",
                do=f"lower max_tokens, or raise the engine's kv_bytes to {needed * self.page_bytes} (n_pages {needed})",
            )
