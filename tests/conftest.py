"""What every test may ask for: the default model's file, where this machine has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run: a failure can be repeated, and none comes and goes. `--hypothesis-profile explore`
# draws others. How long drawing takes says nothing of the code on a busy machine.
settings.register_profile("repeatable", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore")
settings.load_profile("repeatable")

DEFAULT_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model: GREENLIGHT_TEST_MODEL, or the cache's copy; tests that need it skip by name without."""
    if path := os.environ.get("GREENLIGHT_TEST_MODEL"):
        return Path(path)
    home = Path(os.environ.get("GREENLIGHT_HOME", "~/.cache/greenlight")).expanduser()
    found = sorted(home.rglob(DEFAULT_MODEL))
    if not found:
        pytest.skip(f"{DEFAULT_MODEL} is not in the cache: greenlight pull smollm2")
    return found[0]
