"""Score four-way questions with greenlight and print a JSON object with seconds and log-likelihoods.

python multiple_choice_ours.py MODEL CHOICES.jsonl [OPS]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from greenlight.engine import ScoreRequest
from greenlight.engine.local import LocalModel


def main() -> None:
    model_path, questions_path = map(Path, sys.argv[1:3])
    start = time.perf_counter()
    model = LocalModel.load(model_path, ops=sys.argv[3] if len(sys.argv) > 3 else None)
    loaded = time.perf_counter()
    questions = [json.loads(line) for line in questions_path.read_text().splitlines()]
    requests = [_request(model, str(i), question) for i, question in enumerate(questions)]
    scored = {result.id: [sum(weights) for weights in result.logprobs] for result in model.engine().score(requests)}
    done = time.perf_counter()
    logprobs = [scored[request.id] for request in requests]
    print(json.dumps({"load_s": loaded - start, "scoring_s": done - loaded, "logprobs": logprobs}))


def _request(model: LocalModel, name: str, question: dict[str, object]) -> ScoreRequest:
    """lm-eval's own prompt; as there, text is split into tokens as a whole and then cut where the choice begins."""
    context = f"Question: {question['question']}\nAnswer:"
    prompt = model.encode(context)
    choices = question["choices"]
    assert isinstance(choices, list)
    whole = [model.encode(f"{context} {choice}") for choice in choices]
    return ScoreRequest(id=name, prompt=prompt, continuations=tuple(tokens[len(prompt) :] for tokens in whole))


if __name__ == "__main__":
    main()
