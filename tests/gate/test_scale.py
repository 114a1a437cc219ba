"""What stands beside a mean: room on its scale, and answers to one question asked again."""

import pytest

from greenlight.gate.policy import parse_policy
from greenlight.gate.scale import beside_the_mean

TEXT = """
[policy]
name = "p"
[reference.base]
model = "?"
why = "a test"
[[must]]
assess = "compete.arithmetic"
metric = "accuracy"
limit = 0.5
why = "w"
source = "s"
[[must]]
assess = "compete.arithmetic"
metric = "accuracy"
compare = "base"
margin = 0.2
why = "w"
source = "s"
[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.5
why = "w"
source = "s"
"""
ALONE, BESIDE, HIERARCHY = parse_policy(TEXT).criteria


def answers(rights, n_choices=0, others=None):
    found = []
    for index, right in enumerate(rights):
        key = {"n": n_choices} if n_choices else {}
        sample = {"item": f"i{index}", "cluster": f"c{index}", "key": key, "grade": {"label": "right", "score": right}}
        if others is not None:
            sample["reference"] = {**sample, "grade": {"label": "right", "score": others[index]}}
        found.append(sample)
    return found


@pytest.mark.parametrize(
    ("rights", "n_choices", "says"),
    [
        ([1.0] * 40, 0, "the ceiling"),
        ([0.0] * 40, 0, "chance (0.00)"),
        ([1.0, 0.0, 0.0, 0.0] * 10, 4, "chance (0.25)"),
        ([1.0, 0.0, 0.0, 0.0] * 10, 0, None),
        ([1.0] * 38 + [0.0] * 2, 0, "the ceiling"),
        ([1.0] * 30 + [0.0] * 10, 4, None),
        ([1.0] * 10, 0, None),  # too few to say where it lies
    ],
)
def test_a_capability_at_an_end_of_its_scale_says_so(rights, n_choices, says):
    found = beside_the_mean(ALONE, answers(rights, n_choices))
    assert (says is None) == ("headroom" not in found)
    assert says is None or says in found["headroom"]


def test_of_two_models_both_must_be_there():
    top, middle = [1.0] * 40, [1.0, 0.0] * 20
    assert "both models are" in beside_the_mean(BESIDE, answers(top, others=top))["headroom"]
    assert beside_the_mean(BESIDE, answers(top, others=middle)) == {}


def test_a_pass_rate_is_no_capability():
    samples = [{**sample, "grade": {"label": "pass"}} for sample in answers([1.0] * 40)]
    assert beside_the_mean(HIERARCHY, samples) == {}


def test_questions_asked_again_say_how_alike_their_answers_are():
    samples = answers([1.0, 0.0] * 20)
    again = [{**sample, "item": f"{sample['item']}~2", "grade": {"label": "right", "score": 1.0}} for sample in samples]
    found = beside_the_mean(ALONE, [*samples, *again])
    assert found["asked_again"] == 40
    assert found["variance_within_items"] == pytest.approx(0.25)  # half of the questions: 0 and 1, variance 1/2
