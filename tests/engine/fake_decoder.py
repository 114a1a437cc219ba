"""A model whose every answer depends on every position that its pages should hold, and that looks at how it is used.

It keeps, per position, a hash of all tokens up to there, as real keys and values depend on all tokens before. Logits
are noise keyed by the sum of the hashes read back through the page table: a page that was lost, shared wrongly,
overwritten too early or copied from elsewhere changes them.
"""

from types import SimpleNamespace

import numpy as np

from greenlight.ops.protocol import PAGE_SIZE, KVSpec

_MASK = 2**64 - 1


class FakeOps:
    name, identity, batch_invariant, threads = "fake", "fake", True, 1

    def __init__(self):
        self.n_copies = 0

    def copy_page(self, pages, source, target):
        assert source != target
        self.n_copies += 1
        pages.memory[target] = pages.memory[source]


class FakePages:
    """One hash for each position of each layer; a page holds all layers, of which its group's are used."""

    def __init__(self, n_pages, layers):
        self.layers, self.memory = layers, np.zeros((n_pages, len(layers), PAGE_SIZE), np.uint64)
        self.grouped = len({layer.group for layer in layers}) == len({(layer.group, layer.window) for layer in layers})

    def tables(self, batch):
        return batch.page_tables if batch.page_tables.ndim == 3 else batch.page_tables[None]


class FakeDecoder:
    """Args: vocab_size and max_seq_len as a model's; windows: of each layer, None where it sees all positions."""

    def __init__(self, vocab_size=97, max_seq_len=256, windows=(None,)):
        self.config = SimpleNamespace(vocab_size=vocab_size, max_seq_len=max_seq_len)
        self.ops = FakeOps()
        self.kv_layers = tuple(KVSpec(n_kv_heads=1, head_dim=2, window=window) for window in windows)
        self.n_passes = self.n_tokens = self.most_tokens = 0

    def memory(self, context, sequences=1):
        return SimpleNamespace(page_bytes=context * sequences * 8)

    def new_pages(self, n_pages, layers=None):
        return FakePages(n_pages, self.kv_layers if layers is None else layers)

    def forward(self, batch, pages):
        self._check(batch, pages)
        states = self._run(batch, pages)  # one per new position
        return self._logits(np.array([states[row] for row in batch.outputs], np.uint64))

    def score(self, batch, pages, targets):
        assert targets.dtype == np.int32
        logits = self.forward(batch, pages).astype(np.float64)
        assert len(logits) == len(targets)
        logprobs = np.array([log_softmax(row)[t] for row, t in zip(logits, targets, strict=True)], np.float32)
        return logprobs, logits.argmax(axis=1) == targets if len(targets) else np.zeros(0, np.bool_)

    def _run(self, batch, pages):
        states = []
        for b, past in enumerate(batch.past.tolist()):
            tokens = batch.tokens[batch.starts[b] : batch.starts[b + 1]].tolist()
            seen = np.zeros(len(tokens), np.uint64)
            for number, layer in enumerate(pages.layers):
                memory, table = pages.memory[:, number], pages.tables(batch)[layer.group, b]
                for position, token in enumerate(tokens, past):
                    last_hash = int(memory[table[(position - 1) // PAGE_SIZE], (position - 1) % PAGE_SIZE])
                    # Where a layer sees its own position alone, no page holds the one before.
                    known = position and layer.window != 1
                    memory[table[position // PAGE_SIZE], position % PAGE_SIZE] = mix(
                        (last_hash if known else number + 1) * 31 + token + 1
                    )
                last = past + len(tokens)
                values = memory[table[: -(-last // PAGE_SIZE)]].reshape(-1)
                before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values)])
                ends = np.arange(past, last) + 1
                starts = np.zeros_like(ends) if layer.window is None else np.maximum(ends - layer.window, 0)
                seen += before[ends] - before[starts]
            states += seen.tolist()
        return states

    def _logits(self, states):
        """Sums of four dice in halves, so that equal logits are common, (R, V)."""
        keys = states[:, None] + np.arange(self.config.vocab_size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        keys = (keys ^ (keys >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        keys ^= keys >> np.uint64(32)
        dice = sum((keys >> np.uint64(shift)) & np.uint64(7) for shift in (0, 8, 16, 24))
        return dice.astype(np.float32) / 2

    def _check(self, batch, pages):
        lengths = np.diff(batch.starts)
        assert len(batch.past) == len(lengths) > 0
        assert lengths.min() > 0
        assert batch.starts[0] == 0
        assert batch.starts[-1] == len(batch.tokens)
        assert all(getattr(batch, f).dtype == np.int32 for f in ("tokens", "starts", "past", "page_tables", "outputs"))
        assert batch.tokens.min() >= 0
        assert batch.tokens.max() < self.config.vocab_size
        assert (np.diff(batch.outputs) >= 0).all()
        assert len(batch.outputs) == 0 or 0 <= batch.outputs[0] <= batch.outputs[-1] < len(batch.tokens)
        written, seen = {}, {}
        for group, tables in enumerate(pages.tables(batch)):
            window = next(layer.window for layer in pages.layers if layer.group == group)
            assert len(tables) == len(lengths)
            for b, (past, length) in enumerate(zip(batch.past.tolist(), lengths.tolist(), strict=True)):
                assert past + length <= self.config.max_seq_len
                table, used = tables[b].tolist(), -(-(past + length) // PAGE_SIZE)
                first = 0 if window is None or not pages.grouped else max(0, past + 1 - window) // PAGE_SIZE
                held = [page for page in table if page >= 0]
                n_gone = next(i for i, page in enumerate(table) if page >= 0)
                assert table[n_gone : n_gone + len(held)] == held, "padding comes last, what is gone came first"
                assert n_gone <= first
                assert len(set(held)) == len(held) >= used - n_gone
                assert max(held) < len(pages.memory)
                for index in range(first, used):
                    seen.setdefault(table[index], set()).add((group, b))
                    if index >= past // PAGE_SIZE:
                        written.setdefault(table[index], set()).add((group, b))
        for page, writers in written.items():
            assert len(writers | seen[page]) == 1, "a page that is written to belongs to one group of one sequence"
        self.n_passes += 1
        self.n_tokens += len(batch.tokens)
        self.most_tokens = max(self.most_tokens, len(batch.tokens))


class FakeTokenizer:
    """Ids 0 and 1 begin and end text; then letters, pairs of letters, and halves of two-byte characters."""

    bos_id = 0
    eos_ids = frozenset({1})
    special_ids = frozenset({0, 1})
    strips_space = False

    def __init__(self, vocab_size=97):
        letters = [bytes([c]) for c in b"abcdefghijklmnopqrstuvwxyz .,"]
        pairs = [a + b for a in letters[:7] for b in letters[:7]]
        self._bytes = [b"", b"", *letters, *pairs, b"\xc3", b"\xa9", b"\xe2\x82", b"\xac"]
        self._bytes += [b"~%d" % i for i in range(len(self._bytes), vocab_size)]

    def token_bytes(self, token):
        return self._bytes[token]


def mix(x):
    x = ((x & _MASK) ^ ((x & _MASK) >> 31)) * 0x9E3779B97F4A7C15 & _MASK
    return (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9 & _MASK


def log_softmax(row):
    return row - row.max() - np.log(np.exp(row - row.max()).sum())
