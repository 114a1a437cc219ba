"""Sets that are answered in text: what is asked, what counts, what is left out or NOT SUPPORTED."""

import json

import pytest

from greenlight.assess.catalog import find_suite
from greenlight.assess.instrument import check_grader
from greenlight.assess.public import PUBLIC, RUNS_CODE
from greenlight.assess.suites import gold
from greenlight.errors import FormatError, UnsupportedError
from greenlight.measure.graders import Answer, grade
from greenlight.measure.metrics import metric_of

GSM = {"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\n#### 4"}


def test_gsm8k_is_asked_as_lm_eval_asks_it(data):
    data(gsm8k__test_dot_jsonl=[GSM], gsm8k__train_dot_jsonl=[{**GSM, "question": f"Q{n}?"} for n in range(9)])
    [item], [zero] = PUBLIC["compete.gsm8k"].draw(0, None), PUBLIC["compete.gsm8k.zero"].draw(0, None)
    shown = "".join(f"Question: Q{n}?\nAnswer: {GSM['answer']}\n\n" for n in range(5))
    assert item.messages[0].content == f"{shown}Question: Two and two?\nAnswer:"
    assert zero.messages[0].content == "Question: Two and two?\nAnswer:"
    assert item.key == {"number": "4", "reading": "strict"}
    assert PUBLIC["compete.gsm8k"].stop == ("Question:", "</s>", "<|im_end|>")


def sample(item, text, grader):
    found = grade(grader, item.key, Answer(text))
    return {"key": item.key, "output": text, "grade": {"label": found.label, "score": found.score}}


def test_gsm8ks_second_reading_is_a_metric_of_its_own(data):
    data(gsm8k__test_dot_jsonl=[GSM])
    [item] = PUBLIC["compete.gsm8k.zero"].draw(0, None)
    strict, flexible = (metric_of("compete.gsm8k.zero", name) for name in ("accuracy", "accuracy_flexible"))
    assert flexible.counts(item.to_json())
    values = [
        (strict.value(s), flexible.value(s)) for t in ("#### 4", "it is 4", "5") for s in [sample(item, t, "solved")]
    ]
    assert values == [(1, 1), (0, 1), (0, 0)]


def test_ifeval_keeps_what_is_asked_and_drops_what_is_not(data):
    row = {
        "key": 7,
        "prompt": "Write, without commas, at least one word.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{"num_words": None}, {"num_words": 1, "relation": "at least", "keywords": None}],
    }
    data(ifeval__input_data_dot_jsonl=[row])
    [item] = PUBLIC["compete.ifeval"].draw(0, None)
    assert item.messages[0].role == "user"
    assert item.key["instructions"][1]["arguments"] == {"num_words": 1, "relation": "at least"}
    strict, loose, share = (metric_of("compete.ifeval", name) for name in ("accuracy", "accuracy_loose", "followed"))
    told = sample(item, "Sure, here:\nword", "ifeval")
    assert [metric.value(told) for metric in (strict, loose, share)] == [0, 1, 0.5]


def test_an_instruction_of_another_benchmark_is_named(data):
    row = {"key": 7, "prompt": "x", "instruction_id_list": ["taste:good"], "kwargs": [{}]}
    data(ifeval__input_data_dot_jsonl=[row])
    with pytest.raises(FormatError, match="25"):
        PUBLIC["compete.ifeval"].draw(0, None)


def test_facts_are_asked_with_a_way_out_and_scored_for_taking_it(data):
    rows = [
        {"question_id": 1, "question": "Who wrote it?", "answer": ["Ida"], "answerable": True},
        {"question_id": 2, "question": "What will be?", "answer": None, "answerable": False},
    ]
    data(selfaware__selfaware_dot_jsonl=rows)
    known, unknown = sorted(PUBLIC["hallucinate.selfaware"].draw(0, None), key=lambda item: item.id)
    assert "If you do not know" in known.messages[0].content
    score = metric_of("hallucinate.selfaware", "score_75")
    values = [
        score.value(sample(item, text, "short_answer"))
        for item in (known, unknown)
        for text in ("It was Ida.", "I don't know.", "It was Bo.")
    ]
    assert values == [1, 0, -3, -3, 0, -3]
    assert unknown.topic == "unanswerable"


def test_triviaqa_takes_every_spelling_and_ends_at_the_first_stop(data):
    data(triviaqa__triviaqa_dot_jsonl=[{"context": "Question: Who?\nAnswer:", "answer": "Ida B", "aliases": ["I. B."]}])
    [plain], [asked] = PUBLIC["compete.triviaqa"].draw(0, None), PUBLIC["hallucinate.triviaqa"].draw(0, None)
    assert plain.messages[0].content == "Question: Who?\nAnswer:"
    assert asked.messages[0].content.startswith("Who?\n")
    assert grade("exact", plain.key, Answer(" i b")).score == 1
    assert PUBLIC["compete.triviaqa"].stop == ("\n", ".", ",")


def test_big_bench_hard_keeps_its_task_as_the_topic(data):
    data(bbh__bbh_dot_jsonl=json.dumps({"task": "navigate", "input": "Here?", "target": "No", "canary": "c"}))
    [item] = PUBLIC["compete.bbh"].draw(0, None)
    assert (item.topic, item.messages[0].content) == ("navigate", "Q: Here?\nA:")
    assert "not for training" in item.note


@pytest.mark.parametrize("name", RUNS_CODE)
def test_benchmarks_that_run_a_models_code_are_refused_by_name(name):
    with pytest.raises(UnsupportedError, match=f"{name} is NOT SUPPORTED"):
        find_suite(name)


ANSWERED = [name for name, suite in PUBLIC.items() if suite.kind == "generate"]


@pytest.mark.parametrize("name", ANSWERED)
def test_the_grader_of_an_answered_set_tells_right_from_wrong(public_data, name):
    suite = PUBLIC[name]
    items = suite.draw(5, None)
    assert len({item.id for item in items}) == len(items) >= 100
    found = check_grader(suite, items[:400])
    assert found["gold"] == 1
    assert found["shuffled"] <= found["chance"]
    without = [item for item in items if item.key.get("no_gold")]
    assert len(without) <= len(items) * 0.02
    for item in without:
        with pytest.raises(KeyError):
            gold(item)
