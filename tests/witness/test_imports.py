"""What lm-eval and Inspect themselves write today is read, and comes to the numbers that they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenlight.assess.imports import Wanted
from greenlight.assess.imports.inspect_log import read_inspect
from greenlight.assess.imports.lm_eval import read_lm_eval
from greenlight.compose.importing import import_run
from greenlight.release.verify import verify

QUESTIONS = 12

POLICY = """\
[policy]
name = "witness"
[[must]]
assess = "compete.reading"
metric = "accuracy"
limit = 0.05
why = "w"
source = "s"
[[disclose]]
assess = "compete.arithmetic"
metric = "accuracy"
why = "w"
"""

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{question}}}}\\nAnswer:"
{rest}
"""

CHOOSE = """\
output_type: multiple_choice
doc_to_target: "{{gold}}"
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""

COUNT = """\
output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: false, max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
filter_list:
  - {name: strict-match, filter: [{function: regex, regex_pattern: "#### (\\\\-?[0-9]+)"}, {function: take_first}]}
  - {name: flexible-extract, filter: [{function: regex, regex_pattern: "(-?[0-9]+)"}, {function: take_first}]}
"""

SCRIPT = """\
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, system_message

def said(text):
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=5, output_tokens=3, total_tokens=8)
    return output

samples = [Sample(input=f"What is {n} plus {n}?", target=str(2 * n), id=f"q{n}") for n in range(2, 8)]
solver = [system_message("Be brief."), generate()]
task = Task(dataset=MemoryDataset(samples, name="sums"), solver=solver, scorer=match(), name="sums")
outputs = [said(text) for text in ("4", "The answer is 6", "9", "", "12", "I say 14") * 2]
eval(task, model=get_model("mockllm/model", custom_outputs=outputs), log_dir=sys.argv[1], log_format=sys.argv[2],
     epochs=2, display="none", max_connections=1)
"""


@pytest.fixture(scope="module")
def harness(tmp_path_factory) -> Path:
    """A run of lm-eval on a tiny random model, with its samples."""
    pytest.importorskip("lm_eval")
    folder = tmp_path_factory.mktemp("harness")
    _tiny_model(folder / "model")
    rows = [
        {
            "question": f"What is {n} plus {n}?",
            "answer": f"#### {2 * n}",
            "choices": ["one", "two", "three"],
            "gold": n % 3,
        }
        for n in range(QUESTIONS)
    ]
    data = folder / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    (folder / "tasks").mkdir()
    for name, rest in (("tiny_choice", CHOOSE), ("tiny_math", COUNT)):
        (folder / "tasks" / f"{name}.yaml").write_text(TASK.format(name=name, data=data, rest=rest))
    command = [
        *(sys.executable, "-m", "lm_eval", "--model", "hf", "--tasks", "tiny_choice,tiny_math", "--device", "cpu"),
        *("--model_args", f"pretrained={folder / 'model'},dtype=float32", "--include_path", str(folder / "tasks")),
        *("--batch_size", "1", "--log_samples", "--output_path", str(folder / "out")),
    ]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **offline}, cwd=folder)
    return folder / "out"


def _tiny_model(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {character: n for n, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary["</s>"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def test_lm_evals_run_is_read_and_its_means_are_those_that_it_reports(harness):
    run = read_lm_eval(harness, Wanted(filter="flexible-extract"))
    [results] = harness.rglob("results_*.json")
    reported = json.loads(results.read_text())["results"]
    means = {task.name: sum(sample.score for sample in task.samples) / len(task.samples) for task in run.tasks}
    assert means["tiny_choice"] == pytest.approx(reported["tiny_choice"]["acc,none"])
    assert means["tiny_math"] == pytest.approx(reported["tiny_math"]["exact_match,flexible-extract"])
    assert {len(task.samples) for task in run.tasks} == {QUESTIONS}
    assert run.version == json.loads(results.read_text())["lm_eval_version"]


def test_our_grader_picks_lm_evals_choices_and_the_imported_run_verifies(harness, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY)
    mapping = {"tiny_choice": "compete.reading", "tiny_math": "compete.arithmetic:number"}
    wanted = Wanted(filter="strict-match")
    made = import_run(
        harness, "lm-eval", tmp_path / "run", policy=tmp_path / "policy.toml", mapping=mapping, wanted=wanted
    )
    tasks = {task["task"]: task for task in made.tasks}
    assert (tasks["tiny_choice"]["n"], tasks["tiny_choice"]["disagree"]) == (QUESTIONS, 0)
    assert verify(made.folder).same
    assert made.decision["verdict"] in ("hold", "no_go")


@pytest.fixture(scope="module", params=["eval", "json"])
def log(request, tmp_path_factory) -> Path:
    """A log of Inspect with its mock model."""
    pytest.importorskip("inspect_ai")
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "run.py").write_text(SCRIPT)
    command = [sys.executable, "run.py", "logs", request.param]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    [path] = (folder / "logs").iterdir()
    return path


def test_inspects_log_is_read_and_its_accuracy_is_the_one_that_it_reports(log):
    from inspect_ai.log import read_eval_log

    whole = read_eval_log(str(log))
    run = read_inspect(log, Wanted())
    [task] = run.tasks
    assert (task.name, task.metric, run.model) == ("sums", "match", "mockllm/model")
    scores = [sample.score for sample in task.samples]
    assert sum(scores) / len(scores) == pytest.approx(whole.results.scores[0].metrics["accuracy"].value)
    theirs = {
        (f"{sample.id}/epoch-{sample.epoch}", sample.output.completion, sample.target) for sample in whole.samples
    }
    assert {(sample.id, sample.output, sample.targets[0]) for sample in task.samples} == theirs
    assert [message.role for message in task.samples[0].messages] == ["system", "user"]


def test_an_imported_log_verifies_and_says_how_often_the_graders_disagree(log, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY)
    made = import_run(
        log, "inspect", tmp_path / "run", policy=tmp_path / "policy.toml", mapping={"sums": "compete.reading:number"}
    )
    # Inspect's match compares the end of the answer with the target as it stands; a number grader agrees on these.
    assert made.tasks[0]["disagree"] == 0
    assert verify(made.folder).same
