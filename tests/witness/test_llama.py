"""transformers and llama.cpp compute the same logits from the same files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from greenlight.formats.gguf import read_gguf
from greenlight.model.load import describe, load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from greenlight.ops.protocol import PAGE_SIZE, Batch
from tests.builders import (
    all_logits,
    llama_config,
    llama_weights,
    one_sequence,
    to_bf16,
    write_llama_folder,
    write_llama_gguf,
)
from tests.witness.llama_cpp_logits import llama_cpp_logits

transformers.logging.set_verbosity_error()

OPS = {"numpy": NumpyOps}
if native.available():
    OPS["native"] = partial(native.NativeOps, kv="f32")  # its cache in float16 is judged below
TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit."""


def assert_close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.fixture(params=OPS)
def ops(request):
    return OPS[request.param]()


def reference(model: Any, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0].numpy()


ROPES = ("default", "linear", "llama3", "yarn", "yarn with all its parameters")


def draw_rope(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    factor = float(rng.choice([2.0, 4.0, 8.0, 32.0]))
    match kind:
        case "default":
            return {}
        case "linear":
            return {"rope_type": "linear", "factor": factor}
        case "llama3":
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": float(rng.choice([2.0, 4.0])),
                "original_max_position_embeddings": int(rng.choice([16, 64, 128])),
            }
    yarn = {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": int(rng.choice([16, 64, 128]))}
    if kind != "yarn":
        yarn |= {"beta_fast": 8.0, "beta_slow": 0.5, "mscale": 0.8, "mscale_all_dim": 1.3, "truncate": False}
    return yarn


def draw_config(seed: int) -> dict[str, Any]:
    """A config in which each switch takes each value across seeds, in old and new forms of writing rope."""
    rng = np.random.default_rng(seed)
    n_kv_heads = int(rng.integers(1, 4))
    n_heads = n_kv_heads * int(rng.choice([1, 2, 3, 7]))
    head_dim = int(rng.choice([8, 16, 32, 64]))
    theta = float(rng.choice([1e4, 1e5, 5e5]))
    config = llama_config(
        num_attention_heads=n_heads,
        num_key_value_heads=n_kv_heads,
        head_dim=head_dim,
        hidden_size=n_heads * int(rng.choice([4, 8, 12])),
        intermediate_size=int(rng.choice([40, 96, 129])),
        num_hidden_layers=int(rng.integers(1, 4)),
        vocab_size=int(rng.choice([51, 97, 128, 211])),
        rms_norm_eps=float(rng.choice([1e-6, 1e-5, 1e-3])),
        rope_theta=theta,
        tie_word_embeddings=bool(rng.integers(2)),
        attention_bias=bool(rng.integers(2)),
        mlp_bias=bool(rng.integers(2)),
    )
    if rope := draw_rope(ROPES[seed % len(ROPES)], rng):
        if rng.integers(2):
            del config["rope_theta"]
            config["rope_parameters"] = {**rope, "rope_theta": theta}
        else:
            config["rope_scaling"] = rope
    return config


SEEDS = range(45)


def gguf_can_say(config: dict[str, Any]) -> bool:
    """Whether GGUF has keys for all of this config's rope parameters."""
    return "mscale" not in (config.get("rope_scaling") or config.get("rope_parameters") or {})


@pytest.fixture(scope="module", params=SEEDS)
def case(request, tmp_path_factory):
    """One random model: its folder, its transformers twin, a long prompt and the twin's logits."""
    return make_case(request.param, tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module", params=[seed for seed in SEEDS if gguf_can_say(draw_config(seed))])
def gguf_case(request, tmp_path_factory):
    """The same, of those that can be said in GGUF; its file instead of its folder."""
    config, weights, folder, _, tokens, expected = make_case(request.param, tmp_path_factory.mktemp("llama"))
    return config, write_llama_gguf(folder / "m.gguf", config, weights), tokens, expected


def make_case(seed: int, path: Path):
    config = draw_config(seed)
    rng = np.random.default_rng(1000 + seed)
    weights = llama_weights(config, rng)
    folder = write_llama_folder(path, config, weights)
    twin = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    tokens = rng.integers(config["vocab_size"], size=int(rng.choice([40, 75, 140])))
    return config, weights, folder, twin.eval(), tokens, reference(twin, tokens)


def test_one_prefill_agrees_with_transformers(case, ops):
    _, _, folder, _, tokens, expected = case
    assert_close(all_logits(load_decoder(folder, ops), tokens), expected)


def test_token_by_token_through_pages_agrees_with_transformers(case, ops):
    _, _, folder, _, tokens, expected = case
    decoder = load_decoder(folder, ops)
    pages = decoder.new_pages(-(-len(tokens) // PAGE_SIZE))
    steps = [decoder.forward(one_sequence(tokens[t : t + 1], past=t), pages) for t in range(len(tokens))]
    assert_close(np.concatenate(steps), expected)


def test_ragged_batches_over_scattered_pages_agree_with_transformers(case, ops):
    """Three sequences, prefilled in uneven chunks, mixed in one batch, their pages in random order."""
    config, _, folder, twin, tokens, expected = case
    rng = np.random.default_rng(5)
    prompts = [tokens, rng.integers(config["vocab_size"], size=33), rng.integers(config["vocab_size"], size=1)]
    wanted = [expected, *(reference(twin, prompt) for prompt in prompts[1:])]
    decoder = load_decoder(folder, ops)
    counts = [-(-len(prompt) // PAGE_SIZE) for prompt in prompts]
    order = rng.permutation(sum(counts)).astype(np.int32)
    tables = np.full((3, max(counts)), -1, np.int32)
    for b, held in enumerate(np.split(order, np.cumsum(counts)[:-1])):
        tables[b, : len(held)] = held
    pages = decoder.new_pages(sum(counts))
    past = np.zeros(3, np.int32)
    got = [[], [], []]
    while live := [b for b in range(3) if past[b] < len(prompts[b])]:
        lengths = [min(int(rng.integers(1, 30)), len(prompts[b]) - past[b]) for b in live]
        new = np.concatenate([prompts[b][past[b] : past[b] + n] for b, n in zip(live, lengths, strict=True)])
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        logits = decoder.forward(
            Batch(
                tokens=new.astype(np.int32),
                starts=starts,
                past=past[live],
                page_tables=tables[live],
                outputs=np.arange(len(new), dtype=np.int32),
            ),
            pages,
        )
        for b, n, rows in zip(live, lengths, np.split(logits, starts[1:-1]), strict=True):
            got[b].append(rows)
            past[b] += n
    for rows, expected_rows in zip(got, wanted, strict=True):
        assert_close(np.concatenate(rows), expected_rows)


def test_scores_agree_with_transformers(case, ops):
    _, _, folder, _, tokens, expected = case
    decoder = load_decoder(folder, ops)
    batch = one_sequence(tokens[:-1])
    logprobs, greedy = decoder.score(batch, decoder.new_pages(8), tokens[1:].astype(np.int32))
    wide = torch.log_softmax(torch.from_numpy(expected[:-1]).double(), -1).numpy()
    theirs = wide[np.arange(len(tokens) - 1), tokens[1:]]
    np.testing.assert_allclose(logprobs, theirs, atol=TOLERANCE * np.abs(expected).max())
    np.testing.assert_array_equal(greedy, expected[:-1].argmax(-1) == tokens[1:])


@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_a_folder_that_transformers_saved_agrees_with_it(case, tmp_path, shard):
    _, _, _, twin, tokens, expected = case
    twin.save_pretrained(tmp_path, max_shard_size=shard)
    assert_close(all_logits(load_decoder(tmp_path, NumpyOps()), tokens), expected)
    assert describe(tmp_path).unread == ()


def test_bfloat16_weights_agree_with_transformers(case, ops, tmp_path):
    config, weights, _, twin, tokens, _ = case
    folder = write_llama_folder(tmp_path / "bf16", config, weights, "BF16")
    rounded = {
        name: torch.from_numpy((to_bf16(values).astype(np.uint32) << 16).view(np.float32))
        for name, values in weights.items()
    }
    twin.load_state_dict(rounded, strict=not config["tie_word_embeddings"])
    try:
        assert_close(all_logits(load_decoder(folder, ops), tokens), reference(twin, tokens))
    finally:
        exact = {name: torch.from_numpy(values) for name, values in weights.items()}
        twin.load_state_dict(exact, strict=not config["tie_word_embeddings"])


def test_a_gguf_file_of_the_same_weights_agrees_with_transformers(gguf_case, ops):
    _, path, tokens, expected = gguf_case
    assert_close(all_logits(load_decoder(path, ops), tokens), expected)


def test_a_gguf_file_of_the_same_weights_agrees_with_llama_cpp(gguf_case, ops):
    _, path, tokens, _ = gguf_case
    assert_close(all_logits(load_decoder(path, ops), tokens), llama_cpp_logits(path, tokens), 2e-3)


@pytest.fixture(scope="module")
def default_twin(default_model):
    """transformers' own reading of the default model's file, widened to float32."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        default_model.parent, gguf_file=default_model.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def english_ids(default_model):
    """A sentence whose words are tokens of the model."""
    ids = {text: i for i, text in enumerate(read_gguf(default_model).metadata["tokenizer.ggml.tokens"])}
    text = "The capital of France is Paris , and the river that runs through it is the"
    return np.array([ids[word if word in ("The", ",") else f"Ġ{word}"] for word in text.split()])


def test_the_default_model_agrees_with_transformers(default_model, default_twin):
    rng = np.random.default_rng(0)
    prompts = [english_ids(default_model), rng.integers(49152, size=200), np.array([1])]
    decoder = load_decoder(default_model, NumpyOps())
    for prompt in prompts:
        expected = reference(default_twin, prompt)
        ours = all_logits(decoder, prompt)
        assert_close(ours, expected)
        np.testing.assert_array_equal(ours[-1].argmax(), expected[-1].argmax())


def mean_kl(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean divergence of our next-token distributions from theirs, in nats."""
    p, q = (torch.log_softmax(torch.from_numpy(logits).double(), -1) for logits in (theirs, ours))
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.skipif(not native.available(), reason="the native kernels are not built")
def test_the_default_model_on_native_ops_is_as_near_to_transformers_as_llama_cpp_is(default_model, default_twin):
    """Both round activations to int8 per block, so neither is exact; ours must not be the worse."""
    tokens = english_ids(default_model)
    expected = reference(default_twin, tokens)
    ours = mean_kl(all_logits(load_decoder(default_model, native.NativeOps()), tokens), expected)
    theirs = mean_kl(llama_cpp_logits(default_model, tokens), expected)
    assert ours <= 1.25 * theirs


@pytest.mark.skipif(not native.available(), reason="the native kernels are not built")
def test_keys_and_values_in_float16_cost_little(case):
    _, _, folder, _, tokens, expected = case
    assert_close(all_logits(load_decoder(folder, native.NativeOps()), tokens), expected, 1e-2)
