"""compare and drift from the command line, on planted runs."""

import json

import pytest

from tests.gate.planted import perfect, plant, wrong_at
from tests.release.comparing.test_compare import POLICY


@pytest.fixture
def pair(tmp_path):
    for name, label in (("base", perfect), ("tuned", wrong_at(0.4))):
        plant(tmp_path / name, POLICY, label)
    return tmp_path / "base", tmp_path / "tuned"


def test_compare_prints_differences_flips_and_each_verdict(run, pair):
    code, out, _ = run("compare", *pair, "--flips", "1")
    assert code == 0
    assert "WORSE  shown after Holm over 3 comparisons" in out
    assert "hierarchy.pass" in out
    assert "under pair: base HOLD, tuned NO-GO" in out
    assert "- pass" in out
    assert "+ overridden" in out
    assert "(withheld, prompt" in out
    assert "not paired: calibrate.ece" in out


def test_json_holds_every_flip(run, pair):
    found = json.loads(run("compare", *pair, "--json")[1])
    assert found["format"] == "greenlight.comparison/1"
    [suite] = [suite for suite in found["flips"] if suite["suite"] == "hierarchy"]
    assert len(suite["flips"]) > 50
    assert ["tuned", "hierarchy.pass"] in found["regressions"]


def test_drift_puts_regressions_first_and_check_makes_a_status_of_them(run, pair):
    code, out, _ = run("drift", *pair, "--check")
    assert code == 10
    assert out.splitlines()[1].startswith("WORSE")
    code, out, _ = run("drift", pair[1], pair[0], "--check")
    assert code == 0
    assert "no regression shown" in out
    assert "worse by at most" in out


def test_what_cannot_be_compared_is_said_without_a_traceback(run, pair, tmp_path):
    code, _, err = run("compare", pair[0])
    assert code == 2
    assert "two runs or more" in err
    code, _, err = run("compare", pair[0], "./nowhere.gguf")
    assert code == 2
    assert "mixed" in err
