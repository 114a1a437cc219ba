"""Run tasks with lm-evaluation-harness in float32 and print a JSON object of what each item was asked and answered.

    python lm_eval_tasks.py HF_FOLDER TASK_FOLDER TASK,TASK... THREADS

TASK_FOLDER holds the tasks' YAML files and their data. Of each item, in the order of the data: the prompt and the
continuations that the model was given, and the log-likelihood of each, or the text that it went on with and what each
filter read in it. With `dummy` for HF_FOLDER nothing is run and the answers mean nothing: what is asked is all.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager


def main() -> None:
    folder, tasks, names, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    results = simple_evaluate(
        model="dummy" if folder == "dummy" else HFLM(pretrained=folder, dtype="float32", batch_size=1, device="cpu"),
        tasks=names.split(","),
        task_manager=TaskManager(include_path=tasks, include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    print(json.dumps({name: _items(results["samples"][name]) for name in names.split(",")}))


def _items(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items: dict[int, dict[str, Any]] = {}
    for sample in samples:
        item = items.setdefault(sample["doc_id"], {"filters": {}})
        arguments = [list(one) for one in sample["arguments"]]
        item["asked"] = [[str(part) for part in one[:2]] for one in arguments]
        if isinstance(sample["resps"][0][0], str):
            item["text"] = sample["resps"][0][0]
            item["filters"][sample["filter"]] = [sample["filtered_resps"][0], float(sample["exact_match"])]
        else:
            item["logprobs"] = [float(response[0]) for response in sample["filtered_resps"]]
    return [items[place] for place in sorted(items)]


if __name__ == "__main__":
    main()
