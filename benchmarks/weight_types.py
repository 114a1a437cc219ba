"""What does each type of weights cost in accuracy? Its rounding, and what the native kernels add to it.

The model's linears are written in each type (Q8_0 where rows fill no whole blocks) and run twice on some English: in
numpy, which is exact, and in native kernels, which round activations to int8. Divergences are of next-token
distributions, in nats a position: `rounding` from the model as it is, `kernels` from the exact run of the same weights.

    python -m benchmarks.weight_types MODEL.gguf [--types Q4_0,Q4_K] [--positions 256]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.agreement import Agreement, agreement
from benchmarks.text import plain_text, source
from greenlight.compose.identity import predictions
from greenlight.engine.local import tokenizer_of
from greenlight.formats.quants import QUANTISERS, dequantize, quantise
from greenlight.formats.tensors import Tensor, TensorType
from greenlight.model.checkpoint import Checkpoint, open_checkpoint
from greenlight.model.decoder import Decoder
from greenlight.ops import Ops
from greenlight.ops.native import NativeOps
from greenlight.ops.numpy_ops import NumpyOps


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, a line per type."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--types", default=",".join(type_.name for type_ in QUANTISERS))
    parser.add_argument("--positions", type=int, default=256)
    asked = parser.parse_args(arguments)
    checkpoint = open_checkpoint(asked.model)
    encoded = tokenizer_of(checkpoint).encode(plain_text())[: asked.positions + 1]
    tokens, following = np.array(encoded[:-1], np.int32), np.array(encoded[1:], np.int32)
    wide = recoded(checkpoint, TensorType.F32)
    parent = logits(wide, NumpyOps(), tokens)
    print(f"{asked.model.name}, {len(tokens)} positions of {source()}")
    for name in asked.types.split(","):
        stored = recoded(wide, TensorType[name])
        exact = logits(stored, NumpyOps(), tokens)
        ours = logits(stored, NativeOps(), tokens)
        print(
            f"{name:7} {share(stored, TensorType[name]):4.0%} of values   "
            f"rounding {said(agreement(parent, exact, following))}   kernels {said(agreement(exact, ours, following))}",
            flush=True,
        )


def recoded(checkpoint: Checkpoint, type_: TensorType) -> Checkpoint:
    """The model with its matrices in another type."""
    tensors = {name: recode(checkpoint[name], type_) for name in checkpoint}
    return replace(checkpoint, format="safetensors", tensors=tensors, made={})


def recode(tensor: Tensor, type_: TensorType) -> Tensor:
    """The tensor in that type, or the nearest that holds it: F32 for vectors, Q8_0 where blocks do not fit."""
    if len(tensor.shape) == 1:
        type_ = TensorType.F32
    elif tensor.shape[-1] % type_.block_values:
        type_ = TensorType.Q8_0
    return Tensor(tensor.name, type_, tensor.shape, quantise(dequantize(tensor), type_, name=tensor.name))


def share(checkpoint: Checkpoint, type_: TensorType) -> float:
    """Of the model's values, how many are in that type."""
    tensors = checkpoint.tensors.values()
    return sum(t.n_values for t in tensors if t.type is type_) / sum(t.n_values for t in tensors)


def logits(checkpoint: Checkpoint, ops: Ops, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
    """Of the next token at every position, (T, V)."""
    return np.concatenate([rows for _, rows in predictions(Decoder(checkpoint, ops), tokens)])


def said(found: Agreement) -> str:
    """How near one run of the text is to another."""
    return f"{found.mean_kl:.5f} nats, top-1 {found.same.mean():.3f}"


if __name__ == "__main__":
    main()
