"""One small bundle a session, and copies of it that a test may damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.release.make_bundle import build

COMMITTED = Path(__file__).parents[1] / "fixtures" / "bundle"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle made by this version; read only."""
    return build(tmp_path_factory.mktemp("built") / "bundle")


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(built, tmp_path / "bundle"))
