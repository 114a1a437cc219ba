"""How does a model read a text? Each token's probability, what else was likely, and what each layer would have said."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2

import numpy as np
from numpy.typing import NDArray

from greenlight.compose.models import find_files
from greenlight.compose.reading import in_steps
from greenlight.engine.local import tokenizer_of
from greenlight.errors import EngineError, UsageError
from greenlight.evidence import JSON
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from greenlight.text import Tokenizer

MAX_TOKENS = 512
"""Longer texts are refused: nobody reads a longer table, and every token costs one row of logits per layer."""

MAX_ALTERNATIVES = 20

SURPRISING = 0.01
"""A token below this probability is marked."""

_CHUNK_LOGITS = 1 << 25
"""Logits of all layers in one step: 128 MB, as operations may hold them until the step ends."""


def read(reference: str, text: str, *, top: int = 5, ops: str | None = None) -> dict[str, JSON]:
    """A model's reading of a text, as ordinary text: spellings of special tokens in it count for nothing.

    Args:
        reference: the model; it must be in the cache or on disk.
        text: at most MAX_TOKENS tokens.
        top: how many alternatives at each place.
        ops: as for `models.load`.

    Raises:
        UsageError: a text that is empty or too long, or an impossible `top`.
        EngineError: weights that give no finite logits.
        HubError, FormatError, UnsupportedError, TextError.
    """
    if not 1 <= top <= MAX_ALTERNATIVES:
        raise UsageError(f"alternatives are 1 to {MAX_ALTERNATIVES}", found=str(top))
    found = find_files(reference)
    checkpoint = open_checkpoint(found.path)
    tokenizer = tokenizer_of(checkpoint)
    ids = _checked(tokenizer.encode(text, bos=True), checkpoint.config.max_seq_len)
    decoder = load_decoder(checkpoint, select_ops(ops), adapter=found.adapters or None)
    return {"reference": reference, "ops": decoder.ops.identity, **_reading(decoder, tokenizer, ids, top)}


def _checked(ids: list[int], context: int) -> list[int]:
    limit = min(MAX_TOKENS, context)
    if not ids:
        raise UsageError("the text has no tokens", do="give --text something to read")
    if len(ids) > limit:
        raise UsageError("the text is too long to show", found=f"{len(ids)} tokens, at most {limit}", do="shorten it")
    return ids


def _reading(decoder: Decoder, tokenizer: Tokenizer, ids: list[int], top: int) -> dict[str, JSON]:
    top = min(top, decoder.config.vocab_size)
    tokens: list[JSON] = [{**_token(tokenizer, ids[0]), "probability": None, "rank": None, "alternatives": []}]
    lens: list[JSON] = []
    after: list[JSON] = []
    for start, layers in _chunks(decoder, np.array(ids, np.int32)):
        guesses: list[list[JSON]] = [[] for _ in range(min(len(ids) - start, _rows(decoder)))]
        probabilities = np.empty((0, 0))
        for logits in layers:
            probabilities = _softmax(logits)
            for guess, row in zip(guesses, probabilities, strict=True):
                guess.append(_likely(tokenizer, row, 1)[0])
        lens += guesses
        for position, row in enumerate(probabilities, start + 1):
            after = _likely(tokenizer, row, top)
            if position < len(ids):
                tokens.append(_placed(tokenizer, ids[position], row, after))
    bits = [surprise(token["probability"]) for token in tokens[1:]]
    return {
        "tokens": tokens,
        "next": after,
        "lens": lens,
        "n_layers": decoder.config.n_layers,
        "bits_per_token": sum(bits) / len(bits) if bits else None,
    }


def surprise(probability: float) -> float:
    """-log2 of a probability, in bits; what is too small for a double counts as the smallest one."""
    return max(0.0, -log2(max(probability, 5e-324)))


def _rows(decoder: Decoder) -> int:
    """Rows of one step, so that the logits of all its layers stay within bounds."""
    return max(1, _CHUNK_LOGITS // (decoder.config.vocab_size * decoder.config.n_layers))


def _chunks(decoder: Decoder, ids: NDArray[np.int32]) -> Iterator[tuple[int, Iterator[NDArray[np.float32]]]]:
    """The text a few rows at a time: the first row, and its logits after each block, (rows, V)."""
    for start, batch, pages in in_steps(decoder, ids, _rows(decoder)):
        yield start, decoder.lens(batch, pages)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    if not np.isfinite(logits).all():
        raise EngineError(
            "the model's logits are not finite numbers",
            found="a row with NaN or infinity",
            do="the weights may be damaged: pull them again",
        )
    values: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    values /= values.sum(axis=1, keepdims=True)
    return values


def _placed(tokenizer: Tokenizer, id: int, row: NDArray[np.float64], alternatives: list[JSON]) -> JSON:
    """A token at its place: its probability, and how many tokens were likelier."""
    return {
        **_token(tokenizer, id),
        "probability": float(row[id]),
        "rank": int((row > row[id]).sum()) + 1,
        "alternatives": alternatives,
    }


def _likely(tokenizer: Tokenizer, row: NDArray[np.float64], top: int) -> list[JSON]:
    """The most likely tokens, best first; equals in order of their ids."""
    if top == 1:
        best = [int(row.argmax())]
    else:
        floor = np.partition(row, len(row) - top)[len(row) - top]
        candidates = np.flatnonzero(row >= floor)
        best = candidates[np.argsort(-row[candidates], kind="stable")][:top].tolist()
    return [{**_token(tokenizer, id), "probability": float(row[id])} for id in best]


def _token(tokenizer: Tokenizer, id: int) -> dict[str, JSON]:
    """A token as it is spelled; bytes that are no UTF-8 alone are written as escapes."""
    return {"id": id, "text": tokenizer.token_bytes(id).decode(errors="backslashreplace")}
