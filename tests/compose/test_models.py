import json

import numpy as np
import pytest

from greenlight.compose.models import load
from greenlight.errors import GreenlightError
from greenlight.formats.gguf import read_gguf
from greenlight.hub import digest
from tests.builders import all_logits, write_safetensors
from tests.chat_model import tiny_chat_model
from tests.gguf_parts import split_gguf


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_HOME", str(tmp_path / "home"))


def write_adapter(path, seed=0):
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (path / "adapter_config.json").write_text(json.dumps(settings))
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    pair = {f"{name}.lora_{which}.weight": rng.normal(size=(n, k)) for which, n, k in (("A", 2, 32), ("B", 32, 2))}
    write_safetensors(path / "adapter_model.safetensors", {key: v.astype(np.float32) for key, v in pair.items()})
    return path


def test_an_adapter_is_part_of_a_models_identity(tmp_path):
    model = tiny_chat_model(tmp_path / "tiny.gguf")
    one, two = write_adapter(tmp_path / "one"), write_adapter(tmp_path / "two", seed=1)
    (one / "optimizer.json").write_text("{}")  # what training left beside it decides nothing
    plain, first, second = (load(f"{model}{added}", ops="numpy") for added in ("", f"+{one}", f"+{two}"))
    assert len({plain.digest, first.digest, second.digest}) == 3
    assert plain.digest == digest(model)
    assert first.files == {
        "tiny.gguf": digest(model),
        "adapter/adapter_config.json": digest(one / "adapter_config.json"),
        "adapter/adapter_model.safetensors": digest(one / "adapter_model.safetensors"),
    }
    assert (plain.name, first.name) == ("tiny", "tiny-one")
    assert first.paths() == [model, one / "adapter_config.json", one / "adapter_model.safetensors"]
    assert first.identity()["digest"] == first.digest


def test_a_model_in_parts_is_one_model_whichever_part_is_named(tmp_path):
    file = tiny_chat_model(tmp_path / "tiny.gguf")
    single = load(str(file), ops="numpy")
    parts = split_gguf(file, 5, len(read_gguf(file).tensors) - 5)
    first, second = (load(str(part), ops="numpy") for part in parts)
    assert first.digest == second.digest == digest(parts[0]) != single.digest
    assert list(first.files) == [part.name for part in parts]
    assert second.paths() == parts
    assert (first.name, second.name) == ("tiny", "tiny")
    assert first.template_sha256 == single.template_sha256
    tokens = [1, 5, 3]
    np.testing.assert_array_equal(*(all_logits(model.model.decoder, tokens) for model in (single, second)))


def test_an_adapter_that_is_not_there_or_is_none_says_so(tmp_path):
    model = tiny_chat_model(tmp_path / "tiny.gguf")
    (tmp_path / "empty").mkdir()
    for name, match in (("absent", "no such file or folder"), ("empty", "not there")):
        with pytest.raises(GreenlightError, match=match):
            load(f"{model}+{tmp_path / name}")
