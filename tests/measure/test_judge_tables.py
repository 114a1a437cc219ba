"""The page about judges says what the rules come to, and its intervals are those of scipy."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from scipy.stats import binomtest

from greenlight.errors import EvidenceError
from greenlight.measure.refusal import calibration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/judges.md").read_text("utf-8")
DATA = os.environ.get("GREENLIGHT_DATA")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("judge_tables", ROOT / "tools/judge_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(DATA is None, reason="GREENLIGHT_DATA is not set")
@pytest.mark.parametrize("tables", ["refusal_tables", pytest.param("truth_tables", marks=pytest.mark.slow)])
def test_the_committed_tables_are_what_the_rules_come_to(tool, tables):
    found = getattr(tool, tables)(Path(DATA))
    assert len(found) == 2
    assert tool.filled(PAGE, found) == PAGE


@pytest.mark.parametrize("metric", ["non_refusal", "full_refusal"])
def test_without_the_data_the_page_agrees_with_the_calibration_that_ships(tool, metric):
    counted = calibration()["tables"]["cut"]
    groups = {family: [0, 0, 0, 0] for family in tool.FAMILIES.values()}
    for model, tables in counted["by_model"].items():
        for place, name in enumerate(("tp", "fn", "tn", "fp")):
            groups[tool.FAMILIES[model]][place] += tables[metric][name]
    rows = [(family, tool.Counts(*found)) for family, found in groups.items()]
    rows.append(("all", tool.Counts(**counted["overall"][metric])))
    assert tool.table(rows, "answers of") in PAGE


def test_intervals_are_the_exact_ones(tool):
    exact = binomtest(75, 81).proportion_ci(0.95, method="exact")
    assert tool.share(75, 81) == f"{75 / 81:.3f} [{exact.low:.3f}, {exact.high:.3f}] of 81"


def test_a_page_without_a_place_for_a_table_is_refused(tool):
    with pytest.raises(EvidenceError, match="no place for a table"):
        tool.filled("nothing", {"wrong": "x"})


def test_the_judge_of_truth_is_called_what_it_is(tool):
    """The number that the page is honest about: true sentences of models' own that the rules call wrong."""
    line = next(line for line in PAGE.splitlines() if "own words" in line)
    assert float(line.split("|")[4].strip()) < 0.5
    assert "no judge of free sentences" in PAGE
