"""How do tokens become logits? Embed, run the blocks, normalise, multiply by the head: every family the same way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from greenlight.formats.tensors import release_mapped
from greenlight.model.checkpoint import Checkpoint
from greenlight.model.family import Block
from greenlight.model.layer_inputs import LayerEnd, pack_layer_end, pack_layer_inputs
from greenlight.model.memory import MemoryPlan, plan_memory, stored_sizes
from greenlight.ops.protocol import Array, Batch, KVSpec, Ops, Pages, Step


class Decoder:
    """A model ready to run: packed weights over a set of operations.

    Args:
        checkpoint: the model on disk; not kept.
        ops: what computes it.
    """

    def __init__(self, checkpoint: Checkpoint, ops: Ops) -> None:
        family, config = checkpoint.family, checkpoint.config
        self.config = config
        self.ops = ops
        self.left_out = checkpoint.left_out
        self.kv_layers: tuple[KVSpec, ...] = family.kv_layers(config)
        self.n_parameters = sum(tensor.n_values for tensor in checkpoint.tensors.values())
        self._stored = stored_sizes(checkpoint)
        embedding = checkpoint["model.embed_tokens.weight"]
        head = embedding if config.tied_head else checkpoint["lm_head.weight"]
        self._embedding = ops.pack_embedding(embedding)
        self._inputs = pack_layer_inputs(ops, config, checkpoint) if config.per_layer_dim else None
        self._blocks = list(_packed_blocks(checkpoint, ops))
        self._norm = ops.pack_norm(checkpoint["model.norm.weight"], config.norm_offset)
        self._head = ops.pack_linear([head], [None])

    def new_pages(self, n_pages: int, layers: Sequence[KVSpec] | None = None) -> Pages:
        """Storage for keys and values.

        Args:
            n_pages: how many pages of PAGE_SIZE positions.
            layers: what the layers keep, in groups; without them all layers share one table of pages.
        """
        return self.ops.new_pages(n_pages, self.kv_layers if layers is None else layers)

    def forward(self, batch: Batch, pages: Pages) -> NDArray[np.float32]:
        """Logits of the rows that the batch asks for, (R, V); keys and values of all rows go to the pages."""
        step = self.ops.begin(batch, pages)
        return self._logits(step, self._last_hidden(step))

    def lens(self, batch: Batch, pages: Pages) -> Iterator[NDArray[np.float32]]:
        """What each block's output would say, read by the final norm and head (the logit lens, nostalgebraist 2020).

        Args:
            batch: as for `forward`.
            pages: as for `forward`; no other step may run until all blocks have come.

        Yields:
            Logits of the rows asked for, (R, V), after each block; after the last one they are `forward`'s.
        """
        step = self.ops.begin(batch, pages)
        blocks = len(self._blocks)
        for done, x in enumerate(self._hidden(step), start=1):
            yield self._logits(step, x if done == blocks else self.ops.rows(step, x))

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
        ops, step = self.ops, self.ops.begin(batch, pages)
        x = ops.rms_norm(step, self._last_hidden(step), self._norm, self.config.norm_eps)
        return ops.token_logprobs(step, x, self._head, targets, self.config.final_softcap)

    def memory(self, context: int, sequences: int = 1) -> MemoryPlan:
        """Bytes that running `sequences` of `context` positions at once will take, predicted."""
        return plan_memory(self.config, self.kv_layers, self._stored, self.ops.name, context, sequences)

    def _last_hidden(self, step: Step) -> Array:
        """The blocks' output at the rows asked for, not yet normed, (R, C)."""
        return deque(self._hidden(step), maxlen=1).pop()

    def _hidden(self, step: Step) -> Iterator[Array]:
        """What leaves each block, (T, C); the last one at the rows asked for alone, (R, C)."""
        x = self.ops.embed(step, self._embedding, self.config.embedding_scale)
        of_layer = self._inputs.of_step(self.ops, step, x) if self._inputs is not None else None
        for layer, (block, end) in enumerate(self._blocks):
            last = layer + 1 == len(self._blocks)
            x = block(self.ops, step, x, last=last)
            if end is not None:
                vectors = None if of_layer is None else of_layer(layer)
                x = end(self.ops, step, x, self.ops.rows(step, vectors) if last and vectors is not None else vectors)
            yield x

    def _logits(self, step: Step, x: Array) -> NDArray[np.float32]:
        """Final norm, head and soft cap over rows that are not yet normed, (R, V)."""
        logits = self.ops.norm_linear(step, x, self._norm, self.config.norm_eps, self._head)
        if self.config.final_softcap is not None:
            logits = self.ops.softcap(step, logits, self.config.final_softcap)
        return self.ops.to_numpy(logits)


def _packed_blocks(checkpoint: Checkpoint, ops: Ops) -> Iterator[tuple[Block, LayerEnd | None]]:
    """Each block, packed; the pages of the file that it was read from need not stay resident beside it."""
    config = checkpoint.config
    for layer in range(config.n_layers):
        block = checkpoint.family.pack_block(ops, config, layer, checkpoint)
        yield block, pack_layer_end(ops, config, layer, checkpoint)
        release_mapped(checkpoint.tensors.values())
