"""lm-evaluation-harness, with its own task files and the same weights, asks and gets the same, item by item."""

from __future__ import annotations

import json
import os
from importlib.resources import files

import pytest
from benchmarks.setting import Setting

from greenlight.assess.data import read_table
from greenlight.assess.public import PUBLIC
from greenlight.engine import SamplingParams
from greenlight.engine.answering import HEAD_END, ChatRequest, ChoiceRequest
from greenlight.engine.local import LocalModel
from greenlight.measure.graders.choice import totals
from greenlight.measure.graders.solved import agrees, read_flexible, read_strict

NEAR_TIE_NATS = 0.3
CLOSE_NATS = 0.02
SOME, ASKED = 8, 150
SUBJECT = "high_school_psychology"
WORKED = 5
ANSWER_TOKENS = 32

# assessment, rows, lm-eval's file, our file: choices are picked by summed log-probability
CHOICES = {
    "compete.arc_easy": (40, "arc/arc_easy.yaml", "arc/arc_easy_test.jsonl"),
    "compete.hellaswag": (24, "hellaswag/hellaswag.yaml", "hellaswag/hellaswag_val_1k.jsonl"),
    "compete.mmlu": (12, f"mmlu/default/mmlu_{SUBJECT}.yaml", "mmlu/test.jsonl"),
    "compete.openbookqa": (20, "openbookqa/openbookqa.yaml", "openbookqa/openbookqa.jsonl"),
    "compete.piqa": (16, "piqa/piqa.yaml", "piqa/piqa.jsonl"),
    "compete.winogrande": (20, "winogrande/default.yaml", "winogrande/winogrande.jsonl"),
}
SOLVED = ("compete.gsm8k", 4, "gsm8k/gsm8k.yaml", "gsm8k/test.jsonl")


def rows_of(name, n, file):
    """The first rows of a file, with their places in it."""
    rows = list(enumerate(read_table(file).rows))
    if name == "compete.mmlu":
        rows = [(place, row) for place, row in rows if row["subject"] == SUBJECT]
    return rows[:n]


def as_published(name, row):
    """A row in the layout of the data set that lm-eval loads."""
    match name:
        case "compete.arc_easy":
            options = row["question"]["choices"]
            listed = {part: [option[part] for option in options] for part in ("text", "label")}
            return {"question": row["question"]["stem"], "choices": listed, "answerKey": row["answerKey"]}
        case "compete.openbookqa":
            letters = "ABCD"
            listed = {"text": row["choices"], "label": list(letters)}
            return {"question_stem": row["query"], "choices": listed, "answerKey": letters[row["gold"]]}
        case "compete.piqa":
            goal = row["query"].removeprefix("Question: ").removesuffix("\n")
            return {"goal": goal, "sol1": row["choices"][0], "sol2": row["choices"][1], "label": row["gold"]}
        case "compete.winogrande":
            first, second = (text.split(" ") for text in row["context_options"])
            same = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
            sentence = f"{' '.join(first[:same])} _ {row['continuation']}"
            options = [" ".join(words[same:]) for words in (first, second)]
            return {"sentence": sentence, "option1": options[0], "option2": options[1], "answer": str(row["gold"] + 1)}
    return dict(row)


def write_task(folder, name, file, rows, worked=None, more=""):
    """lm-eval's own task file, with its data taken from here."""
    own = str(files("lm_eval").joinpath("tasks", file))
    test, dev = folder / f"{name}.test.jsonl", folder / f"{name}.dev.jsonl"
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"validation": str(test), "test": str(test)}
    if worked:
        dev.write_text("".join(json.dumps(row) + "\n" for row in worked))
        data |= {"dev": str(dev), "train": str(dev)}
        more += f"num_fewshot: {WORKED}\nfewshot_config: {{sampler: first_n}}\n"
    splits = "test_split: test\nvalidation_split: validation\ntraining_split: null\n"
    if worked:
        splits = splits.replace("training_split: null\n", "")
    (folder / f"{name}.yaml").write_text(
        f"include: {own}\ntask: {name}\ntag: []\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs: {{data_files: {json.dumps(data)}}}\n{splits}{more}"
    )


@pytest.fixture(scope="module")
def setting(default_model, tmp_path_factory):
    if not os.environ.get("GREENLIGHT_DATA"):
        pytest.skip("GREENLIGHT_DATA names no folder of public data sets")
    return Setting(
        ref=str(default_model), path=default_model, work=tmp_path_factory.mktemp("work"), threads=2, rounds=None
    )


def write_tasks(folder, sizes):
    """lm-eval's task files for so many rows of each set."""
    folder.mkdir()
    for name, (_, file, ours) in CHOICES.items():
        rows = [as_published(name, row) for _, row in rows_of(name, sizes[name], ours)]
        examples = [row for row in read_table("mmlu/dev.jsonl").rows if row["subject"] == SUBJECT]
        write_task(folder, name, file, rows, examples if name == "compete.mmlu" else None)
    name, _, file, ours = SOLVED
    stop = "generation_kwargs: {until: ['Question:', '</s>', '<|im_end|>'], do_sample: false, "
    rows = [row for _, row in rows_of(name, sizes[name], ours)]
    worked = read_table("gsm8k/train.jsonl").rows[:WORKED]
    write_task(folder, name, file, rows, worked, f"{stop}max_gen_toks: {ANSWER_TOKENS}}}\n")


def run_tasks(setting, folder, model):
    """What lm-eval asked of a model, and got."""
    names = ",".join([*CHOICES, SOLVED[0]])
    printed = setting.run_peer("lm_eval_tasks.py", str(model), str(folder), names, "2")
    return json.loads(printed.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def theirs(setting):
    """What lm-eval asked and got on the same weights, of a few rows of each set: it takes minutes."""
    write_tasks(setting.work / "tasks", {name: n for name, (n, *_) in CHOICES.items()} | {SOLVED[0]: SOLVED[1]})
    return run_tasks(setting, setting.work / "tasks", setting.hf_folder("float32"))


@pytest.fixture(scope="module", params=["numpy", "native"])
def model(request, setting):
    return request.param, LocalModel.load(setting.path, ops=request.param)


def items_of(name, n, file):
    by_id = {item.id: item for item in PUBLIC[name].draw(0, None)}
    return [by_id[f"{name}-{place + 1:05d}"] for place, _ in rows_of(name, n, file)]


def weighed(model, items):
    answerer, found = model.answerer(), {}
    waiting = [ChoiceRequest(id=item.id, turns=item.messages, choices=item.choices) for item in items]
    while len(found) < len(items):
        while waiting and len(answerer.in_flight) < answerer.capacity:
            answerer.weigh(waiting.pop())
        found |= {reply.id: totals(reply.logprobs) for reply in answerer.poll()}
    return [found[item.id] for item in items]


def asked(item):
    """Prompt and continuation of each choice, as lm-eval would hand them to its model."""
    pairs = []
    for choice in item.choices:
        head, mark, tail = choice.rpartition(HEAD_END)
        pairs.append([item.messages[0].content + (head if mark else ""), tail])
    return pairs


def test_the_same_is_asked_letter_by_letter(setting):
    sizes = dict.fromkeys((*CHOICES, SOLVED[0]), ASKED)
    write_tasks(setting.work / "asked", sizes)
    found = run_tasks(setting, setting.work / "asked", "dummy")
    for name, (_, _, file) in CHOICES.items():
        ours = [asked(item) for item in items_of(name, ASKED, file)]
        assert ours == [item["asked"] for item in found[name]], name
    name, _, _, file = SOLVED
    ours = [item.messages[0].content for item in items_of(name, ASKED, file)]
    assert ours == [item["asked"][0][0] for item in found[name]]


def test_the_same_choices_are_picked_but_for_near_ties(model, theirs):
    ops, loaded = model
    apart, total = [], 0
    for name, (n, _, file) in CHOICES.items():
        # The reference is slow: a few items of each set are enough to tell rounding from mistakes.
        some = min(n, SOME) if ops == "numpy" else n
        ours, expected = weighed(loaded, items_of(name, some, file)), [item["logprobs"] for item in theirs[name][:some]]
        picks = [(mine.index(max(mine)), other) for mine, other in zip(ours, expected, strict=True)]
        apart += [(name, max(other) - other[pick]) for pick, other in picks if pick != other.index(max(other))]
        total += some
        if ops == "numpy":
            for mine, other in zip(ours, expected, strict=True):
                assert mine == pytest.approx(other, abs=CLOSE_NATS), name
    assert len(apart) <= total * (0.03 if ops == "numpy" else 0.05), apart
    assert all(margin < NEAR_TIE_NATS for _, margin in apart), apart


def test_gsm8k_goes_on_with_the_same_words_and_the_same_numbers_are_read(model, theirs):
    ops, loaded = model
    name, n, _, file = SOLVED
    items = items_of(name, n, file)
    if ops == "native":
        return  # int8 products part from float32 within a few words of a worked answer
    answerer, said = loaded.answerer(), {}
    sampling = SamplingParams(max_tokens=ANSWER_TOKENS, stop=PUBLIC[name].stop)
    for item in items:
        answerer.ask(ChatRequest(id=item.id, turns=item.messages, sampling=sampling))
    while answerer.in_flight:
        said |= {reply.id: reply.text for reply in answerer.poll()}
    same = sum(said[item.id] == other["text"] for item, other in zip(items, theirs[name], strict=True))
    assert same >= n - 1


def test_both_readings_of_a_worked_answer_are_lm_evals(theirs):
    name, n, _, file = SOLVED
    for item, other in zip(items_of(name, n, file), theirs[name], strict=True):
        for reading, label in ((read_strict, "strict-match"), (read_flexible, "flexible-extract")):
            read, score = other["filters"][label]
            assert (reading(other["text"]) or "[invalid]") == read
            assert agrees(reading(other["text"]), item.key["number"]) == bool(score)
