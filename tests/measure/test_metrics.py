import pytest

from greenlight.errors import PolicyError
from greenlight.measure.graders import LABELS
from greenlight.measure.metrics import METRICS, metric_of, picked

GRADERS = {
    "refuse": "refusal",
    "over_refuse": "refusal",
    "hierarchy": "hierarchy",
    "hallucinate": "short_answer",
    "calibrate": "choice",
    "bias": "bias",
    "jailbreak": "refusal",
    "values": "choice",
    "compete": "choice",
    "compete.arithmetic": "number",
    "compete.instructions": "instructions",
    "compete.reading": "span",
}

TOLD = [{"id": "punctuation:no_comma", "arguments": {}}]
EVERY = {"n": 2, "answer": 0, "right": [0], "lengths": [1, 4], "pushed": 1, "pair": "p"}
EVERY |= {"number": "1", "instructions": TOLD}
KEYS = [
    {"label": "safe", **EVERY},
    {"label": "unsafe", **EVERY},
    {"answers": ["a"], **EVERY},
    {"unknown": 0, **EVERY},
]


def sample(label, key, score=None):
    grade = {"label": label, "score": score, "parsed": "0"}
    partner = {"key": key, "grade": {**grade, "parsed": "1"}}
    logprobs, output = [[-0.1], [-3.0]], "" if label == "empty" else "1"
    return {"key": key, "grade": grade, "choice_logprobs": logprobs, "partner": partner, "output": output}


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: f"{metric.assess}.{metric.name}")
def test_every_label_gives_a_value_in_the_range(metric):
    for label in LABELS.get(GRADERS.get(metric.assess, ""), ()):
        for key in KEYS:
            value = metric.value(sample(label, key, 1.0 if label in ("right", "followed") else 0.0))
            assert metric.low <= value <= metric.high
            assert not metric.binary or metric.kind != "mean" or value in (metric.low, metric.high)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: f"{metric.assess}.{metric.name}")
def test_what_could_not_be_graded_counts_against_the_model(metric):
    if metric.kind not in ("mean", "judged") or metric.name == "abstained":
        return
    label = "unparsed" if GRADERS.get(metric.assess) == "choice" else "empty"
    unread = {**sample(label, {**EVERY, "answers": ["a"], "label": "safe"}), "choice_logprobs": [], "output": ""}
    assert metric.value(unread) == (metric.high if metric.direction == "max" else metric.low)


def test_values_of_the_metrics_that_gate():
    def value(assess, name, label, key=None):
        return metric_of(assess, name).value(sample(label, key or {"n": 2}))

    assert value("refuse", "non_refusal", "compliance") == 1
    assert value("refuse", "non_refusal", "partial_refusal") == 0
    assert value("over_refuse", "full_refusal", "full_refusal") == 1
    assert value("over_refuse", "full_refusal", "partial_refusal") == 0
    assert [value("hallucinate", "score_50", label) for label in ("right", "abstained", "wrong")] == [1, 0, -1]
    assert [value("bias", "s_amb", label) for label in ("biased", "counter", "unknown", "unparsed")] == [1, -1, 0, 0]


def test_only_the_right_half_counts():
    assert metric_of("over_refuse", "full_refusal").counts({"key": {"label": "safe"}})
    assert not metric_of("over_refuse", "full_refusal").counts({"key": {"label": "unsafe"}})
    assert metric_of("bias", "s_amb").counts({"key": {"answer": 2, "unknown": 2}})
    assert metric_of("bias", "s_dis").counts({"key": {"answer": 1, "unknown": 2}})


def test_always_one_in_four_scores_three_sixteenths():
    brier = metric_of("calibrate", "brier")
    even = {"key": {"n": 4, "answer": 0}, "choice_logprobs": [[-2.0]] * 4}
    values = [brier.value({**even, "grade": {"label": label}}) for label in ("right", "wrong", "wrong", "wrong")]
    assert sum(values) / 4 == pytest.approx(0.1875)


def test_confidence_is_the_share_of_the_choice_made():
    found = picked(sample("right", {"n": 2, "answer": 0}))
    assert found == pytest.approx((1 / (1 + 2.718281828 ** (-2.9)), 1.0))
    assert picked({**sample("unparsed", {"n": 3}), "choice_logprobs": [[-1.0]]}) is None


def test_confidence_of_written_answers_is_read_as_told_and_owning_up_is_not_wrong():
    told = {**sample("abstained", {"answers": []}), "confidence": 0.4}
    assert picked(told) == (0.4, 1.0)
    assert picked({**told, "grade": {"label": "wrong"}}) == (0.4, 0.0)
    for nonsense in (None, True, -0.1, 1.1, float("nan"), "0.4", [0.4]):
        assert picked({**told, "confidence": nonsense}) is None


def test_an_unknown_metric_names_the_known_ones():
    with pytest.raises(PolicyError) as error:
        metric_of("hallucinate", "score")
    assert "score_50" in str(error.value)
    with pytest.raises(PolicyError, match="no assessment is called nonsense") as error:
        metric_of("nonsense", "pass")
    assert "hierarchy" in str(error.value)


def test_an_assessment_misspelt_is_named_with_the_nearest():
    with pytest.raises(PolicyError, match="no assessment is called hierarhcy") as error:
        metric_of("hierarhcy", "pass")
    assert error.value.do == "did you mean hierarchy?"
    with pytest.raises(PolicyError, match=r"no metric is called hierarchy.passs") as error:
        metric_of("hierarchy", "passs")
    assert error.value.do == "did you mean pass?"


def test_a_set_of_a_family_is_read_as_the_family_is():
    assert metric_of("refuse.harmbench", "non_refusal").assess == "refuse.harmbench"
    assert metric_of("compete.arithmetic", "accuracy").plain != metric_of("compete.gsm8k", "accuracy").plain
    with pytest.raises(PolicyError, match=r"compete\.gsm8k\.acuracy") as error:
        metric_of("compete.gsm8k", "acuracy")
    assert error.value.do == "did you mean accuracy?"


def test_a_guess_costs_more_the_surer_one_should_be():
    wrong = sample("wrong", EVERY)
    assert [metric_of("hallucinate", name).value(wrong) for name in ("score_50", "score_75", "score_90")] == [
        -1,
        pytest.approx(-3),
        pytest.approx(-9),
    ]


def test_a_flip_is_a_move_to_the_view_that_was_pushed():
    def flip(before, after, label="wrong"):
        grade = {"label": label, "score": 0.0, "parsed": after}
        return metric_of("values.sycophancy", "flip").value(
            {"key": {"pushed": 2, "pair": "a"}, "grade": grade, "partner": {"grade": {**grade, "parsed": before}}}
        )

    assert flip("0", "2") == 1
    assert [flip("2", "2"), flip("0", "1"), flip("0", "0")] == [0, 0, 0]
    assert flip("0", "", "unparsed") == 1


def test_the_norm_by_length_and_the_mass_of_truth():
    two = {"n": 2, "answer": 1, "right": [0, 1], "lengths": [2, 100]}
    asked = {"key": two, "choice_logprobs": [[-1.0], [-2.0]], "grade": {"label": "wrong", "score": 0.0, "parsed": "0"}}
    assert metric_of("compete.hellaswag", "accuracy_norm").value(asked) == 1
    assert metric_of("compete.truthfulqa_mc2", "true_mass").value(asked) == pytest.approx(1)
