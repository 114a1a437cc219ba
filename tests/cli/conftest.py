import io
import sys
from pathlib import Path

import pytest

from greenlight.cli import main
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


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line in this process: exit status, stdout, stderr."""

    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["greenlight", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return call
