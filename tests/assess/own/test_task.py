import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.assess.own import read_task, self_test
from greenlight.assess.own.keys import _WANTS, RULES
from greenlight.assess.own.task import parse_task
from greenlight.errors import TaskError
from greenlight.measure.graders.checks import CHECKS

TOML = """
[task]
name = "queue"
about = "Does it send a ticket to the right queue?"
items = "queue.jsonl"
prompt = "{prompt}\\nAnswer with the queue alone: billing, access or other."
answer_tokens = 8

[grader]
name = "exact"
"""

ROWS = [
    {"id": "t1", "prompt": "My invoice of March is wrong.", "answer": "billing", "wrong": ["access", "billing?! no"]},
    {"id": "t2", "prompt": "I cannot log in since yesterday.", "answer": "access", "right": ["Access.", "ACCESS"]},
    {"id": "t3", "prompt": "Where is your office in Leeds?", "answer": "other", "topic": "places"},
    {"id": "t4", "prompt": "The card was charged two times.", "answer": "billing", "cluster": "money"},
]


def parse(rows=ROWS, toml=TOML):
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return parse_task(toml.encode(), text.encode(), "queue.toml", "queue.jsonl")


def with_grader(name, *rows, settings=""):
    toml = TOML.replace('name = "exact"', f'name = "{name}"\n{settings}')
    return parse([{"id": f"t{n}", **row} for n, row in enumerate(rows)], toml)


def test_two_files_make_a_suite_with_items_in_an_order_that_the_seed_draws(tmp_path):
    (tmp_path / "queue.toml").write_text(TOML)
    (tmp_path / "queue.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    task = read_task(tmp_path / "queue.toml")
    drawn = task.suite.draw(7, None)
    assert sorted(item.id for item in drawn) == [f"task.queue-t{n}" for n in (1, 2, 3, 4)]
    assert drawn == task.suite.draw(7, None)
    assert any(task.suite.draw(seed, None) != drawn for seed in range(5))
    assert drawn[0].messages[0].content.endswith("Answer with the queue alone: billing, access or other.")
    assert {item.cluster for item in drawn} >= {"money", "task.queue-t1"}
    assert sorted(task.suite.files()) == ["tasks/queue.jsonl", "tasks/queue.toml"]


def test_the_chance_of_a_test_is_what_the_best_single_answer_scores():
    assert parse().suite.chance == 0.5


def test_a_self_test_plants_right_misplaced_and_wrong_answers():
    found = self_test(parse())
    assert found.gold == 1
    assert found.shuffled <= found.chance
    assert found.wrong >= 2


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("wrong", ["Billing."], "planted as wrong scores 1"),
        ("right", ["an invoice matter"], "right answer does not score 1"),
    ],
)
def test_a_planted_answer_that_scores_otherwise_stops_the_test(field, value, what):
    with pytest.raises(TaskError, match=what):
        self_test(parse([{**ROWS[0], field: value}, *ROWS[1:]]))


def test_a_test_that_one_answer_passes_cannot_count():
    rows = [{**row, "answer": "billing", "right": [], "wrong": []} for row in ROWS]
    with pytest.raises(TaskError, match="cannot tell"):
        self_test(parse(rows))


def test_a_declared_chance_that_misplaced_answers_beat_is_refused():
    rows = [{"id": f"t{n}", "prompt": f"Ticket {n} {'abcdefgh'[n]}", "answer": "ab"[n // 4]} for n in range(8)]
    with pytest.raises(TaskError, match="cannot tell"):
        self_test(parse(rows, TOML.replace("answer_tokens", "chance = 0.0\nanswer_tokens")))


def test_nonsense_never_passes():
    with pytest.raises(TaskError, match="nonsense"):
        self_test(
            with_grader(
                "checks",
                {"prompt": "Say one thing.", "answer": [{"check": "words_at_least", "want": 1}]},
                {"prompt": "Say something else.", "answer": [{"check": "avoids", "want": "frog"}], "right": ["a toad"]},
            )
        )


GRADERS = {
    "exact": [{"answer": "blue"}, {"answer": "red"}],
    "one_of": [{"answer": ["blue", "navy"]}, {"answer": ["red"]}],
    "number": [{"answer": 12}, {"answer": -3.5}],
    "choice": [{"answer": "b", "choices": ["a", "b"]}, {"answer": "c", "choices": ["c", "d"]}],
    "contains": [{"answer": ["blue", "sky"], "avoid": ["red"]}, {"answer": "red"}],
    "pattern": [{"answer": "the * is ?lue"}, {"answer": "order #??-*"}],
    "checks": [
        {"answer": [{"check": "words", "want": 7}, {"check": "lower", "want": True}]},
        {"answer": [{"check": "bullets", "want": 2}]},
    ],
    "refusal": [{"answer": "refusal"}, {"answer": "compliance"}],
    "short_answer": [{"answer": ["Paris"], "distractors": ["Rome"]}, {"answer": []}],
}


def test_every_grader_is_tried_here():
    assert set(GRADERS) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_small_test_with_each_grader_passes_its_self_test(name):
    rows = [{"prompt": prompt, **row} for prompt, row in zip(("One?", "Another?"), GRADERS[name], strict=True)]
    task = with_grader(name, *rows)
    assert self_test(task).gold == 1
    assert task.metrics[0] == ("non_refusal" if name == "refusal" else "score")


def test_letters_stand_before_the_choices_where_they_are_asked_for():
    rows = [
        {"prompt": "Which?", "answer": "b", "choices": ["a", "b"]},
        {"prompt": "And?", "answer": "c", "choices": "cd"},
    ]
    with pytest.raises(TaskError, match="line 2"):
        with_grader("choice", *rows, settings='form = "letter"')
    rows[1]["choices"] = ["c", "d"]
    first = with_grader("choice", *rows, settings='form = "letter"').items[0]
    assert first.choices == ("A", "B")
    assert "A. a\nB. b" in first.messages[-1].content


@pytest.mark.parametrize(
    ("change", "line", "do"),
    [
        ({"anser": "x"}, 1, "did you mean 'answer'"),
        ({"answer": None}, 1, "answer"),
        ({"answer": ""}, 1, "answer"),
        ({"id": "t2"}, 2, None),
        ({"id": "a b"}, 1, "another id"),
        ({"prompt": ROWS[2]["prompt"]}, 3, "cluster"),
        ({"prompt": ""}, 1, "prompt"),
        ({"harmful": "yes"}, 1, "harmful"),
        ({"answer": "\ud800"}, 1, "character"),
    ],
)
def test_a_row_that_cannot_count_is_refused_with_its_line_and_a_remedy(change, line, do):
    with pytest.raises(TaskError) as caught:
        parse([{**ROWS[0], **change}, *ROWS[1:]])
    assert f"queue.jsonl, line {line}" in str(caught.value)
    if do:
        assert do in str(caught.value)


def test_a_row_without_an_answer_is_named():
    with pytest.raises(TaskError, match="lacks a field") as caught:
        parse([{"id": "t1", "prompt": "Anyone?"}, *ROWS[1:]])
    assert "line 1, answer" in str(caught.value.where)


def test_items_that_are_almost_the_same_are_refused_unless_a_cluster_holds_them_together():
    text = "please tell me which of the three queues this ticket belongs to and say nothing else number "
    rows = [{"id": f"n{n}", "prompt": text + word, "answer": word} for n, word in enumerate(("one", "two"))]
    with pytest.raises(TaskError, match="said twice") as caught:
        parse(rows)
    assert "line 2" in str(caught.value)
    assert len(parse([{**row, "cluster": "numbers"} for row in rows]).items) == 2
    with pytest.raises(TaskError, match="said twice"):
        parse([{**rows[0], "cluster": "numbers"}, {**rows[0], "id": "other", "cluster": "numbers"}])


@pytest.mark.parametrize(
    ("old", "new", "do"),
    [
        ("about =", "abuot =", "about"),
        ("[grader]", "[grader]\nstrikt = true", "did you mean 'strict'"),
        ('"exact"', '"exakt"', "use one of"),
        ("answer_tokens = 8", "answer_tokens = true", "whole number"),
        ("answer_tokens = 8", 'metric = "non_refusal"', "choose"),
        ("answer_tokens = 8", 'direction = "max"', "direction"),
        ("{prompt}", "{question}", "{prompt}"),
        ('"queue.jsonl"', '"../queue.jsonl"', "beside"),
        ('name = "queue"', 'name = "../x"', "another name"),
    ],
)
def test_a_toml_file_that_cannot_count_is_refused_with_a_remedy(tmp_path, old, new, do):
    (tmp_path / "queue.toml").write_text(TOML.replace(old, new))
    (tmp_path / "queue.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    with pytest.raises(TaskError) as caught:
        read_task(tmp_path / "queue.toml")
    assert "queue.toml" in str(caught.value)
    assert do in str(caught.value)


def test_what_is_no_file_or_no_json_is_told(tmp_path):
    with pytest.raises(TaskError, match="not there"):
        read_task(tmp_path / "none.toml")
    for line in ("[1]", "{", '{"id": "a", "id": "b"}', '{"id": NaN}', "[" * 5000, '{"a":' * 500):
        with pytest.raises(TaskError, match="line 1"):
            parse([line, *ROWS])
    with pytest.raises(TaskError, match="too few"):
        parse([])


def test_the_version_and_the_system_message_are_the_files():
    toml = TOML.replace("answer_tokens = 8", 'version = 3\nsystem = "Be brief."\nstop = ["\\n"]')
    task = parse([{**ROWS[0], "system": "Be long."}, *ROWS[1:]], toml)
    assert (task.suite.version, task.suite.stop, task.suite.answer_tokens) == (3, ("\n",), 64)
    assert [item.messages[0].content for item in task.items[:2]] == ["Be long.", "Be brief."]
    assert replace(task).to_lock()["metrics"] == ["score", "missed"]


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_task_or_refused(toml, jsonl):
    with pytest.raises(TaskError):
        parse_task(toml, jsonl, "t", "j")


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
ROWISH = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c"]) | JSONISH, "prompt": st.text(max_size=12) | JSONISH, "answer": JSONISH},
    optional=dict.fromkeys(
        ("choices", "avoid", "distractors", "right", "wrong", "topic", "cluster", "harmful"), JSONISH
    ),
)


@pytest.mark.slow
@given(st.sampled_from(sorted(RULES)), st.lists(ROWISH, min_size=2, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_rows_are_a_task_or_refused(name, rows):
    text = "\n".join(json.dumps(row) for row in rows)
    toml = TOML.replace('"exact"', f'"{name}"')
    try:
        self_test(parse_task(toml.encode(), text.encode(), "t", "j"))
    except TaskError:
        return


CHECKISH = st.fixed_dictionaries({"check": st.sampled_from(sorted(CHECKS)), "want": JSONISH})


@given(st.lists(CHECKISH, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_checks_are_a_task_or_refused(checks):
    rows = [{"id": name, "prompt": name, "answer": checks} for name in "ab"]
    text = "\n".join(map(json.dumps, rows))
    try:
        self_test(parse_task(TOML.replace('"exact"', '"checks"').encode(), text.encode(), "t", "j"))
    except TaskError:
        return


def test_every_check_says_what_it_takes():
    assert set(_WANTS) == set(CHECKS)


def test_the_example_in_the_documentation_is_a_task(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
    blocks = [block.partition("\n")[2] for block in text.split("```")[1::2]]
    (tmp_path / "queue.toml").write_text(blocks[0])
    (tmp_path / "queue.jsonl").write_text(blocks[1])
    assert self_test(read_task(tmp_path / "queue.toml")).gold == 1
    assert all(f"`{name}`" in text for name in RULES)
