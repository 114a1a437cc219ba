from __future__ import annotations

import json

import numpy as np
import pytest

from greenlight.errors import FormatError, UnsupportedError
from greenlight.model.checkpoint import open_checkpoint
from tests.builders import write_safetensors
from tests.model.families import config_of, random_folder

OPENAI = {"num_hidden_layers": 1, "num_experts": 4, "experts_per_token": 2, "vocab_size": 97, "swiglu_limit": 7.0}
TENSORS = {"block.0.attn.qkv.weight": np.zeros((8, 4), np.float32), "embedding.weight": np.zeros((97, 4), np.float32)}
"""As openai/gpt-oss-20b has them in original/ (gpt_oss/torch/weights.py)."""


def openai(folder, *, dtypes=True, weights=True):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(OPENAI))
    if dtypes:
        (folder / "dtypes.json").write_text("{}")
    if weights:
        write_safetensors(folder / "model.safetensors", TENSORS)
    return folder


def refusal(folder):
    with pytest.raises(UnsupportedError, match="own layout, which is not read") as caught:
        open_checkpoint(folder)
    assert caught.value.where == str(folder)
    return caught.value


@pytest.mark.parametrize(("dtypes", "weights"), [(True, True), (True, False), (False, True)])
def test_gpt_oss_in_openais_layout_is_refused_with_the_folder_that_is_read(tmp_path, dtypes, weights):
    above = random_folder(tmp_path / "gpt-oss", config_of("llama"))
    error = refusal(openai(above / "original", dtypes=dtypes, weights=weights))
    assert "OpenAI's" in error.what
    assert error.found == (
        "dtypes.json, and a config.json without model_type" if dtypes else f"a tensor {next(iter(TENSORS))}"
    )
    assert error.do == f"use the folder above it: {above}"


def test_without_the_folder_above_the_way_to_it_is_said(tmp_path):
    assert "greenlight pull hf:OWNER/NAME" in refusal(openai(tmp_path / "original")).do


def test_metas_and_mistrals_layout_is_refused_by_its_params(tmp_path):
    (tmp_path / "original").mkdir()
    (tmp_path / "original/params.json").write_text("{}")
    (tmp_path / "original/consolidated.00.pth").write_bytes(b"")
    assert "Meta's or Mistral's" in refusal(tmp_path / "original").what


def test_files_of_that_layout_beside_the_usual_ones_do_no_harm(tmp_path):
    folder = random_folder(tmp_path / "m", config_of("llama"))
    for name in ("params.json", "dtypes.json"):
        (folder / name).write_text("{}")
    assert open_checkpoint(folder).config.n_layers == 4
    (folder / "config.json").write_text("{")
    with pytest.raises(FormatError, match="JSON"):
        open_checkpoint(folder)


def test_a_safetensors_file_alone_is_refused_with_its_folder(tmp_path):
    folder = random_folder(tmp_path / "m", config_of("llama"))
    with pytest.raises(FormatError, match="weights alone") as caught:
        open_checkpoint(folder / "model.safetensors")
    assert caught.value.do == f"name its folder: {folder}/"
