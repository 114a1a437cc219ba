"""What a request should get, computed without the engine: one token after the other, each from the whole sequence."""

import numpy as np

from greenlight.ops.protocol import PAGE_SIZE, Batch
from tests.engine.fake_decoder import log_softmax


def logits_after(decoder, tokens):
    """Logits after the last of these tokens, read in one pass into fresh pages, (V,)."""
    n_pages = -(-len(tokens) // PAGE_SIZE)
    batch = Batch(
        tokens=np.array(tokens, np.int32),
        starts=np.array([0, len(tokens)], np.int32),
        past=np.zeros(1, np.int32),
        page_tables=np.arange(n_pages, dtype=np.int32)[None],
        outputs=np.array([len(tokens) - 1], np.int32),
    )
    return decoder.forward(batch, decoder.new_pages(n_pages))[0]


def greedy_tokens(decoder, prompt, n_tokens, eos_ids=()):
    tokens = list(prompt)
    while len(tokens) < len(prompt) + n_tokens:
        tokens.append(int(logits_after(decoder, tokens).argmax()))
        if tokens[-1] in eos_ids:
            break
    return tuple(tokens[len(prompt) :])


def weigh(decoder, prompt, continuation):
    """Log-probability of each token of a continuation, and whether all were the most likely."""
    logprobs, greedy = [], True
    for n, token in enumerate(continuation):
        logits = logits_after(decoder, (*prompt, *continuation[:n])).astype(np.float64)
        logprobs.append(log_softmax(logits)[token])
        greedy &= int(logits.argmax()) == token
    return logprobs, greedy
