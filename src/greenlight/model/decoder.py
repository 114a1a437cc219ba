"""How do tokens become logits? Embed, run the blocks, normalise, multiply by the head: every family the same way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import release_mapped
from greenlight.model.checkpoint import Checkpoint
from greenlight.model.config import ModelConfig
from greenlight.model.family import Block
from greenlight.model.layer_inputs import LayerEnd, LayerInputs, pack_layer_end, pack_layer_inputs
from greenlight.model.memory import MemoryPlan, plan_memory, stored_sizes
from greenlight.ops.protocol import Array, Batch, KVSpec, Ops, Pages, Step, Weight


class Decoder:
    """A model ready to run: packed weights over a set of operations.

    Args:
        checkpoint: the model on disk; not kept.
        ops: what computes it.
    """

    def __init__(self, checkpoint: Checkpoint, ops: Ops) -> None:
        self.config = checkpoint.config
        self.ops = ops
        self.left_out = checkpoint.left_out
        self.kv_layers: tuple[KVSpec, ...] = checkpoint.family.kv_layers(self.config)
        self.n_parameters = sum(tensor.n_values for tensor in checkpoint.tensors.values())
        self._stored = stored_sizes(checkpoint)
        self._stack = _packed_stack(checkpoint, ops)
        self._logits_of = ops.recorded(self._stack.logits)
        self._normed_of = ops.recorded(self._stack.normed)

    def new_pages(self, n_pages: int, layers: Sequence[KVSpec] | None = None) -> Pages:
        """Storage for keys and values.

        Args:
            n_pages: how many pages of PAGE_SIZE positions.
            layers: what the layers keep, in groups; without them all layers share one table of pages.
        """
        return self.ops.new_pages(n_pages, self.kv_layers if layers is None else layers)

    def forward(self, batch: Batch, pages: Pages) -> NDArray[np.float32]:
        """Logits of the rows that the batch asks for, (R, V); keys and values of all rows go to the pages."""
        return self.ops.to_numpy(self._logits_of(self.ops.begin(batch, pages)))

    def lens(self, batch: Batch, pages: Pages) -> Iterator[NDArray[np.float32]]:
        """What each block's output would say, read by the final norm and head (the logit lens, nostalgebraist 2020).

        Args:
            batch: as for `forward`.
            pages: as for `forward`; no other step may run until all blocks have come.

        Yields:
            Logits of the rows asked for, (R, V), after each block; after the last one they are `forward`'s.
        """
        ops, stack = self.ops, self._stack
        step = ops.begin(batch, pages)
        for done, x in enumerate(stack.hidden(ops, step), start=1):
            yield ops.to_numpy(stack.head_of(ops, step, x if done == len(stack.blocks) else ops.rows(step, x)))

    def score(
        self, batch: Batch, pages: Pages, targets: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Log-probability of one target per asked row, and whether it was the most likely token.

        Args:
            batch: as for `forward`.
            pages: as for `forward`.
            targets: one token id per row asked for, (R,).

        Returns:
            Natural logarithms, (R,), and the flags, (R,); logits are never all held at once.
        """
        step = self.ops.begin(batch, pages)
        return self.ops.token_logprobs(
            step, self._normed_of(step), self._stack.head, targets, self.config.final_softcap
        )

    def memory(self, context: int, sequences: int = 1) -> MemoryPlan:
        """Bytes that running `sequences` of `context` positions at once will take, predicted."""
        return plan_memory(self.config, self.kv_layers, self._stored, self.ops.name, context, sequences)


@dataclass(frozen=True, slots=True)
class _Stack:
    """All packed weights of a model, and what is computed of them: by the ops that are given, on any of their steps."""

    config: ModelConfig
    embedding: Weight
    inputs: LayerInputs | None
    blocks: list[tuple[Block, LayerEnd | None]]
    norm: Weight
    head: Weight

    def logits(self, ops: Ops, step: Step) -> Array:
        """Logits of the rows asked for, (R, V)."""
        return self.head_of(ops, step, self._last_hidden(ops, step))

    def normed(self, ops: Ops, step: Step) -> Array:
        """What the head multiplies, of the rows asked for, (R, C)."""
        return ops.rms_norm(step, self._last_hidden(ops, step), self.norm, self.config.norm_eps)

    def hidden(self, ops: Ops, step: Step) -> Iterator[Array]:
        """What leaves each block, (T, C); the last one at the rows asked for alone, (R, C)."""
        x = ops.embed(step, self.embedding, self.config.embedding_scale)
        of_layer = self.inputs.of_step(ops, step, x) if self.inputs is not None else None
        for layer, (block, end) in enumerate(self.blocks):
            last = layer + 1 == len(self.blocks)
            x = block(ops, step, x, last=last)
            if end is not None:
                vectors = None if of_layer is None else of_layer(layer)
                x = end(ops, step, x, ops.rows(step, vectors) if last and vectors is not None else vectors)
            yield x

    def head_of(self, ops: Ops, step: Step, x: Array) -> Array:
        """Final norm, head and soft cap over rows that are not yet normed, (R, V)."""
        logits = ops.norm_linear(step, x, self.norm, self.config.norm_eps, self.head)
        return logits if self.config.final_softcap is None else ops.softcap(step, logits, self.config.final_softcap)

    def _last_hidden(self, ops: Ops, step: Step) -> Array:
        """The blocks' output at the rows asked for, not yet normed, (R, C)."""
        return deque(self.hidden(ops, step), maxlen=1).pop()


def _packed_stack(checkpoint: Checkpoint, ops: Ops) -> _Stack:
    config = checkpoint.config
    embedding = checkpoint["model.embed_tokens.weight"]
    head = embedding if config.tied_head else checkpoint["lm_head.weight"]
    return _Stack(
        config=config,
        embedding=ops.pack_embedding(embedding),
        inputs=pack_layer_inputs(ops, config, checkpoint) if config.per_layer_dim else None,
        blocks=list(_packed_blocks(checkpoint, ops)),
        norm=ops.pack_norm(checkpoint["model.norm.weight"], config.norm_offset),
        head=ops.pack_linear([head], [None]),
    )


def _packed_blocks(checkpoint: Checkpoint, ops: Ops) -> Iterator[tuple[Block, LayerEnd | None]]:
    """Each block, packed; the pages of the file that it was read from need not stay resident beside it."""
    config = checkpoint.config
    for layer in range(config.n_layers):
        block = checkpoint.family.pack_block(ops, config, layer, checkpoint)
        yield block, pack_layer_end(ops, config, layer, checkpoint)
        release_mapped(checkpoint.tensors.values())
