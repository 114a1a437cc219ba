"""How fast are choices scored beside lm-evaluation-harness, and are they the same choices?

Speed is of 100 generated questions, of which only the length matters; agreement is of 100 of ARC-Easy's (Clark et al.
2018, arXiv:1803.05457), lm-eval computing in float32 on the dequantised weights of the file that we run.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peer_figures
from benchmarks.figures import Figure, alternate
from benchmarks.harness import evaluate, write_task
from benchmarks.machine import park
from benchmarks.setting import Setting, data_folder, run_quietly
from benchmarks.text import plain_text, source

TITLE = "multiple choice"
QUESTIONS, CHOICES, QUESTION_WORDS, CHOICE_WORDS, SEED = 100, 4, 60, 8, 7
BATCH_SIZES, TRIAL_QUESTIONS = (1, 4, 8), 20
ROUNDS = 3
FLOOR, WALL_S = 5.0, 10.0
AGREE, NEAR_TIE_NATS = 95.0, 0.3
ARC_FILE = "arc/arc_easy_test.jsonl.gz"
OURS = Path(__file__).with_name("multiple_choice_ours.py")
SCRIPT = "lm_eval_choices.py"
TASK = """task: choices
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{gold}}}}"
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


class Difference(NamedTuple):
    """A question on which the two picked differently."""

    index: int
    """Which."""

    ours: int
    """Our pick."""

    theirs: int
    """lm-eval's."""

    margin_nats: float
    """By how much lm-eval preferred its own, in summed log-likelihood."""


def measure(setting: Setting) -> list[Figure]:
    """Speed, then agreement."""
    return [*_speed(setting), *agreement(setting)]


def generated_questions(text: str) -> list[dict[str, Any]]:
    """Questions and choices cut at random places from a text: about 90 tokens with each choice."""
    rng, words = random.Random(SEED), text.split()

    def cut(length: int) -> str:
        at = rng.randrange(len(words) - length)
        return " ".join(words[at : at + length])

    return [
        {
            "question": cut(QUESTION_WORDS),
            "choices": [cut(CHOICE_WORDS) for _ in range(CHOICES)],
            "gold": rng.randrange(CHOICES),
        }
        for _ in range(QUESTIONS)
    ]


def arc_questions(path: Path) -> list[dict[str, Any]]:
    """A sample of ARC-Easy, drawn by a seed, in the fields that both sides read."""
    with gzip.open(path, "rt") as lines:
        rows = random.Random(SEED).sample([json.loads(line) for line in lines], QUESTIONS)
    return [
        {
            "question": row["question"]["stem"],
            "choices": [choice["text"] for choice in row["question"]["choices"]],
            "gold": [choice["label"] for choice in row["question"]["choices"]].index(row["answerKey"]),
        }
        for row in rows
    ]


def differences(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> list[Difference]:
    """Questions whose most likely choice differs, given each side's log-likelihoods; of equals the first is picked."""
    found = []
    for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
        mine, other = left.index(max(left)), right.index(max(right))
        if mine != other:
            found.append(Difference(index, mine, other, right[other] - right[mine]))
    return found


def _speed(setting: Setting) -> list[Figure]:
    folder = write_task(setting.work / "generated", "choices", TASK, generated_questions(plain_text()))

    def theirs(batch_size: int, limit: int) -> dict[str, Any]:
        return evaluate(setting, SCRIPT, folder, dtype=setting.torch_dtype, batch_size=batch_size, limit=limit)

    trials = {size: theirs(size, TRIAL_QUESTIONS)["scoring_s"] for size in BATCH_SIZES}
    best = min(trials, key=trials.__getitem__)
    scoring: dict[str, list[float]] = {"ours": [], "peer": []}

    def run(side: str) -> float:
        start = time.perf_counter()
        result = _ours(setting, folder) if side == "ours" else theirs(best, 0)
        seconds = time.perf_counter() - start
        scoring[side].append(result["scoring_s"])
        return seconds

    sides = {"ours": lambda: run("ours"), "peer": lambda: run("peer")}
    wall = alternate(setting.count(ROUNDS), sides, between=park, warm_up=False)
    common = {"unit": "s", "peer_name": "lm-eval", "more_is_better": False, "ratio_floor": FLOOR}
    common["settings"] = {
        "peer_batch_size": best,
        f"peer_s_by_batch_size_of_{TRIAL_QUESTIONS}_questions": trials,
        "peer_threads": setting.threads,
        "peer_dtype": setting.torch_dtype,
        "text": source(),
    }
    work = f"{QUESTIONS} questions × {CHOICES}"
    known = setting.known
    return [
        Figure(
            name=f"{work}, process start to end",
            **wall,
            at_most=WALL_S,
            known=peer_figures.CHOICE_WALL_S if known else None,
            **common,
        ),
        Figure(
            name=f"{work}, scoring alone",
            ours=tuple(scoring["ours"]),
            peer=tuple(scoring["peer"]),
            known=peer_figures.CHOICE_SCORING_S if known else None,
            **common,
        ),
    ]


def agreement(setting: Setting, ops: str = "", *, least: float = AGREE, tie: float = NEAR_TIE_NATS) -> list[Figure]:
    """Our choices beside lm-eval's in float32, and by how much it preferred its own where they differ.

    Args:
        setting: the run.
        ops: what computes ours, as `--ops` names it; the usual ones without.
        least: of 100 questions, how many must agree.
        tie: the margin up to which two choices are as good, nats.
    """
    name, data = f"ARC-Easy{ops and f' by {ops}'}, same choice as lm-eval in float32", data_folder()
    if data is None or not (data / ARC_FILE).exists():
        return [Figure(name=name, unit="of 100", ours=(), why_not=f"there is no {ARC_FILE} under GREENLIGHT_DATA")]
    questions = arc_questions(data / ARC_FILE)
    ours, theirs = logprobs_of(setting, questions, ops)
    apart = differences(ours, theirs)
    settings = {
        "differences": [difference._asdict() for difference in apart],
        "accuracy_ours": _accuracy(ours, questions),
        "accuracy_peer": _accuracy(theirs, questions),
        "ours_logprobs": ours,
        "peer_logprobs": theirs,
    }
    return [
        Figure(
            name=name,
            unit=f"of {len(questions)}",
            ours=(float(len(questions) - len(apart)),),
            at_least=least * len(questions) / QUESTIONS,
            settings=settings,
        ),
        Figure(
            name=f"largest margin of lm-eval where the choices differ{ops and f', by {ops}'}",
            unit="nats",
            ours=(max((difference.margin_nats for difference in apart), default=0.0),),
            more_is_better=False,
            at_most=tie,
        ),
    ]


def logprobs_of(
    setting: Setting, questions: list[dict[str, Any]], ops: str = ""
) -> tuple[list[list[float]], list[list[float]]]:
    """Log-likelihoods of each question's choices: ours on the file as it is, lm-eval's in float32 on its weights."""
    folder = write_task(setting.work / "arc", "choices", TASK, questions)
    theirs = _in_float32(setting, folder, (folder / "choices.jsonl").read_text())
    return _ours(setting, folder, ops)["logprobs"], theirs


@functools.cache
def _in_float32(setting: Setting, folder: Path, _questions: str) -> list[list[float]]:
    """lm-eval's of the questions in a folder, computed once in a run for all that are held against it."""
    logprobs: list[list[float]] = evaluate(setting, SCRIPT, folder, dtype="float32", batch_size=1, limit=0)["logprobs"]
    return logprobs


def _accuracy(logprobs: Sequence[Sequence[float]], questions: Sequence[dict[str, Any]]) -> float:
    right = sum(row.index(max(row)) == question["gold"] for row, question in zip(logprobs, questions, strict=True))
    return right / len(questions)


def _ours(setting: Setting, folder: Path, ops: str = "") -> dict[str, Any]:
    command = [sys.executable, str(OURS), str(setting.path), str(folder / "choices.jsonl"), *([ops] if ops else [])]
    result: dict[str, Any] = json.loads(run_quietly(command, setting.offline()))
    return result
