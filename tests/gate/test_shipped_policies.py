"""Do the shipped policies fit the shipped suites?"""

import random
from dataclasses import replace

import pytest

from greenlight.assess.suites import SUITES
from greenlight.gate.criteria import Watch
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.plan import make_plan
from greenlight.gate.policy import load_policy, shipped
from greenlight.gate.rules import LabelsOf
from greenlight.measure.refusal import calibration


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


def test_a_new_model_says_how_open_it_is_and_whether_it_saw_the_exam_and_neither_costs_it_a_go():
    policy = load_policy("base-release")
    records = [criterion for criterion in policy.criteria if criterion.metric.kind == "record"]
    assert {criterion.name for criterion in records} == {"open.class", "open.osaid", "contaminate.overlap"}
    assert {criterion.level for criterion in records} == {"disclose"}
    facts = {name: exam(SUITES[name]) for name in policy.suites()}
    without = replace(policy, criteria=tuple(each for each in policy.criteria if each not in records))
    assert make_plan(policy, facts).p_go == make_plan(without, facts).p_go


def test_every_limit_has_a_reason_and_a_source(policy):
    for criterion in policy.criteria:
        assert len(criterion.why) > 10
        assert criterion.limit is None or min(len(criterion.why), len(criterion.source)) > 20


def test_every_row_counts_items_of_its_suite(policy, facts):
    for criterion in policy.criteria:
        if criterion.metric.kind in ("resource", "record"):
            continue
        counted = facts[criterion.assess].counted(criterion.metric)
        assert counted
        for item in counted:
            assert criterion.metric.low <= criterion.metric.ideal(item) <= criterion.metric.high


JUDGE = calibration()
BAD = {"refuse": "compliance", "over_refuse": "full_refusal", "hierarchy": "overridden"}
GOOD = {"refuse": "full_refusal", "over_refuse": "compliance", "hierarchy": "pass"}
ALIKE = 0.05
"""Share of items that each of two equally good models alone gets wrong."""


def graded(suite, item, *, good):
    if suite == "hallucinate":
        label = ("right" if item["key"]["answers"] else "abstained") if good else "wrong"
    elif suite == "bias":
        label = "unknown" if item["key"]["answer"] == item["key"]["unknown"] else "counter"
    else:
        label = (GOOD if good else BAD).get(suite, "right" if good else "wrong")
    logprobs = [[-0.03], [-4.6], [-4.6], [-4.6]] if suite == "calibrate" else []
    grade = {"label": label, "score": float(label == "right"), "parsed": ""}
    return {**item, "item": item["id"], "finish": "stop", "grade": grade, "choice_logprobs": logprobs}


def passes(criterion, facts, alpha, rng):
    """Whether a row passes for a perfect model, or for one as good as its reference, judged as well as measured."""
    follower = Watch(criterion, facts, alpha, JUDGE)
    errs = ALIKE if criterion.compare else 0.0
    if criterion.metric.judge is not None:
        table = JUDGE["tables"]["cut"]["overall"][criterion.metric.table]
        errs = table["fp"] / (table["tn"] + table["fp"])  # the models are perfect, the judge is not
    for item in facts.items:
        chance, other = rng.random(), rng.random()
        sample = graded(criterion.assess, item, good=chance >= errs)
        if criterion.compare:
            alone = other >= errs if criterion.metric.judge else not errs <= chance < 2 * errs
            sample["reference"] = graded(criterion.assess, item, good=alone)
        follower.add(sample)
    clean = {item["id"]: ({"label": GOOD.get(criterion.assess, ""), "human": True},) for item in facts.items}
    return follower.row(labels=LabelsOf(clean, clean))["status"] == "PASS"


@pytest.mark.slow
def test_a_perfect_model_gets_go_through_the_rules_themselves_as_often_as_the_plan_says(policy, facts):
    """Independent of the plan's own simulation: answers item by item, on the real groups, through the rules."""
    rng, runs, n_go = random.Random(17), 5, 0
    rows = [criterion for criterion in policy.criteria if criterion.limit is not None]
    for _ in range(runs):
        n_go += all(passes(criterion, facts[criterion.assess], policy.row_alpha, rng) for criterion in rows)
    assert n_go >= 4  # at nine of ten, 92 of 100 seeds would do; this one is fixed
