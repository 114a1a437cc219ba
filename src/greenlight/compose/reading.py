"""How is one text read a few rows at a time, so that its logits are never all held at once?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlight.ops.protocol import PAGE_SIZE, Batch, Pages

if TYPE_CHECKING:
    from greenlight.model.decoder import Decoder


def in_steps(decoder: Decoder, tokens: NDArray[np.int32], rows: int) -> Iterator[tuple[int, Batch, Pages]]:
    """Passes of at most `rows` tokens each, to be run in order: first row, batch that asks for all rows, pages."""
    n_pages = -(-len(tokens) // PAGE_SIZE)
    pages = decoder.new_pages(n_pages)
    for start in range(0, len(tokens), rows):
        part = tokens[start : start + rows]
        batch = Batch(
            tokens=part,
            starts=np.array([0, len(part)], np.int32),
            past=np.array([start], np.int32),
            page_tables=np.arange(n_pages, dtype=np.int32)[None],
            outputs=np.arange(len(part), dtype=np.int32),
        )
        yield start, batch, pages
