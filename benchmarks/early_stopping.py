"""How many tokens does stopping early save, and at what cost in verdicts? Whole exams beside those that stop.

Each lock draws its exam by a nonce of its own. The model answers all of it once; what an exam that stops would have
generated is then played from those answers, one token of every answer in flight at a time, cancelled ones counted as
far as they had come. That is exact, since the bits of an answer do not depend on what is answered beside it. Answers
are kept on disk: an interrupted run goes on, and a written question that several locks ask is answered once.

    python benchmarks/early_stopping.py [--locks 20] [--model smollm2] [--work FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from benchmarks import machine  # noqa: E402
from greenlight.assess.runner import Subject, SuiteRunner, open_journals  # noqa: E402
from greenlight.compose.exam import Exam, calibrations, exams_of, lock  # noqa: E402
from greenlight.compose.participants import Participants  # noqa: E402
from greenlight.compose.verbs import DEFAULT, find_examinee  # noqa: E402
from greenlight.engine.answering import Answered, Answerer, ChatRequest, ChoiceRequest, Reply, Weighed  # noqa: E402
from greenlight.evidence import JSON, sha256, sha256_json  # noqa: E402
from greenlight.gate.criteria import SuiteWatch, watch  # noqa: E402
from greenlight.gate.criterion import OWN  # noqa: E402
from greenlight.gate.decision import verdict_of  # noqa: E402
from greenlight.gate.policy import load_policy  # noqa: E402

FORMAT = "greenlight.early_stopping/1"


def main() -> None:
    arguments = _arguments()
    work = Path(arguments.work or tempfile.mkdtemp(prefix="greenlight-early-stopping-"))
    work.mkdir(parents=True, exist_ok=True)
    policy, candidate = load_policy(arguments.policy), find_examinee(arguments.model)
    if any(track != OWN for name in policy.suites() for track in policy.tracks(name)):
        sys.exit("a policy with references or judges of its own is not measured here")
    memory = Memory(work / "answers.jsonl", candidate.answerer())
    rows = []
    for number in range(1, arguments.locks + 1):
        value = lock(
            policy,
            Participants(candidate, policy, find_examinee),
            DEFAULT,
            kind="exam",
            nonce=sha256(f"early stopping {number}".encode())[:32],
        )
        rows.append(_compare(value, policy, memory))
        row = rows[-1]
        print(
            f"{number:3d}  {row['lock'][:8]}  whole {row['whole']['tokens']:7d}  stopped {row['stopped']['tokens']:7d}"
            f"  {row['stopped']['tokens'] / row['whole']['tokens']:.3f}  {row['whole']['verdict']}"
            f"  {row['stopped']['verdict']}",
            flush=True,
        )
    result = {"format": FORMAT, "model": candidate.identity(), "policy": policy.sha256, "ops": candidate.ops}
    result |= {"machine": machine.facts(), "locks": rows, "summary": _summary(rows)}
    print(json.dumps(result["summary"], indent=2))
    if arguments.out:
        path = Path(arguments.out) / "early_stopping.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
        print(f"written: {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locks", type=int, default=20)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--policy", default="starter")
    parser.add_argument("--work", help="folder that keeps answers; a temporary one otherwise")
    parser.add_argument("--out", help="folder for early_stopping.json")
    return parser.parse_args()


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shares = [row["stopped"]["tokens"] / row["whole"]["tokens"] for row in rows]
    return {
        "locks": len(rows),
        "share_of_tokens": {
            "median": statistics.median(shares),
            "least": min(shares),
            "most": max(shares),
            "all_together": sum(row["stopped"]["tokens"] for row in rows) / sum(row["whole"]["tokens"] for row in rows),
        },
        "same_verdict": sum(row["stopped"]["verdict"] == row["whole"]["verdict"] for row in rows),
        "rows_decided": sum(len(row["decided"]) for row in rows),
        "rows_on_the_side_of_the_whole_exam": sum(sum(row["decided"].values()) for row in rows),
    }


def _compare(value: Mapping[str, JSON], policy: Any, memory: Memory) -> dict[str, Any]:
    """One lock's exam, whole and stopping early."""
    whole, stopped, decided = Tally(), Tally(), {}
    for exam in exams_of(value):
        answers, tokens = _sit(value, exam, memory, Everything())
        following = _following(policy, exam)
        following.follow(answers.get)
        whole.add(following.rows(), tokens)
        clock = Clockwork(exam, answers, memory.capacity)
        live = _following(policy, exam)
        _sit(value, exam, clock, Joining(live, exam))
        stopped.add(live.rows(), clock.tokens)
        decided |= _sides(live.rows(), policy, answers)
    return {
        "lock": value["id"],
        "whole": whole.to_json(),
        "stopped": stopped.to_json(),
        "decided": decided,
    }


def _following(policy: Any, exam: Exam) -> SuiteWatch:
    return watch(policy, exam.suite.name, exam.facts(), calibrations(policy), OWN)


def _sit(
    value: Mapping[str, JSON], exam: Exam, answerer: Answerer, watcher: Any
) -> tuple[Mapping[int, Mapping[str, JSON]], int]:
    """Put one suite to whoever answers; what was finished, and the tokens of it."""
    subject = Subject(answerer=answerer, system=DEFAULT.system, sampling=DEFAULT.sampling, seed=int(value["seed"], 16))
    with tempfile.TemporaryDirectory() as folder:
        journal, timings = open_journals(Path(folder), exam.suite.name, value["id"])
        with journal, timings:
            runner = SuiteRunner(exam.suite, exam.items, subject, journal=journal, timings=timings, watcher=watcher)
            runner.run()
            answers = dict(runner.samples)
    facts = _facts(exam)
    joined = {index: {**facts[index], **sample} for index, sample in answers.items()}
    return joined, sum(int(sample["n_output"]) for sample in answers.values())


def _facts(exam: Exam) -> list[dict[str, JSON]]:
    return [{**item.to_json(), "messages": None} for item in exam.items]


def _sides(
    rows: Sequence[Mapping[str, JSON]], policy: Any, answers: Mapping[int, Mapping[str, JSON]]
) -> dict[str, bool]:
    """Of each row that stopped with a verdict: whether the mean over the whole exam lies on the same side."""
    found = {}
    for row in rows:
        criterion = next(one for one in policy.criteria if one.name == row["row"])
        metric = criterion.metric
        if row["status"] not in ("PASS", "FAIL") or metric.kind not in ("mean", "judged") or metric.partnered:
            continue
        values = [metric.value(sample) for sample in answers.values() if metric.counts(sample)]
        mean, limit = statistics.fmean(values), float(criterion.limit)
        kept = mean <= limit if criterion.direction == "max" else mean >= limit
        found[row["row"]] = kept == (row["status"] == "PASS")
    return found


@dataclasses.dataclass
class Tally:
    """Rows and tokens over the suites of one exam."""

    rows: list[dict[str, JSON]] = dataclasses.field(default_factory=list)
    tokens: int = 0

    def add(self, rows: Sequence[dict[str, JSON]], tokens: int) -> None:
        self.rows += rows
        self.tokens += tokens

    def to_json(self) -> dict[str, JSON]:
        statuses = {row["row"]: row["status"] for row in self.rows if row["level"] != "disclose"}
        verdict = verdict_of([row for row in self.rows if row["level"] != "disclose"], kind="exam")
        return {"tokens": self.tokens, "verdict": verdict, "rows": statuses}


class Everything:
    """A watcher that wants all answers."""

    certain = False

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Nothing follows from an answer."""

    def wants(self, index: int) -> bool:
        """Always."""
        return True


class Joining:
    """Follows the rows of a suite by answers that are joined with their questions."""

    def __init__(self, rows: SuiteWatch, exam: Exam) -> None:
        self._rows, self._facts = rows, _facts(exam)
        self.wants = rows.wants

    @property
    def certain(self) -> bool:
        """Whether every row has its verdict."""
        return self._rows.certain

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Go on as far as there are answers."""

        def joined(index: int) -> Mapping[str, JSON] | None:
            sample = answer(index)
            return None if sample is None else {**self._facts[index], **sample}

        self._rows.follow(joined, upto)


class Memory:
    """An answerer that asks the model once for each question and keeps what it said."""

    weighs = True

    def __init__(self, path: Path, model: Answerer) -> None:
        self._model, self.capacity = model, model.capacity
        self._kept: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):
                    entry = json.loads(line)
                    self._kept[entry.pop("key")] = entry
        self._file = path.open("a")
        self._ready: list[Reply] = []
        self._keys: dict[str, str] = {}

    @property
    def in_flight(self) -> frozenset[str]:
        return self._model.in_flight | {reply.id for reply in self._ready}

    def ask(self, request: ChatRequest) -> None:
        # At temperature 0 the seed changes nothing.
        sampling = {**dataclasses.asdict(request.sampling), "seed": 0, "stop": list(request.sampling.stop)}
        self._take(request, [[[turn.role, turn.content] for turn in request.turns], sampling], self._model.ask)

    def weigh(self, request: ChoiceRequest) -> None:
        asked = [[[turn.role, turn.content] for turn in request.turns], list(request.choices)]
        self._take(request, asked, self._model.weigh)

    def _take(self, request: Any, asked: Any, ask: Callable[[Any], None]) -> None:
        key = sha256_json(asked)
        if key in self._kept:
            self._ready.append(_reply(request.id, self._kept[key]))
        else:
            self._keys[request.id] = key
            ask(request)

    def poll(self) -> Sequence[Reply]:
        ready, self._ready = self._ready, []
        if ready:
            return ready
        replies = self._model.poll()
        for reply in replies:
            key = self._keys.pop(reply.id)
            self._kept[key] = entry = reply._asdict()
            self._file.write(json.dumps({"key": key, **entry}) + "\n")
            self._file.flush()
        return replies

    def cancel(self, request_id: str) -> None:
        self._model.cancel(request_id)


def _reply(request_id: str, entry: Mapping[str, Any]) -> Reply:
    if "logprobs" in entry:
        logprobs = tuple(tuple(of) for of in entry["logprobs"])
        return Weighed(request_id, logprobs, entry["n_prompt"])
    return Answered(request_id, entry["text"], entry["finish"], entry["n_prompt"], entry["n_output"], None)


class Clockwork:
    """An answerer that gives known answers one token at a time, all in flight together, and counts what it gave."""

    weighs = True

    def __init__(self, exam: Exam, answers: Mapping[int, Mapping[str, JSON]], capacity: int) -> None:
        self._answers = {item.id: answers[index] for index, item in enumerate(exam.items) if index in answers}
        self.capacity, self.tokens = capacity, 0
        self._given: dict[str, int] = {}

    @property
    def in_flight(self) -> frozenset[str]:
        return frozenset(self._given)

    def ask(self, request: ChatRequest) -> None:
        self._given[request.id] = 0

    weigh = ask

    def poll(self) -> Sequence[Reply]:
        ended: list[Reply] = []
        for request_id, given in list(self._given.items()):
            sample = self._answers[request_id]
            n_output = int(sample["n_output"])
            self.tokens += given < n_output
            self._given[request_id] = given + 1
            if given + 1 >= n_output:
                del self._given[request_id]
                ended.append(_replayed(request_id, sample))
        return ended

    def cancel(self, request_id: str) -> None:
        del self._given[request_id]


def _replayed(request_id: str, sample: Mapping[str, JSON]) -> Reply:
    if sample["finish"] == "scored":
        logprobs = tuple(tuple(of) for of in sample["choice_logprobs"])
        return Weighed(request_id, logprobs, sample["n_prompt"])
    return Answered(request_id, sample["output"], sample["finish"], sample["n_prompt"], sample["n_output"], None)


if __name__ == "__main__":
    main()
