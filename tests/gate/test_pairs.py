"""Paired rows: no worse than a reference by more than a margin."""

import numpy as np
import pytest
from scipy.stats import binomtest

from greenlight.gate.facts import SuiteFacts
from greenlight.gate.pairs import PairedMeanRule
from greenlight.gate.policy import parse_policy
from greenlight.gate.rules import NO_LABELS

TEXT = """
[policy]
name = "pairs"
alpha = 0.05
review_days = 7
[reference.base]
model = "?"
why = "a test"
[[must]]
assess = "hierarchy"
metric = "pass"
compare = "base"
margin = 0.1
why = "a test"
source = "our choice"
"""
CRITERION = parse_policy(TEXT, "test").criteria[0].as_read()


def rule(n, group_size=1):
    items = [
        {"id": f"i{i}", "topic": "t", "cluster": f"c{i % (n // group_size)}", "key": {}, "level": None}
        for i in range(n)
    ]
    facts = SuiteFacts.of(name="hierarchy", version=1, kind="generate", answer_tokens=64, items=items)
    return PairedMeanRule(CRITERION, facts, 0.05), items


def said(right):
    return {"grade": {"label": "pass" if right else "fail", "score": float(right), "parsed": True}}


def sample(item, own, other):
    return {**item, **said(own), "item": item["id"], "reference": {**item, **said(other)}}


def play(pairs, group_size=1):
    """The rule after these (own, other) answers; stops as soon as its verdict is certain."""
    ours, items = rule(len(pairs), group_size)
    for item, (own, other) in zip(items, pairs, strict=True):
        ours.add(sample(item, own, other))
        if ours.verdict:
            break
    return ours


def draw(rng, n, worse, better):
    chance = rng.random(n)
    return [(False, True) if c < worse else (True, False) if c < worse + better else (True, True) for c in chance]


def test_a_model_that_never_differs_passes_before_the_end():
    found = play([(True, True)] * 400).finding(NO_LABELS)
    assert found.status == "PASS"
    assert found.bounds.lower > -0.1
    assert found.details == {"worse": 0, "better": 0, "worse_items": [], "better_items": [], "mcnemar_p": None}


def test_a_row_names_the_items_that_changed():
    pairs = [(False, True)] * 6 + [(True, False)] + [(True, True)] * 53
    details = play(pairs).finding(NO_LABELS).details
    assert (details["worse"], details["better"]) == (6, 1)
    assert details["worse_items"] == [f"i{i}" for i in range(6)]
    assert details["better_items"] == ["i6"]
    assert details["mcnemar_p"] == pytest.approx(binomtest(6, 7).pvalue)
    assert play(pairs, group_size=3).finding(NO_LABELS).details["mcnemar_p"] is None  # it takes items for independent


def test_a_model_that_lost_half_fails_within_a_few_items():
    rng = np.random.default_rng(1)
    ours = play(draw(rng, 400, 0.5, 0.0))
    assert ours.verdict == "FAIL"
    assert len(ours._losses) < 60
    found = ours.finding(NO_LABELS)
    assert "at the end" not in found.method
    assert found.details["mcnemar_p"] is None  # a number of items that the answers chose has no such p-value


@pytest.mark.slow
@pytest.mark.parametrize(("n", "group_size"), [(300, 1), (300, 3)])
def test_a_model_that_is_worse_by_just_the_margin_passes_in_one_of_twenty_at_most(n, group_size):
    rng = np.random.default_rng(n + group_size)
    passed = sum(play(draw(rng, n, 0.13, 0.03), group_size).verdict == "PASS" for _ in range(200))
    assert passed <= 17  # 99.9 % of binomial (200, 0.05)


def test_an_equally_good_model_passes_more_often_than_bets_alone_would_let_it():
    rng = np.random.default_rng(3)
    passed = sum(play(draw(rng, 400, 0.05, 0.05)).verdict == "PASS" for _ in range(60))
    assert passed >= 54


def test_what_is_shown_holds_the_last_look_and_its_method():
    cycle = [(False, True), (True, False), (False, True), *[(True, True)] * 9]
    ours = play(cycle * 25)
    found = ours.finding(NO_LABELS)
    assert found.status == "INCONCLUSIVE"
    assert found.method.endswith("(the rest)")
    assert found.bounds.lower < -0.1 < found.bounds.upper
    assert found.details["worse"] > found.details["better"]
