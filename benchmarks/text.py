"""Which words are the benchmarks fed? A licence text that most Linux systems carry, else the project's own guides.

And a program of Python's own library, where English alone would be too narrow.
"""

from __future__ import annotations

import queue
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LICENCE = Path("/usr/share/common-licenses/GPL-3")


def plain_text() -> str:
    """A few thousand words of English."""
    if LICENCE.is_file():
        return LICENCE.read_text()
    return "\n".join(path.read_text() for path in sorted((ROOT / "docs").rglob("*.md")))


def source() -> str:
    """Where the words come from, for the record."""
    return LICENCE.name if LICENCE.is_file() else "docs/"


def python_source() -> Path:
    """A few thousand tokens of a program that every Python carries."""
    return Path(queue.__file__)
