"""Writes docs/families.md: which released models run, and how that was verified, from the tables that the tests use.

python tools/families_page.py writes the page; tests/model/test_families_page.py fails while it is stale.
"""

from __future__ import annotations

import runpy
import tomllib
from collections.abc import Iterable
from pathlib import Path

from greenlight.model.families import FAMILIES
from greenlight.model.families.refused import REFUSED

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/families.md"
TEMPLATE = ROOT / "tools/families.md.in"

MORE = {
    "gpt_oss": ", YaRN's bounds rounded as llama.cpp does, which gpt-oss does not; and with experts in MXFP4 "
    "(`tests/witness/test_gguf_experts.py`)"
}
"""What else there is to say of the comparison with llama.cpp."""


def page() -> str:
    """The page as the tables have it."""
    draws = runpy.run_path(str(ROOT / "tests/witness/draws.py"), run_name="draws")
    released = tomllib.loads((ROOT / "docs/released.toml").read_text())["model"]
    families = []
    for family in FAMILIES:
        design = draws["DESIGNS"].get(family.name)
        folder = f"{draws['N_DRAWS']} configs" if design else "random models (`tests/witness/test_families.py`)"
        gguf = f"{draws['N_GGUF_DRAWS']} configs" if design and design.in_gguf else "not by random configs"
        gguf += MORE.get(family.name, "")
        families.append(f"| {family.name} | {folder} | {gguf} |")
    models = (
        f"| {m['name']} | {m['family']} | {m['parameters']} | {m.get('active', '')} | {m['source']} |" for m in released
    )
    refused = (f"| {design.name} | {design.why} |" for design in REFUSED)
    text = TEMPLATE.read_text()
    for mark, rows in (("families", families), ("released", models), ("refused", refused)):
        text = text.replace(f"@{mark}@", _lines(rows))
    return text


def _lines(rows: Iterable[str]) -> str:
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page())
