import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder of one's own: file names to rows."""

    def write(**files):
        for name, rows in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rows if isinstance(rows, str) else "\n".join(json.dumps(row) for row in rows))
        monkeypatch.setenv("GREENLIGHT_DATA", str(tmp_path))
        return tmp_path

    return write


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public sets; tests that need it skip by name where it is not set."""
    if not (folder := os.environ.get("GREENLIGHT_DATA")):
        pytest.skip("GREENLIGHT_DATA names no folder of public data sets")
    return Path(folder)
