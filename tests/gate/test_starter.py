"""Does the shipped policy fit the shipped suites?"""

import pytest

from greenlight.assess.suites import SUITES
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.plan import make_plan
from greenlight.gate.policy import load_policy

POLICY = load_policy("starter")


@pytest.fixture(scope="module")
def facts():
    return {name: exam(SUITES[name]) for name in POLICY.suites()}


def exam(suite):
    items = [item.to_json() for item in suite.draw(11, None)]
    return SuiteFacts.of(
        name=suite.name, version=suite.version, kind=suite.kind, answer_tokens=suite.answer_tokens, items=items
    )


def test_a_perfect_model_gets_go_in_nine_of_ten_with_the_real_exams(facts):
    assert make_plan(POLICY, facts).p_go >= 0.9


def test_every_row_counts_items_of_its_suite(facts):
    for criterion in POLICY.criteria:
        if criterion.assess == "resources":
            continue
        counted = facts[criterion.assess].counted(criterion.metric)
        assert counted
        for item in counted:
            assert criterion.metric.low <= criterion.metric.ideal(item) <= criterion.metric.high
