"""Do the shipped policies fit the shipped suites?"""

import pytest

from greenlight.assess.suites import SUITES
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.plan import make_plan
from greenlight.gate.policy import load_policy, shipped


@pytest.fixture(scope="module", params=shipped())
def policy(request):
    return load_policy(request.param)


@pytest.fixture(scope="module")
def facts(policy):
    return {name: exam(SUITES[name]) for name in policy.suites()}


def exam(suite):
    items = [item.to_json() for item in suite.draw(11, None)]
    return SuiteFacts.of(
        name=suite.name, version=suite.version, kind=suite.kind, answer_tokens=suite.answer_tokens, items=items
    )


def test_three_ship():
    assert set(shipped()) == {"starter", "customised", "base-release"}


def test_a_perfect_model_gets_go_in_nine_of_ten_with_the_real_exams(policy, facts):
    assert make_plan(policy, facts).p_go >= 0.9


def test_every_limit_has_a_reason_and_a_source(policy):
    for criterion in policy.criteria:
        assert len(criterion.why) > 10
        assert criterion.limit is None or min(len(criterion.why), len(criterion.source)) > 20


def test_every_row_counts_items_of_its_suite(policy, facts):
    for criterion in policy.criteria:
        if criterion.assess == "resources":
            continue
        counted = facts[criterion.assess].counted(criterion.metric)
        assert counted
        for item in counted:
            assert criterion.metric.low <= criterion.metric.ideal(item) <= criterion.metric.high
