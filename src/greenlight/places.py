"""Where does greenlight keep what it fetches? One folder, for models and data sets alike."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The cache folder: GREENLIGHT_HOME, or ~/.cache/greenlight."""
    return Path(os.environ.get("GREENLIGHT_HOME") or "~/.cache/greenlight").expanduser()
