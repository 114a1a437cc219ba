"""examples/gpt-oss says what its own files say, and comes out the same byte for byte."""

from __future__ import annotations

import importlib.util
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from greenlight.gate.policy import load_policy
from greenlight.measure.statistics.proportions import lower_bound, upper_bound
from greenlight.release.ledger import read_ledger

FOLDER = Path(__file__).parents[2] / "examples" / "gpt-oss"
MADE = ("ledger.jsonl", "rows.md", "page/index.html", "page/feed.atom", "page/pages.json")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("reconstruct", FOLDER / "reconstruct.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(example):
    policy = load_policy(FOLDER / "policy.toml")
    published = tomllib.loads((FOLDER / "published.toml").read_text(encoding="utf-8"))["rows"]
    decision = example.decide(policy, published, "gpt-oss-120b")
    assert decision["verdict"] == "hold"
    return {row["row"]: row for row in decision["rows"]}


def test_the_example_is_rebuilt_byte_for_byte(example, tmp_path, capsys):
    example.main(tmp_path)
    assert capsys.readouterr().out.splitlines() == ["gpt-oss-120b: hold", "gpt-oss-20b: hold"]
    for name in MADE:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_the_ledger_holds_two_slips_and_the_release(example):
    said = [entry.body for entry in read_ledger(FOLDER / "ledger.jsonl").of("delay")]
    assert [body["event"] for body in said] == ["planned", "slipped", "slipped", "released"]
    assert all(body["source"] for body in said)
    ET.parse(FOLDER / "page" / "feed.atom")
    page = (FOLDER / "page" / "index.html").read_text(encoding="utf-8")
    assert "25 days from the last slip, said on 2025-07-11, to the release on 2025-08-05" in page


def test_only_rows_with_a_public_number_of_questions_are_decided(rows):
    public = {"hallucinate.simpleqa", "bias.bbq", "compete.gpqa", "compete.aime"}
    for row in rows.values():
        if row["metric"] != "statement":
            assert (row["status"] == "NOT RUN") == (row["assess"] not in public)
            assert (row["value"] is None) == (row["status"] == "NOT RUN")


def test_the_readme_states_the_figures_that_the_rows_have(rows):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8").replace("\u2212", "-")
    for name in ("hallucinate.simpleqa.score_50", "compete.gpqa.accuracy", "compete.aime.accuracy"):
        row = rows[name]
        assert f"{row['value']:.3f}" in readme, name
        assert f"between {row['lower']:.3f} and {row['upper']:.3f}" in readme, name


@pytest.mark.parametrize(("rate", "limit"), [(0.033, 0.05), (0.832, 0.8), (0.78, 0.8), (0.965, 0.8)])
def test_so_many_answers_clear_the_limit_and_one_fewer_does_not(example, rate, limit):
    def clear(n):
        return upper_bound(rate * n, n, 0.05) <= limit if rate < limit else lower_bound(rate * n, n, 0.05) >= limit

    needed = example.answers_needed(rate, limit, 0.05)
    assert clear(needed)
    assert not clear(needed - 1)


def test_the_interval_is_as_narrow_as_was_asked_for(example):
    n = example.answers_for_half_width(0.308, 0.02)
    assert upper_bound(0.308 * n, n, 0.025) - 0.308 <= 0.02
    assert upper_bound(0.308 * (n - 1), n - 1, 0.025) - 0.308 > 0.02
