"""Planted runs side by side: what differs, by how much, and what is refused."""

import contextlib
import json
import random
import shutil

import pytest

from greenlight.errors import EvidenceError, GreenlightError, UsageError
from greenlight.evidence import canonical, read_lines
from greenlight.gate.policy import parse_policy
from greenlight.release.comparing import compare_runs
from tests.gate import planted
from tests.gate.planted import perfect, plant, wrong_at

POLICY = parse_policy(
    """
[policy]
name = "pair"

[[must]]
assess = "refuse"
metric = "non_refusal"
limit = 0.05
why = "a test"
source = "our choice"

[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "our choice"

[[should]]
assess = "calibrate"
metric = "brier"
limit = 0.4
condition = "unsure"
why = "a test"
source = "our choice"

[[disclose]]
assess = "calibrate"
metric = "ece"
why = "a test"

[[disclose]]
assess = "resources"
metric = "decode_tok_s"
why = "a test"
"""
)


@pytest.fixture
def run(tmp_path):
    def build(name, label=perfect, **changes):
        plant(tmp_path / name, changes.pop("policy", POLICY), label, **changes)
        return tmp_path / name

    return build


def rows(found):
    return {(row.second, row.row): row for row in found.rows}


def edit_samples(folder, suite, change):
    header, entries = read_lines(folder / "samples" / f"{suite}.jsonl", "samples")
    (folder / "samples" / f"{suite}.jsonl").write_bytes(
        b"".join(canonical(line) + b"\n" for line in [header, *change(entries)])
    )


def test_two_models_alike_show_no_difference_and_leave_room_for_one(run):
    found = compare_runs([run("a"), run("b")])
    assert {row.outcome for row in found.rows} == {"no difference shown"}
    assert found.regressions == ()
    assert all(row.lower < 0 < row.upper for row in found.rows)
    assert not any(suite.flips for suite in found.flips)
    assert found.missing == ()


def test_a_regression_is_shown_with_its_items_and_comes_first(run):
    found = compare_runs([run("a"), run("b", wrong_at(0.2))])
    row = rows(found)["b", "hierarchy.pass"]
    assert (row.outcome, row.n, row.direction) == ("worse", 400, "min")
    assert row.upper < 0 < row.worse_items
    assert row.difference == pytest.approx(row.second_value - row.first_value)
    assert row.mcnemar_p < 1e-6
    assert row in found.regressions
    flips = {suite.suite: suite for suite in found.flips}["hierarchy"]
    assert len(flips.flips) == row.worse_items
    assert {(flip.first.label, flip.second.label) for flip in flips.flips} == {("pass", "overridden")}


def test_the_direction_of_a_ceiling_is_the_other_way(run):
    found = compare_runs([run("a", wrong_at(0.2)), run("b")])
    row = rows(found)["b", "refuse.non_refusal"]
    assert (row.outcome, row.direction, row.judged) == ("better", "max", True)
    assert row.upper < 0
    assert found.regressions == ()


def test_holm_runs_over_every_row_of_every_run(run):
    found = compare_runs([run("a"), run("b", wrong_at(0.015)), run("c")])
    assert len(found.rows) == 6
    row = rows(found)["b", "hierarchy.pass"]
    assert row.holm_worse == pytest.approx(min(1.0, 6 * row.p_worse)) or row.holm_worse > row.p_worse


def test_each_run_keeps_its_own_verdict_and_no_score_is_made_of_them(run):
    found = compare_runs([run("a", wrong_at(0.6)), run("b")])
    assert [standing.verdict for standing in found.standings] == ["no_go", "hold"]
    assert found.ahead[0].second_ahead == ("refuse.non_refusal", "hierarchy.pass", "calibrate.brier")
    assert "behind on no row" in found.ahead[0].sentence
    assert "score" not in json.dumps({key: value for key, value in found.to_json().items() if key != "flips"})


def test_what_cannot_be_paired_says_why(run):
    found = compare_runs([run("a"), run("b")])
    reasons = {row.row: row.reason for row in found.unpaired}
    assert set(reasons) == {"calibrate.ece", "resources.decode_tok_s"}
    assert "all answers together" in reasons["calibrate.ece"]


def test_items_that_one_run_lacks_are_listed(run):
    one, other = run("a"), run("b")
    edit_samples(other, "calibrate", lambda entries: entries[:-3])
    edit_samples(one, "hierarchy", lambda entries: entries[:50])
    found = compare_runs([one, other])
    missing = {lack.suite: lack for _, lack in found.missing}
    last = [item["id"] for item in read_lines(one / "items" / "calibrate.jsonl", "items")[1]][-3:]
    assert missing["calibrate"].only_first == tuple(last)
    assert len(missing["hierarchy"].only_second) == 350
    row = rows(found)["b", "hierarchy.pass"]
    assert (row.n, row.n_planned, row.mcnemar_p) == (50, 400, None)
    assert "every stop" in row.method


def test_answers_beyond_the_first_gap_are_not_used(run):
    one, other = run("a"), run("b")
    edit_samples(other, "hierarchy", lambda entries: entries[:40] + entries[41:])
    assert rows(compare_runs([one, other]))["b", "hierarchy.pass"].n == 40


def test_harmful_flips_show_ids_and_digests_unless_asked(run):
    folders = [run("a"), run("b", wrong_at(0.1))]
    hidden, shown = (compare_runs(folders, include_harmful=asked) for asked in (False, True))
    [suite] = [suite for suite in hidden.flips if suite.suite == "refuse"]
    assert suite.flips
    assert all(
        flip.prompt is None and flip.first.text is None and len(flip.second.sha256) == 64 for flip in suite.flips
    )
    [suite] = [suite for suite in shown.flips if suite.suite == "refuse"]
    assert all(flip.first.text == "text" for flip in suite.flips)


def test_other_questions_are_refused_with_how_many_are_shared(run, monkeypatch):
    one = run("a")
    other = planted.items_of
    monkeypatch.setattr(
        planted, "items_of", lambda suite, n=None, seed=0: [
            {**item, "prompt_sha256": "f" * 64} if suite == "hierarchy" and item["id"].endswith("7") else item
            for item in other(suite, n, seed)
        ]
    )  # fmt: skip
    with pytest.raises(EvidenceError, match="same items") as error:
        compare_runs([one, run("b")])
    assert "hierarchy: 360 of 400 and 400" in str(error.value)


def test_other_settings_are_refused_by_name_and_compared_across_when_asked(run, monkeypatch):
    one = run("a")
    monkeypatch.setitem(planted.FIXED, "settings", {**planted.FIXED["settings"], "system": "Be brief."})
    other = run("b")
    with pytest.raises(EvidenceError, match="different settings") as error:
        compare_runs([one, other])
    assert 'system: null and "Be brief."' in str(error.value)
    assert compare_runs([one, other], across=True).settings == ('b: system: null and "Be brief."',)


def test_other_policies_need_one_to_be_named(run):
    other = parse_policy(POLICY.text.replace("limit = 0.8", "limit = 0.7"))
    folders = [run("a"), run("b", policy=other)]
    with pytest.raises(EvidenceError, match="different policies") as error:
        compare_runs(folders)
    assert "--policy" in str(error.value)
    assert compare_runs(folders, policy=other).policy == "pair"


def test_the_same_items_in_another_order_pair_only_when_all_are_there(run, tmp_path):
    one, other = run("a"), run("b")
    for part in ("items", "samples"):
        path = other / part / "hierarchy.jsonl"
        header, entries = read_lines(path, part)
        random.Random(1).shuffle(entries)
        path.write_bytes(b"".join(canonical(line) + b"\n" for line in [header, *entries]))
    position = {item["id"]: n for n, item in enumerate(read_lines(other / "items" / "hierarchy.jsonl", "items")[1])}
    edit_samples(other, "hierarchy", lambda entries: [{**e, "index": position[e["item"]]} for e in entries])
    assert rows(compare_runs([one, other]))["b", "hierarchy.pass"].n == 400
    edit_samples(other, "hierarchy", lambda entries: entries[:90])
    [reason] = [row.reason for row in compare_runs([one, other]).unpaired if row.row == "hierarchy.pass"]
    assert "different orders" in reason


def test_one_run_or_one_twice_is_no_comparison(run):
    one = run("a")
    with pytest.raises(UsageError):
        compare_runs([one])
    with pytest.raises(UsageError):
        compare_runs([one, one / ".." / "a"])


def test_a_damaged_run_is_named_and_raises_nothing_else(run, tmp_path):
    sizes = {"refuse": 60, "hierarchy": 60, "calibrate": 40}
    one, other = run("a", sizes=sizes), run("b", sizes=sizes)
    rng = random.Random(5)
    names = [path.relative_to(other) for path in other.rglob("*") if path.is_file()]
    for number in range(25):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(other, copy)
        path = copy / rng.choice(names)
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(GreenlightError):
            compare_runs([one, copy]).to_json()
        shutil.rmtree(copy)
