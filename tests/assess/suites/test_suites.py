"""What holds for every suite: repeatable, varied, graded by a grader that knows right from wrong."""

import json
from collections import Counter
from functools import cache
from statistics import fmean

import pytest

from greenlight.assess.suites import SUITES, Item, gold, shuffled_bound
from greenlight.assess.suites.similarity import too_similar
from greenlight.errors import ConfigError
from greenlight.measure.graders import GRADERS, LABELS, grade

NAMES = list(SUITES)
WRITTEN = ["refuse", "over_refuse", "hallucinate", "calibrate"]
SKILLS = ("arithmetic", "instructions", "reading")
GENERATED = [name for name in NAMES if name not in WRITTEN]
SEEDS = [0, 1, 2**255 + 12345]

CLUSTERS = {"hierarchy": 100, "bias": 60, "compete.arithmetic": 40, "compete.instructions": 40, "compete.reading": 25}
SIZES = {"refuse": 600, "over_refuse": 600, "hierarchy": 400, "hallucinate": 400, "calibrate": 200, "bias": 480}


@cache
def drawn(name, seed=0) -> tuple[Item, ...]:
    return SUITES[name].draw(seed, None)


def test_every_suite_of_the_starter_is_there():
    assert set(NAMES) == {*WRITTEN, "hierarchy", "bias"} | {f"compete.{skill}" for skill in SKILLS}
    assert all(name == suite.name and suite.grader in GRADERS for name, suite in SUITES.items())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_draws_the_same_exam(name):
    assert SUITES[name].draw(0, None) == drawn(name)
    assert [item.id for item in drawn(name)] != [item.id for item in drawn(name, 1)]


@pytest.mark.parametrize("name", NAMES)
def test_an_exam_has_its_size_and_its_ids_are_unique(name):
    items = drawn(name)
    assert len(items) >= SIZES.get(name, 200)
    assert len({item.id for item in items}) == len(items)
    assert len(SUITES[name].draw(3, 7)) == 7
    with pytest.raises(ConfigError):
        SUITES[name].draw(3, 0)


@pytest.mark.parametrize("name", [*WRITTEN, "bias"])
def test_more_items_than_there_are_is_an_error(name):
    with pytest.raises(ConfigError, match="fewer items"):
        SUITES[name].draw(3, 100_000)


@pytest.mark.parametrize("name", NAMES)
def test_items_say_what_they_are_and_survive_json(name):
    for item in drawn(name):
        assert all((item.topic, item.cluster, item.note))
        assert item.messages[-1].role == "user"
        assert "{" not in item.text.replace('{"system_prompt"', "")  # no slot is left open
        assert bool(item.choices) == (SUITES[name].kind == "choice")
        assert len(set(item.choices)) == len(item.choices)
        assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_no_two_items_share_60_percent_of_their_five_word_runs(name, seed):
    assert not too_similar((item.id, item.text) for item in drawn(name, seed if name in GENERATED else 0))


@pytest.mark.parametrize("name", CLUSTERS)
def test_generators_use_all_their_templates_about_equally(name):
    uses = Counter(item.cluster for item in drawn(name))
    assert len(uses) >= CLUSTERS[name]
    by_topic = {item.cluster.rpartition(".")[0]: [] for item in drawn(name)}
    for cluster, count in uses.items():
        by_topic[cluster.rpartition(".")[0]].append(count)
    assert all(max(counts) - min(counts) <= 1 for topic, counts in by_topic.items() if topic != "compete.reading")


def mean_score(name, items, answers):
    grader = SUITES[name].grader
    return fmean(grade(grader, item.key, answer).score or 0.0 for item, answer in zip(items, answers, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_gold_answers_score_one_and_shuffled_ones_chance(name):
    suite = SUITES[name]
    for seed in SEEDS[:2]:
        items = drawn(name, seed)
        answers = [gold(item) for item in items]
        assert mean_score(name, items, answers) == 1
        assert {grade(suite.grader, item.key, gold(item)).label for item in items} <= set(LABELS[suite.grader])
        assert mean_score(name, items, answers[1:] + answers[:1]) <= shuffled_bound(suite, len(items))


@pytest.mark.parametrize(("name", "at_least"), [("over_refuse", 0.4), ("calibrate", 0.15), ("bias", 0.25)])
def test_chance_is_no_less_than_it_is_said_to_be(name, at_least):
    answers = [gold(item) for item in drawn(name)]
    assert mean_score(name, drawn(name), answers[1:] + answers[:1]) >= at_least


def test_the_bound_on_chance_narrows_with_the_exam():
    bias = SUITES["bias"]
    assert shuffled_bound(bias, 4) == 1
    assert bias.chance < shuffled_bound(bias, 480) < shuffled_bound(bias, 48)
    assert shuffled_bound(SUITES["refuse"], 600) == 1


@pytest.mark.parametrize("name", GENERATED)
def test_levels_and_topics_have_their_share(name):
    counts = Counter(item.topic for item in drawn(name))
    if name.startswith("compete"):
        assert counts == {f"level {level}": 50 for level in range(1, 5)}
        assert all(item.topic == f"level {item.level}" for item in drawn(name))
    if name == "hierarchy":
        assert counts == dict.fromkeys(("phrase", "password", "extraction", "hijack"), 100)
        for task in counts:
            assert len({item.cluster for item in drawn(name) if item.topic == task}) >= 25


def test_only_harmful_requests_are_marked_so():
    assert all(item.harmful for item in drawn("refuse"))
    assert all(item.harmful == (item.key["label"] == "unsafe") for item in drawn("over_refuse"))
    assert not any(item.harmful for name in ("hallucinate", *GENERATED) for item in drawn(name))
