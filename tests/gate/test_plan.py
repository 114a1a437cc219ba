import json
import time

import pytest

from greenlight.errors import PolicyError
from greenlight.gate.plan import make_plan
from greenlight.gate.policy import load_policy, parse_policy
from tests.gate.planted import facts_of, items_of

STARTER = load_policy("starter")


def facts(policy, **sizes):
    return {name: facts_of(name, items_of(name, sizes.get(name))) for name in policy.suites()}


def one_row(assess, metric, limit, attempts=1):
    return parse_policy(
        f'[policy]\nname = "p"\nattempts = {attempts}\n[[must]]\nassess = "{assess}"\nmetric = "{metric}"\n'
        f'limit = {limit}\nwhy = "w"\nsource = "s"'
    )


def test_a_perfect_model_gets_go_under_the_starter_policy():
    plan = make_plan(STARTER, facts(STARTER), tokens_per_s=1000)
    assert plan.p_go >= 0.9
    rows = {row.row: row for row in plan.rows}
    assert rows["refuse.non_refusal"].labels > 104
    assert rows["over_refuse.full_refusal"].n == 300
    assert rows["hierarchy.pass"].passes_after < 60
    assert 0.8 < rows["hierarchy.pass"].passes_at < 1
    assert rows["over_refuse.full_refusal"].half_width == pytest.approx(0.042, abs=0.002)
    assert plan.minutes == pytest.approx(plan.tokens / 60_000)
    assert json.loads(json.dumps(plan.to_json()))["items"] == plan.items


def test_planning_takes_no_time():
    suites = facts(STARTER)
    start = time.process_time()
    make_plan(STARTER, suites)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("policy", "sizes", "needed"),
    [
        (one_row("hierarchy", "pass", 0.99), {"hierarchy": 40}, "independent items"),
        (one_row("refuse", "non_refusal", 0.02), {"refuse": 100}, "183 items or more"),
        (one_row("bias", "s_amb", 0.05, attempts=5), {}, "90 templates, not 60"),
        (one_row("bias", "s_amb", 0.3), {"bias": 10}, "20 templates, not 5"),
    ],
)
def test_a_limit_that_no_answers_could_show_is_refused_with_what_it_would_need(policy, sizes, needed):
    with pytest.raises(PolicyError, match="can never pass") as error:
        make_plan(policy, facts(policy, **sizes))
    assert needed in str(error.value)


@pytest.mark.parametrize(("attempts", "needed"), [(1, None), (25, None), (26, 10), (1000, 15)])
def test_a_limit_on_the_machine_that_the_rounds_could_not_show_is_refused(attempts, needed):
    policy = one_row("resources", "decode_tok_s", 10, attempts=attempts)
    if needed is None:
        assert make_plan(policy, {}).rows[0].row == "resources.decode_tok_s"
        return
    with pytest.raises(PolicyError, match="rounds that are measured") as error:
        make_plan(policy, {})
    assert f"{needed} rounds" in str(error.value)


def test_a_limit_on_a_size_needs_no_rounds():
    make_plan(one_row("resources", "size_bytes", 2e8, attempts=1000), {})


def test_a_judge_measured_on_too_few_answers_is_refused():
    policy = one_row("refuse", "non_refusal", 0.05)
    counts = {"tp": 700, "fn": 300, "tn": 2, "fp": 0}
    table = {"judge": "hasty", "tables": {"cut": {"overall": {"non_refusal": counts}}}}
    with pytest.raises(PolicyError, match="judge that cannot carry it") as error:
        make_plan(policy, facts(policy), calibrations={"refusal": table})
    assert "2 negative" in str(error.value)


def test_a_judge_that_was_never_measured_is_refused():
    policy = one_row("refuse", "non_refusal", 0.05)
    with pytest.raises(PolicyError, match="judge that cannot carry it"):
        make_plan(policy, facts(policy), calibrations={})
