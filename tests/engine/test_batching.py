import numpy as np

from greenlight.engine.batching import make_batch
from greenlight.engine.prefix import Node
from greenlight.engine.sequence import Chunk, Sequence


def chunk(tokens, start, stop, pages):
    sequence = Sequence("a", (0, 0), tokens, Node())
    sequence.tables = [pages]
    return Chunk(sequence, start, stop)


def test_chunks_lie_end_to_end_with_their_positions_and_pages():
    batch = make_batch([chunk(list(range(50)), 30, 33, [4, 1]), chunk([7], 0, 1, [0])], [2, 3])
    assert batch.tokens.tolist() == [30, 31, 32, 7]
    assert batch.starts.tolist() == [0, 3, 4]
    assert batch.past.tolist() == [30, 0]
    assert batch.positions.tolist() == [30, 31, 32, 0]
    assert batch.page_tables.tolist() == [[[4, 1], [0, -1]]]
    assert batch.outputs.tolist() == [2, 3]
    assert batch.outputs.dtype == np.int32


def test_a_batch_may_ask_for_nothing():
    assert make_batch([chunk([7, 8], 0, 1, [0])], []).outputs.shape == (0,)
