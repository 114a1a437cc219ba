import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.errors import EvidenceError, GreenlightError, PolicyError
from greenlight.evidence import canonical
from greenlight.gate.decision import OTHER, decide
from greenlight.gate.policy import parse_policy
from greenlight.gate.waivers import FILE, parse_waiver, set_aside
from tests.gate.planted import DECIDED, perfect, plant, row, wrong_at

TEXT = """
[policy]
name = "waivable"
attempts = 2

[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "our choice"

[[should]]
assess = "bias"
metric = "s_amb"
limit = 0.10
condition = "not for screening people"
why = "a test"
source = "our choice"

[[disclose]]
assess = "compete.reading"
metric = "accuracy"
why = "a test"
"""
RULE = '\n[waiver]\nwho = ["Ada", "Grace"]\nmax_days = 30\n'
POLICY = parse_policy(TEXT + RULE)
WAIVER = {
    "row": "hierarchy.pass",
    "who": "Ada",
    "why": "the application has no system prompt",
    "given": "2026-01-04",
    "until": "2026-02-01",
}


@pytest.fixture
def run(tmp_path):
    def make(label=perfect, policy=POLICY, **options):
        lock = plant(tmp_path, policy, label, sizes={"compete.reading": 40}, **options)
        return tmp_path, lock

    return make


def give(folder, lock, *waivers):
    lines = [{"format": "greenlight.waivers/1", "lock": lock["id"]}, *waivers]
    (folder / FILE).write_bytes(b"".join(canonical(line) + b"\n" for line in lines))


def test_without_waivers_a_decision_says_nothing_of_them(run):
    folder, _ = run()
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "go"
    assert not {"waivers", "attempt", "other"} & set(decision)


def test_a_waived_must_is_a_condition_with_who_why_and_until(run):
    folder, lock = run(wrong_at(0.6))
    assert decide(folder, decided=DECIDED)["verdict"] == "no_go"
    give(folder, lock, WAIVER)
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "go_with_conditions"
    found = row(decision, "hierarchy.pass")
    assert (found["status"], found["waived"]["was"]) == ("WAIVED", "FAIL")
    assert "hierarchy.pass is FAIL and set aside by Ada until 2026-02-01: the application" in decision["conditions"][-1]
    assert decision["waivers"] == [{**WAIVER, "effect": "used"}]
    assert "hierarchy.pass" not in decision["explanation"]["holds"] + decision["explanation"]["open"]


def test_a_waived_should_keeps_its_condition(run):
    folder, lock = run(lambda suite, item, rng: wrong_at(0.6 if suite == "bias" else 0)(suite, item, rng))
    give(folder, lock, {**WAIVER, "row": "bias.s_amb"})
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "go_with_conditions"
    assert decision["conditions"][0] == "not for screening people (known not to hold)"
    assert decision["conditions"][1].startswith("bias.s_amb is FAIL and set aside")


def test_a_missing_disclosure_can_be_set_aside(run):
    folder, lock = run(only={"hierarchy", "bias"})
    assert decide(folder, decided=DECIDED)["verdict"] == "hold"
    give(folder, lock, {**WAIVER, "row": "compete.reading.accuracy"})
    assert decide(folder, decided=DECIDED)["verdict"] == "go_with_conditions"


@pytest.mark.parametrize(
    ("changes", "effect"),
    [
        ({"given": "2026-01-01", "until": "2026-01-04"}, "expired on 2026-01-04"),
        ({"given": "2026-01-06"}, "not given before 2026-01-06"),
    ],
)
def test_a_waiver_has_effect_only_between_its_days(run, changes, effect):
    folder, lock = run(wrong_at(0.6))
    give(folder, lock, {**WAIVER, **changes})
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == "no_go"
    assert decision["waivers"][0]["effect"] == effect


def test_the_last_day_of_a_waiver_counts(run):
    folder, lock = run(wrong_at(0.6))
    give(folder, lock, {**WAIVER, "until": DECIDED[:10]})
    assert decide(folder, decided=DECIDED)["verdict"] == "go_with_conditions"


def test_an_invalid_row_is_never_covered(run):
    folder, lock = run(wrong_at(0.6))
    instrument = json.loads((folder / "instrument.json").read_text())
    instrument["suites"]["hierarchy"]["gold"] = 0.5
    (folder / "instrument.json").write_bytes(canonical(instrument) + b"\n")
    give(folder, lock, WAIVER)
    decision = decide(folder, decided=DECIDED)
    assert row(decision, "hierarchy.pass")["status"] == "INVALID"
    assert decision["verdict"] == "hold"
    assert "never covers" in decision["waivers"][0]["effect"]


def test_a_row_that_passes_needs_none(run):
    folder, lock = run()
    give(folder, lock, WAIVER)
    decision = decide(folder, decided=DECIDED)
    assert (decision["verdict"], decision["waivers"][0]["effect"]) == ("go", "not needed")


def test_of_two_waivers_for_a_row_the_last_counts(run):
    folder, lock = run(wrong_at(0.6))
    give(folder, lock, WAIVER, {**WAIVER, "who": "Grace"})
    decision = decide(folder, decided=DECIDED)
    assert [waiver["effect"] for waiver in decision["waivers"]] == ["replaced by a later one", "used"]
    assert row(decision, "hierarchy.pass")["waived"]["who"] == "Grace"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"who": "Mallory"}, "the policy names Ada, Grace"),
        ({"until": "2026-03-01"}, "the policy allows 0 to 30"),
        ({"until": "2026-01-03"}, "the policy allows 0 to 30"),
        ({"row": "refuse.non_refusal"}, "has no row"),
    ],
)
def test_a_waiver_that_the_policy_does_not_allow_is_refused_with_its_line(run, changes, found):
    folder, lock = run()
    give(folder, lock, WAIVER, {**WAIVER, **changes})
    with pytest.raises(PolicyError, match="does not allow") as raised:
        decide(folder, decided=DECIDED)
    assert found in raised.value.found
    assert raised.value.where.endswith("line 3")


def test_where_the_policy_names_nobody_nobody_can(run):
    folder, lock = run(policy=parse_policy(TEXT))
    give(folder, lock, WAIVER)
    with pytest.raises(PolicyError, match="does not allow"):
        decide(folder, decided=DECIDED)


def test_waivers_of_another_lock_are_refused(run):
    folder, lock = run()
    give(folder, {**lock, "id": "0" * 64}, WAIVER)
    with pytest.raises(EvidenceError, match="another lock"):
        decide(folder, decided=DECIDED)


@pytest.mark.parametrize(("attempt", "verdict"), [(1, "go"), (2, "go"), (3, "hold")])
def test_one_more_attempt_than_the_policy_allows_can_be_no_go(run, attempt, verdict):
    folder, _ = run(kind="exam", attempt=attempt)
    decision = decide(folder, decided=DECIDED)
    assert decision["verdict"] == verdict
    assert decision["attempt"]["text"].startswith(f"attempt {attempt} of 2")
    assert ("can be no GO" in decision["attempt"]["text"]) == (verdict == "hold")


def test_a_spent_policy_still_says_what_is_known_to_be_broken(run):
    folder, _ = run(wrong_at(0.6), kind="exam", attempt=9)
    assert decide(folder, decided=DECIDED)["verdict"] == "no_go"


def test_another_policy_that_is_kept_is_part_of_the_decision(run):
    folder, _ = run(wrong_at(0.3))
    plain = decide(folder, decided=DECIDED)
    (folder / OTHER).write_text(TEXT.replace("limit = 0.8", "limit = 0.3").replace("waivable", "lax"))
    both = decide(folder, decided=DECIDED)
    assert both.pop("other")["policy"]["name"] == "lax"
    assert both == plain


_ANY = st.none() | st.integers() | st.text(max_size=30) | st.lists(st.text(max_size=3), max_size=2)


@given(
    value=st.dictionaries(st.sampled_from([*WAIVER, "more"]), _ANY, max_size=6)
    | st.fixed_dictionaries({name: _ANY | st.just(text) for name, text in WAIVER.items()})
)
def test_a_waiver_of_any_shape_is_read_or_refused(value):
    try:
        waiver = parse_waiver(value, "here")
    except GreenlightError:
        return
    waiver.fault(POLICY)
    set_aside([{"row": waiver.row, "status": "FAIL", "reason": ""}], [waiver], "2026-01-05")
