"""Prompts and choices are letter by letter those of lm-evaluation-harness 0.4.13's task files."""

import pytest

from greenlight.assess.instrument import check_grader
from greenlight.assess.public import PUBLIC
from greenlight.engine.answering import HEAD_END
from greenlight.errors import FormatError

ARC = {
    "id": "Q1",
    "question": {
        "stem": "What is wet?",
        "choices": [{"text": "sand", "label": "1"}, {"text": "rain", "label": "2"}, {"text": "dust", "label": "3"}],
    },
    "answerKey": "2",
}
WHO = {
    "context_options": ["Ann was kinder than Bea so Ann", "Ann was kinder than Bea so Bea"],
    "continuation": "was liked.",
    "gold": 0,
}
CASES = {
    "compete.arc_easy": (
        "arc/arc_easy_test.jsonl", ARC,
        "Question: What is wet?\nAnswer:", (" sand", " rain", " dust"), 1,
    ),
    "compete.arc_challenge.letter": (
        "arc/arc_challenge_test.jsonl", ARC,
        "Question: What is wet?\nA. sand\nB. rain\nC. dust\nAnswer:", (" A", " B", " C"), 1,
    ),
    "compete.commonsenseqa": (
        "commonsenseqa/dev.jsonl", ARC,
        "Question: What is wet?\nA. sand\nB. rain\nC. dust\nAnswer:", (" A", " B", " C"), 1,
    ),
    "compete.openbookqa": (
        "openbookqa/openbookqa.jsonl", {"query": "Fog is found on", "choices": ["a marsh", "a desert"], "gold": 0},
        "Fog is found on", (" a marsh", " a desert"), 0,
    ),
    "compete.mmlu.zero": (
        "mmlu/test.jsonl", {"subject": "high_school_physics", "question": " Two? ", "choices": [*"wxyz"], "answer": 2},
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
        "Two?\nA. w\nB. x\nC. y\nD. z\nAnswer:", (" A", " B", " C", " D"), 2,
    ),
    "compete.hellaswag": (
        "hellaswag/hellaswag_val_1k.jsonl",
        {"activity_label": "Baking", "ctx_a": "[header] He stirs.", "ctx_b": "then he", "endings": ["sits [x]", "eats"],
         "label": "1"},
        "Baking: He stirs. Then he", (" sits ", " eats"), 1,
    ),
    "compete.piqa": (
        "piqa/piqa.jsonl", {"query": "Question: To open a jar\n", "choices": ["twist it", "eat it"], "gold": 0},
        "Question: To open a jar\nAnswer:", (" twist it", " eat it"), 0,
    ),
    "compete.siqa": (
        "siqa/siqa.jsonl", {"question": "Ann fell. How is she?", "choices": ["sore", "rich", "tall"], "gold": 0},
        "Q: Ann fell. How is she?\nA:", (" sore", " rich", " tall"), 0,
    ),
    "compete.copa": (
        "copa/copa.jsonl", {"query": "It rained, therefore", "choices": ["The road was wet.", "they sang."], "gold": 0},
        "It rained therefore", ("  the road was wet.", "  they sang."), 0,
    ),
    "compete.winogrande": (
        "winogrande/winogrande.jsonl", WHO,
        "Ann was kinder than Bea so", (f" Ann{HEAD_END} was liked.", f" Bea{HEAD_END} was liked."), 0,
    ),
    "compete.wsc273": (
        "wsc273/wsc273.jsonl", WHO,
        "Ann was kinder than Bea so", (f" Ann{HEAD_END} was liked.", f" Bea{HEAD_END} was liked."), 0,
    ),
    "compete.boolq": (
        "boolq/boolq.jsonl", {"query": "Passage: It is so.\nQuestion: is it?", "choices": ["no", "yes"], "gold": 1},
        "It is so.\nQuestion: is it?\nAnswer:", (" no", " yes"), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_asked_as_lm_eval_asks_it(data, name):
    file, row, text, choices, answer = CASES[name]
    data(**{file.replace(".", "_dot_").replace("/", "__"): [row]})
    [item] = PUBLIC[name].draw(0, None)
    [turn] = item.messages
    assert (turn.role, turn.content) == ("text", text)
    assert item.choices == choices
    assert item.key["answer"] == answer


def test_examples_stand_before_a_question_with_their_right_choices(data):
    row = {"subject": "logic", "question": "Why?", "choices": [*"wxyz"], "answer": 3}
    other = {**row, "subject": "law"}
    data(mmlu__test_dot_jsonl=[row], mmlu__dev_dot_jsonl=[other, {**row, "question": "How?"}, {**row, "answer": 0}])
    [item] = PUBLIC["compete.mmlu"].draw(0, None)
    listed = "A. w\nB. x\nC. y\nD. z\nAnswer:"
    assert item.messages[0].content.partition("about logic.\n\n")[2] == (
        f"How?\n{listed} D\n\nWhy?\n{listed} A\n\nWhy?\n{listed}"
    )


def test_arcs_examples_come_from_its_first_rows(data):
    data(arc__arc_challenge_test_dot_jsonl=[ARC], arc__arc_challenge_dev_dot_jsonl=[ARC] * 30)
    [item] = PUBLIC["compete.arc_challenge.few"].draw(0, None)
    assert (
        item.messages[0].content == "Question: What is wet?\nAnswer: rain\n\n" * 25 + "Question: What is wet?\nAnswer:"
    )


def test_truthfulqa_weighs_one_true_answer_or_all_of_them(data):
    header = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source"
    data(truthfulqa__TruthfulQA_dot_csv=f"{header}\nA,Law,Is it?,It is,It is; Yes; It is,No; Never,url\n")
    [first], [second] = (PUBLIC[f"compete.truthfulqa_mc{n}"].draw(0, None) for n in (1, 2))
    assert first.choices == (" It is", " No", " Never")
    assert second.choices == (" It is", " Yes", " No", " Never")
    assert second.key["right"] == [0, 1]
    assert first.messages[0].content.startswith("Q: What is human life expectancy in the United States?\nA: Human")
    assert first.messages[0].content.endswith("Barcelona, Spain.\n\nQ: Is it?\nA:")
    assert first.topic == "Law"


def test_twins_are_one_cluster(data):
    rows = [WHO, {**WHO, "continuation": "was not.", "gold": 1}, {**WHO, "context_options": ["He saw Al", "He saw Bo"]}]
    data(wsc273__wsc273_dot_jsonl=rows)
    clusters = {item.id: item.cluster for item in PUBLIC["compete.wsc273"].draw(0, None)}
    first, second, third = (clusters[f"compete.wsc273-{n:05d}"] for n in (1, 2, 3))
    assert first == second != third


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("compete.arc_easy", {"answerKey": "9"}),
        ("compete.piqa", {"gold": 2}),
        ("compete.piqa", {"gold": "-1"}),
        ("compete.piqa", {"choices": ["one"]}),
        ("compete.piqa", {"query": None}),
        ("compete.wsc273", {"context_options": ["Ann", "Bea"]}),
    ],
)
def test_a_row_that_is_not_as_published_is_named(data, name, change):
    file, row, *_ = CASES[name]
    data(**{file.replace(".", "_dot_").replace("/", "__"): [{**row, **change}]})
    with pytest.raises(FormatError) as caught:
        PUBLIC[name].draw(0, None)
    assert "row 1" in str(caught.value)


CHOOSING = [name for name, suite in PUBLIC.items() if suite.kind == "choice"]


@pytest.mark.parametrize("name", CHOOSING)
def test_the_grader_of_a_public_set_tells_right_from_wrong(public_data, name):
    suite = PUBLIC[name]
    items = suite.draw(5, None)
    assert len({item.id for item in items}) == len(items) >= 100
    found = check_grader(suite, items[:2000])
    assert found["gold"] == 1
    assert found["shuffled"] <= found["chance"]
    assert found.get("plain") or name.startswith("values.")  # those are asked in conversation
    assert all(len(digest) == 64 for digest in suite.files().values())
