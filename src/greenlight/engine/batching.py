"""How do chunks of sequences become one ragged batch?"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as List

import numpy as np

from greenlight.engine.sequence import Chunk
from greenlight.ops.protocol import Batch


def make_batch(chunks: List[Chunk], outputs: Iterable[int]) -> Batch:
    """One batch of chunks, end to end.

    Args:
        chunks: at least one.
        outputs: rows whose logits are wanted, ascending.
    """
    tokens: list[int] = []
    starts = [0]
    for sequence, start, stop, guess in chunks:
        tokens += sequence.tokens[start:stop]
        tokens += guess
        starts.append(len(tokens))
    tables = list(zip(*(chunk.sequence.tables for chunk in chunks), strict=True))  # (G, B) lists of pages
    width = max(map(len, tables[0]))
    return Batch(
        tokens=np.array(tokens, np.int32),
        starts=np.array(starts, np.int32),
        past=np.array([chunk.start for chunk in chunks], np.int32),
        page_tables=np.array(
            [[pages + [-1] * (width - len(pages)) for pages in table] for table in tables], np.int32
        ),  # (G, B, P)
        outputs=np.fromiter(outputs, np.int32),
    )
