"""How long does an evaluation take whose answers are written? 200 of GSM8K's questions, 256 tokens each.

Every side writes exactly as many tokens, whatever it would say: what is compared is the work (Cobbe et al. 2021,
arXiv:2110.14168). The peers answer some of the questions, and their seconds are multiplied: all would take an hour.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, alternate
from benchmarks.harness import evaluate, write_task
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.peers import llama_server
from benchmarks.setting import Setting, data_folder

TITLE = "answers to 200 questions"
QUESTIONS, TOKENS, ROUNDS = 200, 256, 3
SERVER_QUESTIONS, SERVER_SLOTS, HARNESS_QUESTIONS = 24, (8, 24), 8
POSITIONS = 768
FLOOR = 4.0
FILE = "gsm8k/test.jsonl.gz"
TASK = """task: answers
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: []
  do_sample: false
  max_gen_toks: {tokens}
  min_new_tokens: {tokens}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


def measure(setting: Setting) -> list[Figure]:
    """Ours beside the better of the two peers, both shown."""
    name, data = f"{QUESTIONS} questions, {TOKENS} tokens each", data_folder()
    if data is None or not (data / FILE).exists():
        return [Figure(name=name, unit="s", ours=(), why_not=f"there is no {FILE} under GREENLIGHT_DATA")]
    questions = _questions(data / FILE)
    ours = Ours(setting.path, TOKENS)
    prompts = [ours.model.encode(f"Question: {question['question']}\nAnswer:") for question in questions]
    harness = _harness_s(setting, questions)
    trials = {slots: _server_s(setting, prompts, slots) for slots in SERVER_SLOTS}
    best = min(trials, key=trials.__getitem__)
    with llama_server.serving(setting, setting.path, slots=best, positions=POSITIONS) as server:
        more = QUESTIONS / SERVER_QUESTIONS
        sides = {
            "ours": lambda: ours.answers_s(prompts, TOKENS, at_once=32),
            "peer": lambda: more * server.answers(prompts[:SERVER_QUESTIONS], TOKENS),
        }
        seen = alternate(setting.count(ROUNDS), sides, between=park, warm_up=False)
    common: dict[str, Any] = {"unit": "s", "more_is_better": False, "ratio_floor": FLOOR}
    said = {**llama_server.how_run(setting, best), "peer_questions": SERVER_QUESTIONS, "peer_s_by_slots": trials}
    return [
        Figure(name=name, **seen, peer_name="llama-server", best=trials[best], settings=said, **common),
        Figure(
            name=f"{name}, beside the harness",
            ours=seen["ours"],
            peer=(harness,) * len(seen["ours"]),
            peer_name="lm-eval",
            settings={
                "peer_questions": HARNESS_QUESTIONS,
                "peer_batch_size": HARNESS_QUESTIONS,
                "peer_rounds": 1,
                "peer_threads": setting.threads,
                "peer_dtype": setting.torch_dtype,
            },
            **common,
        ),
    ]


def _questions(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(QUESTIONS), strict=False)]


def _server_s(setting: Setting, prompts: Sequence[Sequence[int]], slots: int) -> float:
    with llama_server.serving(setting, setting.path, slots=slots, positions=POSITIONS) as server:
        return QUESTIONS / SERVER_QUESTIONS * server.answers(prompts[:SERVER_QUESTIONS], TOKENS)


def _harness_s(setting: Setting, questions: Sequence[dict[str, Any]]) -> float:
    folder = write_task(setting.work / "answers", "answers", TASK, questions, tokens=TOKENS)
    n = HARNESS_QUESTIONS
    result = evaluate(setting, "lm_eval_generate.py", folder, dtype=setting.torch_dtype, batch_size=n, limit=n)
    return QUESTIONS / n * float(result["seconds"])
