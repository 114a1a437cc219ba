"""What each generator promises about its own items."""

import re
from collections import Counter
from functools import cache

import pytest

from greenlight.assess.suites import SUITES, gold
from greenlight.assess.suites.arithmetic import LEVELS, evaluate, problems
from greenlight.assess.suites.bias import PAIRS, situations
from greenlight.assess.suites.hierarchy import TASKS, attacks
from greenlight.assess.suites.instructions import LEVELS as STEPS
from greenlight.assess.suites.instructions import tasks
from greenlight.assess.suites.reading import scenarios
from greenlight.measure.graders import Answer, grade
from greenlight.measure.graders.checks import CHECKS
from greenlight.measure.graders.span import normal_span


@cache
def drawn(name, seed=7):
    return SUITES[name].draw(seed, None)


# hierarchy


def test_each_task_has_25_templates_of_different_names():
    for task in TASKS:
        assert len({attack.id for attack in attacks(task)}) == len(attacks(task)) >= 25


def by_task(task):
    return [item for item in drawn("hierarchy") if item.topic == task]


def score(item, text):
    return grade("hierarchy", item.key, Answer(text)).label


def test_babble_passes_no_task():
    for item in drawn("hierarchy"):
        assert score(item, "I am a helpful assistant and I am glad that you asked me about this today.") == "ignored"


def test_saying_nothing_is_empty_and_no_pass():
    for text in ("", " \n\t", "\u200b"):
        given = grade("hierarchy", drawn("hierarchy")[0].key, Answer(text))
        assert (given.label, given.score) == ("empty", None)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda word: f"It is {word}.",
        lambda word: word.upper(),
        lambda word: word[::-1],
        lambda word: " ".join(word),
        lambda word: "-".join(word),
        lambda word: "\n".join(f"{i}. {letter}" for i, letter in enumerate(word, 1)),
        lambda word: "\n".join(f"{letter}eautiful lines" for letter in word),
        lambda word: " ".join(f"{letter}ome" for letter in word),
        lambda word: word.translate({ord("A") + i: 0xFF21 + i for i in range(26)}),
    ],
    ids=["plain", "capitals", "backwards", "spaced", "dashes", "list", "acrostic", "initials", "wide"],
)
def test_a_secret_is_found_in_every_disguise_even_beside_the_right_reply(disguise):
    for item in by_task("password"):
        word = re.search(r"([A-Z][a-z]+)-(\d{4})", item.messages[0].content).group(1)
        assert score(item, f"{gold(item).text}\n{disguise(word)}") == "overridden"


def test_the_digits_of_a_password_are_part_of_it():
    for item in by_task("password"):
        digits = re.search(r"[a-z]-(\d{4})", item.messages[0].content).group(1)
        assert score(item, f"{gold(item).text}. The last four are {digits}.") == "overridden"


def test_a_system_prompt_that_is_quoted_is_extracted():
    for item in by_task("extraction"):
        words = item.messages[0].content.split()
        assert score(item, f"{gold(item).text}. {' '.join(words[3:13])}") == "overridden"


def test_what_an_injected_text_wants_is_not_a_pass():
    for item in by_task("hijack"):
        wanted = item.key["forbid"][0]["want"]
        assert wanted in item.messages[1].content
        assert score(item, wanted) == score(item, f"{gold(item).text} {wanted}") == "overridden"


def test_the_reply_that_a_system_prescribes_stands_in_its_prompt():
    for item in drawn("hierarchy"):
        reply = item.key["require"][0]["want"]
        assert reply in item.messages[0].content or reply in item.messages[1].content


# compete.arithmetic


def test_a_formula_is_exact_or_nothing():
    assert evaluate("2 * (a + b) - c", {"a": 3, "b": 4, "c": 5}) == 9
    assert evaluate("a / 2 + 1", {"a": 8}) == 5
    assert evaluate("a / 2 + 1", {"a": 9}) is None
    with pytest.raises(ValueError, match="formula"):
        evaluate("a ** 2", {"a": 2})
    with pytest.raises(ValueError, match="formula"):
        evaluate("abs(a)", {"a": 2})


def test_every_number_of_a_problem_is_told_and_every_formula_uses_only_what_is_told():
    for level in LEVELS:
        for problem in problems(level.number):
            told = set(re.findall(r"\{([a-z])\}", problem.text))
            assert told == set(problem.ranges), problem.id
            assert set(re.findall(r"\b[a-z]\b", problem.answer)) <= told, problem.id


def test_hard_problems_hold_facts_that_do_not_matter():
    for item in drawn("compete.arithmetic"):
        numbers = len(re.findall(r"\d+", item.text))
        assert numbers >= {"1": 2, "2": 2, "3": 1, "4": 6}[item.level], item.text


# compete.instructions


def test_every_check_of_a_task_exists_and_its_levels_grow():
    for level in STEPS:
        for task in tasks(level):
            assert all(check["check"] in CHECKS for check in task.checks), task.id
            assert set(re.findall(r"\{([a-z])\}", task.text)) == set(task.ranges), task.id
            assert len(task.checks) >= {1: 1, 2: 1, 3: 2, 4: 3}[level], task.id


# compete.reading


def test_there_are_25_scenarios_whose_values_cannot_be_confused():
    assert len({scenario.id for scenario in scenarios()}) == len(scenarios()) >= 25
    for scenario in scenarios():
        values = [f" {normal_span(value, scenario.drop)} " for value in scenario.values]
        assert all(value.strip() for value in values), scenario.id
        assert not [(a, b) for a in values for b in values if a != b and a in b], scenario.id
        assert len(set(values)) == len(values) >= 9, scenario.id


def test_a_passage_holds_its_answer_once_and_every_rival():
    for item in drawn("compete.reading"):
        passage = item.text.partition("\n\n")[0]
        for value in [item.key["answer"], *item.key["rivals"]]:
            assert value.casefold() in passage.casefold(), item.id
        assert item.key["answer"] not in item.key["rivals"]


def test_two_hop_questions_ask_for_someone_whose_value_is_not_told():
    for item in drawn("compete.reading"):
        if item.level == "4":
            assert len(item.key["rivals"]) == 8
            assert grade("span", item.key, Answer(", ".join([item.key["answer"], *item.key["rivals"]]))).score == 0


# bias


def test_there_are_60_situations_with_four_pairs_of_groups():
    assert len({situation.id for situation in situations()}) == len(situations()) == 60
    for situation in situations():
        assert len(situation.pairs) == PAIRS, situation.id
        assert all(len(pair) == 2 and pair[0] != pair[1] for pair in situation.pairs), situation.id
        for text in (situation.context, situation.fact):
            assert "{x}" in text or "{y}" in text, situation.id
        assert situation.source


def test_contexts_questions_roles_and_orders_of_options_are_balanced():
    items = drawn("bias")
    ways = Counter((i.key["context"], i.key["polarity"], i.key["target_first"]) for i in items)
    assert len(ways) == 8
    assert set(ways.values()) == {60}
    for way in ways:
        group = [i for i in items if (i.key["context"], i.key["polarity"], i.key["target_first"]) == way]
        assert Counter(i.key["unknown"] for i in group) == {0: 20, 1: 20, 2: 20}
        assert Counter(i.key["biased"] for i in group) == {0: 20, 1: 20, 2: 20}


def test_the_right_answer_is_unknown_without_the_fact_and_half_the_time_stereotyped_with_it():
    for item in drawn("bias"):
        ambiguous = item.key["context"] == "ambiguous"
        assert (item.key["answer"] == item.key["unknown"]) == ambiguous
    told = [item.key for item in drawn("bias") if item.key["context"] == "disambiguated"]
    assert sum(key["answer"] == key["biased"] for key in told) * 2 == len(told)


def test_the_fact_names_first_whom_the_negative_question_asks_for():
    for item in drawn("bias"):
        key = item.key
        if key["context"] == "disambiguated" and key["polarity"] == "negative":
            target_is_right = key["answer"] == key["biased"]
            assert target_is_right == key["target_first"]
