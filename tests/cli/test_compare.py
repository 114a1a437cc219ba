"""compare and drift from the command line, on planted runs."""

import json
import re
from datetime import date, timedelta

import pytest

from greenlight.gate.policy import parse_policy
from tests.gate.planted import perfect, plant, wrong_at
from tests.gate.test_waivers import give
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
    assert "not paired with tuned, a statistic of all answers together" in out
    assert "should   calibrate.brier" in out


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


WAIVER = '\n[waiver]\nwho = ["Ada"]\nmax_days = 30\n'


def test_compare_says_which_rows_of_which_run_stand_waived_and_what_that_does(run, tmp_path):
    policy, until = parse_policy(POLICY.text + WAIVER), (date.today() + timedelta(9)).isoformat()
    pair = (tmp_path / "base", tmp_path / "tuned")
    sizes = {"refuse": 60, "hierarchy": 60, "calibrate": 40}
    locks = [plant(path, policy, wrong_at(rate), sizes=sizes) for path, rate in zip(pair, (0.0, 0.5), strict=True)]
    waiver = {"who": "Ada", "why": "no system prompt", "given": date.today().isoformat(), "until": until}
    give(pair[1], locks[1], *({**waiver, "row": row} for row in ("hierarchy.pass", "refuse.non_refusal")))
    out = run("compare", *pair)[1]
    assert "base HOLD, tuned NO-GO" in out
    assert f"waived in tuned: hierarchy.pass, Ada until {until}, FAIL as measured" in out
    assert "tuned is GO WITH CONDITIONS with what is waived there" in out
    assert "waived in base" not in out
    assert f"waived in tuned: refuse.non_refusal, Ada until {until}, FAIL as measured" in out


def test_what_cannot_be_compared_is_said_without_a_traceback(run, pair, tmp_path):
    code, _, err = run("compare", pair[0])
    assert code == 2
    assert "two runs or more" in err
    code, _, err = run("compare", pair[0], "./nowhere.gguf")
    assert code == 2
    assert "mixed" in err


def test_merge_says_what_to_do_next_and_refuses_what_conflicts(run, tmp_path):
    from greenlight.evidence import canonical, read_lines

    for name in ("a", "b"):
        plant(tmp_path / name, POLICY, perfect)
    code, out, _ = run("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert code == 0
    assert f"next    greenlight decide {tmp_path / 'c'}" in out
    path = tmp_path / "b" / "samples" / "hierarchy.jsonl"
    header, entries = read_lines(path, "samples")
    entries[0]["output"] = "other"
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in [header, *entries]))
    code, _, err = run("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "d")
    assert code == 1
    assert "b/samples/hierarchy.jsonl, line 2" in err


def test_a_shard_is_written_as_a_fraction(run, tmp_path):
    code, _, err = run("assess", "./m.gguf", "--shard", "two", "--out", tmp_path / "x")
    assert code == 2
    assert "--shard 1/4" in err


def test_replay_says_same_or_where_it_differs(run, chat_model, policy, tmp_path):
    folder = tmp_path / "run"
    run("assess", chat_model, "--policy", policy, "--only", "compete.reading", "--minutes", "0.1", "--out", folder)
    code, out, _ = run("replay", folder, "--slice", 3, "--seed", 1, "--model", chat_model)
    assert code == 0
    assert out.startswith("SAME  3 answers (compete.reading 3), seed 1")
    path = folder / "samples" / "compete.reading.jsonl"
    path.write_bytes(re.sub(rb'"n_output":\d+', b'"n_output":9999', path.read_bytes()))
    code, out, _ = run("replay", folder, "--slice", 1, "--model", chat_model)
    assert code == 1
    assert ": n_output\n  expected  9999\n  found     " in out
