"""Score four-way questions with lm-evaluation-harness and print a JSON object with seconds and log-likelihoods.

    python lm_eval_choices.py HF_FOLDER DTYPE BATCH_SIZE TASK_FOLDER LIMIT THREADS

TASK_FOLDER holds choices.yaml and its data (multiple_choice.py writes them); LIMIT 0 takes all questions.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager


def main() -> None:
    folder, dtype, batch_size, tasks, limit, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    start = time.perf_counter()
    model = HFLM(pretrained=folder, dtype=dtype, batch_size=int(batch_size), device="cpu")
    loaded = time.perf_counter()
    results = simple_evaluate(
        model=model,
        tasks=["choices"],
        task_manager=TaskManager(include_path=tasks, include_defaults=False),
        limit=int(limit) or None,
        log_samples=True,
    )
    done = time.perf_counter()
    samples = sorted(results["samples"]["choices"], key=lambda sample: sample["doc_id"])
    logprobs = [[float(response[0]) for response in sample["filtered_resps"]] for sample in samples]
    print(json.dumps({"load_s": loaded - start, "scoring_s": done - loaded, "logprobs": logprobs}))


if __name__ == "__main__":
    main()
