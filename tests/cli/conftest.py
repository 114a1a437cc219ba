from pathlib import Path

import pytest

from tests.chat_model import POLICY, tiny_chat_model


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory) -> Path:
    return tiny_chat_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def policy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "tiny.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_HOME", str(tmp_path_factory.getbasetemp() / "home"))
