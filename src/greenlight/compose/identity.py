"""What did a conversion cost? Parent and child read one text, and each prediction is held against the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenlight.compose.models import Files
from greenlight.compose.reading import in_steps
from greenlight.engine.local import tokenizer_of
from greenlight.errors import TextError
from greenlight.evidence import JSON, format_of, sha256, sha256_json, write_json
from greenlight.measure.divergence import Divergence
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.model.types import Importance
from greenlight.ops import select_ops
from greenlight.ops.listening import ListeningOps
from greenlight.text import Tokenizer

WINDOW = 512
"""Tokens that are read together, or as many as the model reads."""

MAX_TOKENS = 8192
"""Tokens of a text that are read; the first ones."""

_CHUNK_LOGITS = 1 << 23
"""Logits of one model that are held at a time: 32 MiB."""

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that models read."""

    name: str
    """The file's name, or the packaged text's."""

    text: str
    """Its characters."""

    @classmethod
    def packaged(cls) -> Text:
        """A few pages of prose, talk, numbers and code that ship with greenlight."""
        return cls("packaged", resources.files("greenlight.compose").joinpath("identity.txt").read_text("utf-8"))

    @classmethod
    def of_file(cls, path: Path) -> Text:
        """A file's text.

        Raises:
            TextError: it cannot be read, or is not UTF-8.
        """
        try:
            return cls(path.name, path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TextError("the text cannot be read", where=str(path), found=str(error)) from error


def windows_of(text: Text, tokenizer: Tokenizer, max_seq_len: int) -> list[NDArray[np.int32]]:
    """A text as stretches of tokens, each begun as the model's texts are begun; the last may be short.

    Raises:
        TextError: fewer than two tokens.
    """
    ids = tokenizer.encode(text.text)[:MAX_TOKENS]
    bos = [tokenizer.bos_id] if tokenizer.add_bos and tokenizer.bos_id is not None else []
    size = min(WINDOW, max_seq_len) - len(bos)
    found = [np.array(bos + ids[at : at + size], np.int32) for at in range(0, len(ids), size)]
    found = [window for window in found if len(window) > 1]
    if not found:
        raise TextError("the text is too short", where=text.name, found=f"{len(ids)} tokens", do="give a longer one")
    return found


def compare(
    parent: Files, child: Path, text: Text, *, ops: str | None = None, told: Told | None = None
) -> dict[str, JSON]:
    """Both models over one text: what `Divergence` says, the text and the ops.

    Raises:
        TextError: the two read the text as different tokens, or it is too short.
    """
    checkpoints = [open_checkpoint(path) for path in (parent.path, child)]
    theirs, ours = map(tokenizer_of, checkpoints)
    reach = min(checkpoint.config.max_seq_len for checkpoint in checkpoints)
    windows = windows_of(text, theirs, reach)
    if [window.tolist() for window in windows] != [window.tolist() for window in windows_of(text, ours, reach)]:
        raise TextError("the two models read the text as different tokens", where=text.name)
    chosen = select_ops(ops)
    adapters = (parent.adapters or None, None)
    decoders = [
        load_decoder(checkpoint, chosen, adapter=adapter)
        for checkpoint, adapter in zip(checkpoints, adapters, strict=True)
    ]
    found = _over(decoders, windows, told)
    summary = found.summary()
    if found.first is not None:
        spelled = {side: ours.token_bytes(getattr(found.first, side)).decode("utf-8", "replace") for side in _SIDES}
        summary["first_difference"]["text"] = spelled
    n_tokens = sum(map(len, windows))
    return {
        **summary,
        "ops": chosen.identity,
        "text": {"name": text.name, "sha256": sha256(text.text.encode()), "tokens": n_tokens, "window": WINDOW},
    }


_SIDES = ("parent", "child")


def _over(decoders: list[Decoder], windows: list[NDArray[np.int32]], told: Told | None) -> Divergence:
    found, done = Divergence(), 0
    for window in windows:
        found.window()
        parent, child = (predictions(decoder, window) for decoder in decoders)
        for (start, theirs), (_, ours) in zip(parent, child, strict=True):
            rows = min(len(theirs), len(window) - 1 - start)
            if rows > 0:
                found.add(theirs[:rows], ours[:rows], window[start + 1 : start + 1 + rows])
        done += len(window)
        if told:
            told(done, sum(map(len, windows)))
    return found


def predictions(decoder: Decoder, window: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Logits after each token of a window, a few rows at a time: (first row, (rows, V))."""
    rows = max(1, min(len(window), _CHUNK_LOGITS // decoder.config.vocab_size))
    for start, batch, pages in in_steps(decoder, window, rows):
        yield start, decoder.forward(batch, pages)


def listen(source: Files, text: Text, told: Told | None = None) -> Importance:
    """Mean squared input of every linear's channels while the model reads a text, by Hugging Face name."""
    checkpoint, ops = source.checkpoint("merged"), ListeningOps()
    decoder = load_decoder(checkpoint, ops)
    windows, done = windows_of(text, tokenizer_of(checkpoint), checkpoint.config.max_seq_len), 0
    for window in windows:
        for _ in predictions(decoder, window):
            pass
        done += len(window)
        if told:
            told(done, sum(map(len, windows)))
    means = ops.means()
    found = {name: means.get(name, means.get(tensor.name)) for name, tensor in checkpoint.tensors.items()}
    if checkpoint.config.tied_head:
        found["model.embed_tokens.weight"] = means.get(checkpoint.tensors["model.embed_tokens.weight"].name)
    return {name: mean for name, mean in found.items() if mean is not None}


def report_path(target: Path) -> Path:
    """Where a converted model's report lies: beside it, so that the model's own digest does not hang on it."""
    return target.with_name(f"{target.name}.identity.json")


def write_report(conversion: dict[str, JSON], measured: dict[str, JSON] | None, target: Path) -> dict[str, JSON]:
    """The report, written beside the target; its id is the digest of all the rest."""
    value = {**conversion, "format": format_of("identity"), "measured": measured}
    value["id"] = sha256_json(value)
    write_json(report_path(target), value)
    return value
