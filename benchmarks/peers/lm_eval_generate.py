"""Answer questions with lm-evaluation-harness, so many tokens each, and print a JSON object with the seconds.

    python lm_eval_generate.py HF_FOLDER DTYPE BATCH_SIZE TASK_FOLDER LIMIT THREADS

TASK_FOLDER holds answers.yaml and its data (generation.py writes them).
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
    model = HFLM(pretrained=folder, dtype=dtype, batch_size=int(batch_size), device="cpu")
    manager = TaskManager(include_path=tasks, include_defaults=False)
    start = time.perf_counter()
    simple_evaluate(model=model, tasks=["answers"], task_manager=manager, limit=int(limit))
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
