import json

import numpy as np
import pytest

from greenlight.compose.models import load
from greenlight.errors import GreenlightError
from greenlight.hub import digest
from tests.builders import write_safetensors
from tests.chat_model import tiny_chat_model


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


def test_an_adapter_that_is_not_there_or_is_none_says_so(tmp_path):
    model = tiny_chat_model(tmp_path / "tiny.gguf")
    (tmp_path / "empty").mkdir()
    for name, match in (("absent", "no such file or folder"), ("empty", "not there")):
        with pytest.raises(GreenlightError, match=match):
            load(f"{model}+{tmp_path / name}")
