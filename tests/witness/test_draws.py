"""transformers computes the same logits for hundreds of random configs of every family, however a prompt is cut up."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from greenlight.errors import UnsupportedError
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from greenlight.ops.protocol import PAGE_SIZE, Batch
from tests.builders import all_logits, one_sequence
from tests.witness.draws import DESIGNS, N_DRAWS, Config, draw_config, logits_of, pick, random_model

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

SEEDS = range(N_DRAWS)
TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit."""

SLACK = 8
"""Where that is not met: how much farther from float64 ours may lie than transformers' own, whose angles of positions
are float32 in either copy, and than its weights' rounding moves it."""

NUMPY = NumpyOps()
NATIVE = native.NativeOps(kv="f32") if native.available() else NUMPY
"""The kernels, where they are built; nothing is lost by asking the reference twice."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def folder_of(path: Path, config: Config, model: Any, seed: int) -> Path:
    """What transformers saves; for each other seed with the config.json as it was drawn."""
    model.save_pretrained(path)
    if seed % 2:
        (path / "config.json").write_text(json.dumps(config))
    return path


def edges(config: Config) -> tuple[int, ...]:
    """Lengths at which something changes: windows, pages, the context before stretching."""
    text = json.dumps(config)
    places = {PAGE_SIZE, 2 * PAGE_SIZE, *(n for n in (8, 16, 64) if f'original_max_position_embeddings": {n}' in text)}
    if isinstance(config.get("sliding_window"), int):
        places |= {config["sliding_window"], config["sliding_window"] + PAGE_SIZE}
    return tuple(sorted({max(1, place + more) for place in places for more in (-1, 0, 1)}))


def draw_prompts(config: Config, seed: int) -> list[np.ndarray]:
    """Four: a long one, one token, and two that end at an edge."""
    rng = np.random.default_rng(seed)
    lengths = [int(rng.integers(66, 90)), pick(rng, edges(config)), 1, pick(rng, edges(config))]
    return [rng.integers(config["vocab_size"], size=length) for length in lengths]


def on_kernels(opened: Checkpoint) -> Any:
    """The model on the native kernels, or on the reference where they say that they lack something it needs."""
    try:
        decoder = load_decoder(opened, NATIVE)
        all_logits(decoder, [0])
        return decoder
    except UnsupportedError as error:
        if "native kernels" not in error.what:
            raise
        return load_decoder(opened, NUMPY)


class Judge:
    """Compares logits with transformers', whose own rounding is asked for where a draw lets rounding grow."""

    def __init__(self, model: Any, prompts: list[np.ndarray]) -> None:
        self._model, self._prompts = model, prompts
        self._theirs = [logits_of(model, prompt) for prompt in prompts]

    def check(self, which: int, ours: np.ndarray, how: str) -> None:
        theirs = self._theirs[which]
        assert ours.shape == theirs.shape
        error = distance(ours, theirs)
        if error > TOLERANCE:  # scores so large that float32 itself is no better: then nobody's float32 is the truth
            exact = self._exactly(which, rounded=False)
            own = max(distance(theirs, exact), distance(self._exactly(which, rounded=True), exact))
            error = distance(ours, exact)
            assert error <= max(TOLERANCE, SLACK * own), f"{how}: {error:.2g}, transformers itself {own:.2g}"

    def _exactly(self, which: int, *, rounded: bool) -> np.ndarray:
        """In float64; `rounded` with each weight off by up to half a last bit of float32: what no float32 can tell."""
        model = copy.deepcopy(self._model).double()
        if rounded:
            noise = torch.Generator().manual_seed(which)
            with torch.no_grad():
                for weight in model.parameters():
                    weight *= 1 + (torch.rand(weight.shape, generator=noise, dtype=weight.dtype) - 0.5) * 2**-23
        return logits_of(model, self._prompts[which])


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of logits, relative to the largest logit."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def token_by_token(decoder: Any, tokens: np.ndarray) -> np.ndarray:
    pages = decoder.new_pages(-(-len(tokens) // PAGE_SIZE))
    return np.concatenate([decoder.forward(one_sequence(tokens[t : t + 1], past=t), pages) for t in range(len(tokens))])


def ragged(decoder: Any, prompts: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Sequences of unequal length in one batch, prefilled in uneven chunks, their pages in random order."""
    counts = [-(-len(prompt) // PAGE_SIZE) for prompt in prompts]
    tables = np.full((len(prompts), max(counts)), -1, np.int32)
    for b, held in enumerate(np.split(rng.permutation(sum(counts)), np.cumsum(counts)[:-1])):
        tables[b, : len(held)] = held
    pages, past = decoder.new_pages(sum(counts)), np.zeros(len(prompts), np.int32)
    got: list[list[np.ndarray]] = [[] for _ in prompts]
    while live := [b for b in range(len(prompts)) if past[b] < len(prompts[b])]:
        sizes = [min(int(rng.integers(1, 40)), len(prompts[b]) - int(past[b])) for b in live]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        new = np.concatenate([prompts[b][past[b] : past[b] + n] for b, n in zip(live, sizes, strict=True)])
        batch = Batch(
            tokens=new.astype(np.int32),
            starts=starts,
            past=past[live],
            page_tables=tables[live],
            outputs=np.arange(len(new), dtype=np.int32),
        )
        for b, n, rows in zip(live, sizes, np.split(decoder.forward(batch, pages), starts[1:-1]), strict=True):
            got[b].append(rows)
            past[b] += n
    return [np.concatenate(rows) for rows in got]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", DESIGNS)
def test_a_drawn_model_gives_the_same_logits(family, seed, tmp_path):
    config = draw_config(family, seed)
    model = random_model(config, seed)
    folder = folder_of(tmp_path / "m", config, model, seed)
    prompts = draw_prompts(config, seed)
    judge = Judge(model, prompts)
    opened = open_checkpoint(folder)
    assert (opened.config.family, opened.unread) == (family, ())
    ours, fast = load_decoder(opened, NUMPY), on_kernels(opened)
    judge.check(0, all_logits(ours, prompts[0]), "numpy, one prefill")
    judge.check(0, all_logits(fast, prompts[0]), "native, one prefill")
    judge.check(0, token_by_token(fast, prompts[0]), "native, token by token")
    for which, rows in enumerate(ragged(fast, prompts, np.random.default_rng(seed))):
        judge.check(which, rows, "native, ragged batches")
    if seed % 4 == 0:
        for which, rows in enumerate(ragged(ours, prompts, np.random.default_rng(seed))):
            judge.check(which, rows, "numpy, ragged batches")
    if seed % 8 == 1:
        judge.check(1, token_by_token(ours, prompts[1]), "numpy, token by token")
