"""The configs of released models, read as they are, promise as many parameters as their makers publish."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from greenlight.formats.safetensors import SafetensorsFolder
from greenlight.model.blocks import attention_spec
from greenlight.model.families import FAMILIES, family_of_model_type
from greenlight.model.wrappers import text_part

RELEASED = tomllib.loads((Path(__file__).parents[2] / "docs/released.toml").read_text())["model"]


def without_text_for_null(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if value == "null" else without_text_for_null(value) if isinstance(value, dict) else value
        for name, value in config.items()
    }


@pytest.fixture(params=RELEASED, ids=lambda model: model["name"])
def released(request):
    """A model, what its config means here, and how many values each of its tensors has."""
    config = without_text_for_null(request.param["config"])
    part = text_part(SafetensorsFolder(path=Path("released"), size=0, config=config, tensors={}, homes={}))
    family = family_of_model_type(part.fields.text("model_type"), "released")
    assert family.name == request.param["family"]
    read = family.config_from_hf(part.fields)
    assert set(part.fields.unread()) <= {"decoder_sparse_step"}
    return request.param, read, {name: math.prod(shape) for name, shape in family.shapes(read).items()}


def test_the_number_of_parameters_is_the_published_one(released):
    model, _, counts = released
    assert f"{sum(counts.values()) / 1e9:.2f}B" == model["parameters"]


def test_the_number_of_active_parameters_is_the_published_one(released):
    model, config, counts = released
    idle = sum(n for name, n in counts.items() if ".experts." in name)
    active = sum(counts.values()) - (
        idle * (config.n_experts - config.n_experts_used) // config.n_experts if idle else 0
    )
    if "without the embedding" in model["source"]:
        active -= counts["model.embed_tokens.weight"]
    assert f"{active / 1e9:.2f}B" == model.get("active", model["parameters"])


def test_every_layer_has_an_attention_that_can_be_computed(released):
    _, config, _ = released
    for window in {config.window(layer) for layer in range(config.n_layers)}:
        assert math.isfinite(attention_spec(config, window).scale)


def test_every_family_has_a_released_model():
    assert {model["family"] for model in RELEASED} == {family.name for family in FAMILIES}
