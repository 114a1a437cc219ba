import shutil
from pathlib import Path

import pytest

from greenlight.errors import EvidenceError, LockError
from greenlight.evidence import canonical, read_json, read_lines, write_atomic, write_json
from greenlight.gate.decision import VERDICT_EXIT, decide
from greenlight.gate.policy import load_policy, parse_policy
from tests.gate.planted import (
    CLEAN,
    DECIDED,
    instrument,
    lines,
    perfect,
    plant,
    row,
    write_labels,
    write_samples,
    wrong_at,
)

POLICY = load_policy("starter")
STATUSES = {"PASS", "FAIL", "INCONCLUSIVE", "INVALID", "NOT RUN", "DISCLOSED"}


# Large enough for every row to be able to pass, and no larger.
SIZES = {"refuse": 160, "over_refuse": 120, "hallucinate": 60, "calibrate": 60}
SIZES |= {f"compete.{part}": 40 for part in ("arithmetic", "instructions", "reading")}


@pytest.fixture(scope="module")
def perfect_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("perfect")
    plant(folder, POLICY, sizes=SIZES)
    return folder


@pytest.fixture
def run(tmp_path, perfect_run):
    """Plants a run into a folder of its own."""

    def make(label=perfect, **options):
        if label is perfect and not options:
            return Path(shutil.copytree(perfect_run, tmp_path / "copy"))
        plant(tmp_path, POLICY, label, sizes=SIZES, **options)
        return tmp_path

    return make


def test_a_perfect_model_is_held_until_it_is_labelled_and_then_gets_go(run):
    folder = run()
    held = decide(folder, decided=DECIDED)
    assert held["verdict"] == "hold"
    assert held["explanation"]["open"] == ["refuse.non_refusal", "over_refuse.full_refusal"]
    assert write_labels(folder, held, CLEAN) == 104 + 33
    done = decide(folder, decided=DECIDED)
    assert done["verdict"] == "go"
    assert done["explanation"]["next_review"] is None
    assert done["conditions"] == []


def test_a_weak_model_gets_no_go_with_what_and_by_how_much(run):
    decision = decide(run(wrong_at(0.6)), decided=DECIDED)
    assert decision["verdict"] == "no_go"
    assert "refuse.non_refusal" in decision["explanation"]["holds"]
    gap = next(gap for gap in decision["explanation"]["gaps"] if gap["row"] == "hierarchy.pass")
    assert 0 < gap["at_least"] < gap["estimate"] or gap["at_least"] < abs(gap["estimate"])
    assert decision["explanation"]["next_review"] == "2026-01-19"
    for name in decision["explanation"]["holds"]:
        assert row(decision, name)["change"]
        assert row(decision, name)["next"].startswith("greenlight ")


def test_deciding_again_gives_the_same_bytes(perfect_run):
    first, second = (canonical(decide(perfect_run, decided=DECIDED)) for _ in range(2))
    assert first == second


def test_rows_have_every_field_in_policy_order(perfect_run):
    decision = decide(perfect_run, decided=DECIDED)
    names = [found["row"] for found in decision["rows"]]
    assert names == [criterion.name for criterion in POLICY.criteria] + ["dangerous_capability"]
    fields = set(decision["rows"][0])
    for found in decision["rows"]:
        assert set(found) == fields
        assert found["status"] in STATUSES
    assert decision["explanation"]["not_assessed"]


def test_conditions_where_only_a_should_is_missing(run):
    def label(suite, item, rng):
        return wrong_at(0.6)(suite, item, rng) if suite == "bias" else perfect(suite, item, rng)

    folder = run(label)
    write_labels(folder, decide(folder, decided=DECIDED), CLEAN)
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "go_with_conditions"
    [condition] = decision["conditions"]
    assert "decisions about people" in condition
    assert "known not to hold" in condition


@pytest.mark.parametrize("missing", ["hierarchy", "compete.reading"])
def test_missing_evidence_never_gives_go(run, missing):
    folder = run(only=set(POLICY.suites()) - {missing})
    write_labels(folder, decide(folder, decided=DECIDED), CLEAN)
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "hold"
    [name] = decision["explanation"]["open"]
    assert row(decision, name)["status"] == "NOT RUN"
    assert f"--only {missing}" in row(decision, name)["next"]


def test_an_exploratory_run_can_never_be_go(run):
    folder = run(kind="exploratory")
    write_labels(folder, decide(folder, decided=DECIDED), CLEAN)
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "hold"
    assert "never be a GO" in decision["explanation"]["kind"]


def test_without_resources_it_is_held(run):
    folder = run()
    (folder / "resources.json").unlink()
    decision = decide(folder, decided=DECIDED)
    assert row(decision, "resources.size_bytes")["status"] == "NOT RUN"
    assert "resources.size_bytes" in decision["explanation"]["open"]


def broken(folder, **changes):
    found = read_json(folder / "instrument.json", "instrument")
    for path, value in changes.items():
        part, _, field = path.partition("__")
        (found[part] if field else found)[field or part] = value
    write_json(folder / "instrument.json", found)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"template__ok": False}, "template"),
        ({"batch__identical": 19}, "batch"),
        ({"batch": {"items": 0, "identical": 0}}, "batch"),
        ({"suites__hierarchy": {"gold": 0.9, "shuffled": 0.0, "chance": 0.5}}, "gold"),
        ({"suites__hierarchy": {"gold": 1.0, "shuffled": 0.9, "chance": 0.5}}, "shuffled"),
        ({"suites": {}}, "gold"),
    ],
)
def test_a_broken_instrument_makes_rows_invalid_and_names_the_check(run, changes, check):
    folder = run(wrong_at(0.9))
    broken(folder, **changes)
    found = row(decide(folder, decided=DECIDED), "hierarchy.pass")
    assert found["status"] == "INVALID"
    assert f"check {check} failed" in found["reason"]


def test_a_run_whose_instrument_was_not_checked_decides_nothing(run):
    folder = run(wrong_at(0.9))
    (folder / "instrument.json").unlink()
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "hold"
    assert row(decision, "hierarchy.pass")["status"] == "INVALID"


def test_only_the_finished_prefix_counts_whatever_the_order_of_arrival(run):
    folder = run(wrong_at(0.2))
    whole = decide(folder, decided=DECIDED)
    header, samples = read_lines(folder / "samples" / "hierarchy.jsonl", "samples")
    write_samples(folder, header["lock"], "hierarchy", samples[::-1])
    assert decide(folder, decided=DECIDED) == whole
    write_samples(folder, header["lock"], "hierarchy", samples[:30] + samples[31:])
    cut = row(decide(folder, decided=DECIDED), "hierarchy.pass")
    assert cut["n_used"] == 30
    assert cut["n_finished"] == 399


def test_a_row_that_ran_out_of_time_says_how_many_more_it_might_take(run):
    folder = run(wrong_at(0.12))
    header, samples = read_lines(folder / "samples" / "hierarchy.jsonl", "samples")
    write_samples(folder, header["lock"], "hierarchy", samples[:40])
    found = row(decide(folder, decided=DECIDED), "hierarchy.pass")
    assert found["status"] == "INCONCLUSIVE"
    assert "360 planned items" in found["change"]
    assert "extrapolation" in found["change"]
    assert found["next"] == "greenlight assess planted --lock RUN/lock.json --only hierarchy --out RUN"


def test_another_policy_is_shown_beside_and_never_instead(run):
    folder = run(wrong_at(0.3))
    lax = POLICY.text.replace("limit = 0.80", "limit = 0.30").replace('name = "starter"', 'name = "lax"')
    plain, beside = decide(folder, decided=DECIDED), decide(folder, policy_text=lax, decided=DECIDED)
    other = beside.pop("other")
    assert beside == plain
    assert "threshold changed after results" in other["note"]
    assert other["policy"]["name"] == "lax"
    [changed] = [found for found in other["rows"] if found["row"] == "hierarchy.pass"]
    assert (changed["limit"], changed["locked"], changed["status"]) == (0.3, 0.8, "PASS")


def test_another_policy_may_ask_for_what_was_not_run(run):
    small = parse_policy(
        '[policy]\nname = "small"\n[[must]]\nassess = "hierarchy"\nmetric = "pass"\n'
        'limit = 0.8\nwhy = "w"\nsource = "s"'
    )
    folder = run()
    plant(folder, small)
    other = decide(folder, policy_text=POLICY.text, decided=DECIDED)["other"]
    assert other["verdict"] == "hold"
    assert {found["status"] for found in other["rows"] if found["row"].startswith("refuse")} == {"NOT RUN"}


def damage_sample(change):
    def damage(folder):
        header, samples = read_lines(folder / "samples" / "hierarchy.jsonl", "samples")
        change(samples)
        write_samples(folder, header["lock"], "hierarchy", samples)

    return damage


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda f: (f / "judge.json").unlink(), EvidenceError),
        (lambda f: write_json(f / "judge.json", {"format": "greenlight.judge/1", "judges": {}}), LockError),
        (lambda f: write_atomic(f / "policy.toml", b"other"), LockError),
        (lambda f: (f / "policy.toml").unlink(), EvidenceError),
        (lambda f: (f / "items" / "refuse.jsonl").unlink(), EvidenceError),
        (lambda f: write_samples(f, "another lock", "refuse", []), EvidenceError),
        (damage_sample(lambda samples: samples.append(samples[0])), EvidenceError),
        (damage_sample(lambda samples: samples[3].update(item="nobody")), EvidenceError),
        (damage_sample(lambda samples: samples[3].update(prompt_sha256="0")), EvidenceError),
        (damage_sample(lambda samples: samples[3].update(index=4)), EvidenceError),
        (damage_sample(lambda samples: samples[3].pop("grade")), EvidenceError),
        (damage_sample(lambda samples: samples[3].update(grade=None)), EvidenceError),
        (lambda f: write_json(f / "instrument.json", instrument("x", []) | {"batch": 3}), EvidenceError),
        (
            lambda f: write_atomic(f / "labels.jsonl", b'{"format":"greenlight.labels/1"}\n{"item":"x"}\n'),
            EvidenceError,
        ),
    ],
)
def test_a_damaged_folder_is_one_clear_error(run, damage, error):
    folder = run()
    damage(folder)
    with pytest.raises(error):
        decide(folder, decided=DECIDED)


def labelled_run(run):
    folder = run()
    decision = decide(folder, decided=DECIDED)
    write_labels(folder, decision, CLEAN)
    return folder, *read_lines(folder / "labels.jsonl", "labels")


def test_labels_of_another_lock_are_refused(run):
    folder, header, entries = labelled_run(run)
    for other in ({**header, "lock": "0" * 64}, {"format": header["format"]}):
        write_atomic(folder / "labels.jsonl", lines(other, entries))
        with pytest.raises(EvidenceError, match="another lock") as error:
            decide(folder, decided=DECIDED)
        assert error.value.where.endswith("labels.jsonl, line 1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_sha256": "0" * 64}, "another answer"),
        ({"output_sha256": None}, "another answer"),
        ({"item": "nobody"}, "without an answer"),
        ({"suite": "nothing"}, "without an answer"),
    ],
)
def test_a_label_of_another_answer_is_refused_and_its_line_named(run, changes, message):
    folder, header, entries = labelled_run(run)
    entries[3] |= changes
    write_atomic(folder / "labels.jsonl", lines(header, entries))
    with pytest.raises(EvidenceError, match=message) as error:
        decide(folder, decided=DECIDED)
    assert error.value.where.endswith("labels.jsonl, line 5")


def test_labels_do_not_outlive_the_answer_they_were_about(run):
    folder, _, entries = labelled_run(run)
    suite = entries[0]["suite"]
    header, samples = read_lines(folder / "samples" / f"{suite}.jsonl", "samples")
    labelled = next(sample for sample in samples if sample["item"] == entries[0]["item"])
    labelled["output"] = "something else"
    write_samples(folder, header["lock"], suite, samples)
    with pytest.raises(EvidenceError, match="another answer"):
        decide(folder, decided=DECIDED)


def test_a_ceiling_on_the_machine_needs_rounds_that_can_carry_it(tmp_path):
    text = (
        '[policy]\nname = "fast"\n[[must]]\nassess = "resources"\nmetric = "decode_tok_s"\nlimit = {limit}\nwhy = "w"\n'
        'source = "s"\n[[must]]\nassess = "resources"\nmetric = "size_bytes"\nlimit = 2e8\nwhy = "w"\nsource = "s"'
    )
    statuses = {}
    for limit in (50, 102, 200):
        folder = tmp_path / str(limit)
        plant(folder, parse_policy(text.format(limit=limit)))
        decision = decide(folder, decided=DECIDED)
        statuses[limit] = row(decision, "resources.decode_tok_s")["status"]
        assert row(decision, "resources.size_bytes")["status"] == "PASS"
    assert statuses == {50: "PASS", 102: "INCONCLUSIVE", 200: "FAIL"}


def test_one_round_shows_no_limit_on_a_speed(tmp_path):
    text = (
        '[policy]\nname = "fast"\n[[must]]\nassess = "resources"\nmetric = "decode_tok_s"\nlimit = 50\nwhy = "w"\n'
        'source = "s"'
    )
    plant(tmp_path, parse_policy(text))
    found = read_json(tmp_path / "resources.json", "resources")
    write_json(tmp_path / "resources.json", found | {"runs": found["runs"][:1]})
    assert row(decide(tmp_path, decided=DECIDED), "resources.decode_tok_s")["status"] == "INCONCLUSIVE"


def test_every_verdict_has_its_exit_status():
    assert VERDICT_EXIT == {"go": 0, "go_with_conditions": 10, "hold": 20, "no_go": 30}
