from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_families_says_what_the_tables_say():
    """Where it does not: python tools/families_page.py."""
    made = runpy.run_path(str(ROOT / "tools/families_page.py"), run_name="page")
    assert (ROOT / "docs/families.md").read_text() == made["page"]()
