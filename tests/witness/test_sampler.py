"""Do our cuts and penalties keep the tokens, and the chances, that transformers' logits processors keep?"""

import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from greenlight.engine import SamplingParams
from greenlight.engine.sampler import History, surviving

SETTINGS = [
    {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "repetition_penalty": penalty}
    for temperature in (0.4, 1.0, 1.7)
    for top_k in (0, 1, 40)
    for top_p in (1.0, 0.95, 0.3)
    for min_p in (0.0, 0.05)
    for penalty in (1.0, 1.3)
]


def theirs(logits, prompt, params):
    """Probabilities after transformers' processors, in the order in which its generate applies them."""
    steps = LogitsProcessorList()
    if params.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(params.repetition_penalty))
    steps.append(TemperatureLogitsWarper(params.temperature))
    if params.top_k:
        steps.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        steps.append(TopPLogitsWarper(params.top_p))
    if params.min_p:
        steps.append(MinPLogitsWarper(params.min_p))
    return steps(torch.tensor([prompt]), torch.tensor(logits)[None]).softmax(-1)[0].numpy()


def ours(logits, prompt, params):
    logits = logits.copy()
    History(prompt).penalise(logits, params)
    weights = np.exp((logits - logits.max()) / np.float32(params.temperature))
    kept = surviving(weights, params)
    out = np.zeros_like(weights)
    out[kept] = weights[kept] / weights[kept].sum()
    return out


@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_the_same_tokens_stay_with_the_same_chances(spread):
    rng = np.random.default_rng(0)
    for settings in SETTINGS:
        logits = (rng.normal(size=5000) * spread).astype(np.float32)
        prompt = rng.integers(0, 5000, 50).tolist()
        params = SamplingParams(**settings)
        expected, got = theirs(logits, prompt, params), ours(logits, prompt, params)
        # A nucleus may end one token apart where its mass is within float32's rounding of top_p.
        assert ((expected > 0) != (got > 0)).sum() <= (params.top_p < 1), settings
        np.testing.assert_allclose(got, expected, atol=2e-4, err_msg=str(settings))
