"""The text part of a model that also sees gives the logits that transformers' whole gives on text."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from greenlight.model.load import describe, load_decoder
from greenlight.ops import native
from greenlight.ops.numpy_ops import NumpyOps
from tests.builders import all_logits, write_safetensors
from tests.witness.draws import draw_config, logits_of

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

OPS = {"numpy": NumpyOps}
if native.available():
    OPS["native"] = partial(native.NativeOps, kv="f32")

SEEN = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 28}
WHOLES = {
    "gemma3": ("gemma3", SEEN | {"model_type": "siglip_vision_model", "patch_size": 14}),
    "gemma4": (
        "gemma4",
        SEEN
        | {"model_type": "gemma4_vision", "num_key_value_heads": 1, "head_dim": 8}
        | {"patch_size": 4, "position_embedding_size": 16},
    ),
    "mistral3": ("mistral", SEEN | {"model_type": "pixtral", "patch_size": 14, "head_dim": 8}),
}


def whole(name: str, seed: int) -> Any:
    """transformers' model of text and vision, random."""
    family, vision = WHOLES[name]
    text = draw_config(family, seed) | {"final_logit_softcapping": None}  # transformers' wholes leave it out
    fields = {"text_config": text, "vision_config": vision, "tie_word_embeddings": text.get("tie_word_embeddings")}
    config = transformers.CONFIG_MAPPING[name].from_dict(
        {field: value for field, value in fields.items() if value is not None}, attn_implementation="eager"
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        for values in model.parameters():
            values.add_(torch.randn_like(values) * 0.3)
    return model


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", WHOLES)
@pytest.mark.parametrize("names", ["as saved", "as held"])
def test_the_text_part_gives_the_same_logits(name, names, seed, ops, tmp_path):
    model = whole(name, seed)
    model.save_pretrained(tmp_path)
    if names == "as held":  # transformers 5's own names, which some writers put into files
        weights = {key: values.numpy() for key, values in model.state_dict().items()}
        assert any(key.startswith("model.language_model.") for key in weights)
        if model.config.tie_word_embeddings:
            del weights["lm_head.weight"]
        write_safetensors(tmp_path / "model.safetensors", weights)
    tokens = np.random.default_rng(seed).integers(model.config.text_config.vocab_size, size=70)
    expected = logits_of(model, tokens)
    ours = all_logits(load_decoder(tmp_path, OPS[ops]()), tokens)
    assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()
    seeing = ("vision_tower.", "multi_modal_projector.", "embed_vision.")
    n_vision = sum(any(part in key for part in seeing) for key in model.state_dict())
    assert describe(tmp_path).left_out == (f"vision part of {n_vision} tensors",)
    assert describe(tmp_path).unread == ()
    assert "text_config" in json.loads((tmp_path / "config.json").read_text())
