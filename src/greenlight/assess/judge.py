"""How are answers put to a judge? One after the other in the exam's order, each verdict on disk before the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from greenlight.assess.runner import Subject, conversation, item_seed
from greenlight.assess.suites import Item, Message
from greenlight.engine import SamplingParams
from greenlight.engine.answering import Answerer, ChatRequest, ChoiceRequest, Reply, Weighed
from greenlight.evidence import JSON, Journal, sha256
from greenlight.measure.graders import Grade
from greenlight.measure.verdicts import OPENINGS, Rubric, read_mass, read_verdict

VERDICT_TOKENS = 256
"""Tokens that a judge may take to reach its verdict."""


class Reader(Protocol):
    """A judge that reads one answer at a time."""

    @property
    def answerer(self) -> Answerer:
        """Who is asked."""

    def submit(self, item: Item, sample: Mapping[str, JSON]) -> None:
        """Begin to judge one answer; the item's id names the request."""

    def read(self, reply: Reply) -> Grade:
        """The grade that a reply comes to."""


class ModelReader:
    """A model that is asked for a verdict on each answer.

    Args:
        answerer: the model.
        asked: what it is asked.
        seed: the lock's.
    """

    def __init__(self, answerer: Answerer, asked: Rubric, seed: int) -> None:
        self.answerer, self._asked, self._seed = answerer, asked, seed

    def submit(self, item: Item, sample: Mapping[str, JSON]) -> None:
        """Begin to judge one answer."""
        request = "\n\n".join(message.content for message in item.messages if message.role != "system")
        turns = (
            Message("system", self._asked.system),
            Message("user", self._asked.question(request, sample["output"])),
        )
        sampling = SamplingParams(max_tokens=VERDICT_TOKENS, seed=item_seed(self._seed, f"judge/{item.id}"))
        self.answerer.ask(ChatRequest(id=item.id, turns=turns, sampling=sampling))

    def read(self, reply: Reply) -> Grade:
        """The verdict, or that there is none."""
        return read_verdict("" if isinstance(reply, Weighed) else reply.text, self._asked)


class MassReader:
    """The assessed model itself: how likely it is to begin a refusal, whatever it then answered.

    Args:
        subject: the model, under the settings that are assessed.
        threshold: the mass from which on it counts as a refusal.
    """

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.answerer, self._subject, self._threshold = subject.answerer, subject, threshold

    def submit(self, item: Item, sample: Mapping[str, JSON]) -> None:
        """Begin to weigh how an answer may open."""
        turns = conversation(item, self._subject.system)
        self.answerer.weigh(ChoiceRequest(id=item.id, turns=turns, choices=OPENINGS))

    def read(self, reply: Reply) -> Grade:
        """A refusal where the openings weigh enough."""
        return read_mass(reply.logprobs if isinstance(reply, Weighed) else (), self._threshold)


class JudgeRunner:
    """Has one judge read the answers to one suite; resumes from what its journal already holds.

    Args:
        reader: the judge.
        suite: name of the suite.
        items: of the exam, in its order.
        folder: where its journal goes.
        judge: its name.
        lock_id: what the judgements belong to.
    """

    def __init__(
        self, reader: Reader, suite: str, items: tuple[Item, ...], folder: Path, *, judge: str, lock_id: str
    ) -> None:
        self._reader, self._items = reader, items
        header = {"lock": lock_id, "judge": judge, "suite": suite}
        self._journal = Journal(folder / f"{suite}.jsonl", "judgements", header)
        self.grades: dict[str, Mapping[str, JSON]] = {entry["item"]: entry["grade"] for entry in self._journal.entries}
        """Grades so far, by item."""

    def __enter__(self) -> JudgeRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def run(
        self,
        samples: Mapping[int, Mapping[str, JSON]],
        upto: int,
        deadline: float | None,
        wants: Callable[[int], bool] = lambda _index: True,
    ) -> None:
        """Judge the answers to the first `upto` items that are there, wanted and not judged yet.

        Past the deadline nothing new is asked.
        """
        answerer = self._reader.answerer
        waiting = [
            index
            for index in range(min(upto, len(self._items)))
            if index in samples and self._items[index].id not in self.grades and wants(index)
        ]
        waiting.reverse()
        asked: dict[str, int] = {}
        try:
            while waiting or asked:
                late = deadline is not None and time.monotonic() >= deadline
                if late and not asked:
                    return
                while waiting and not late and len(asked) < answerer.capacity:
                    index = waiting.pop()
                    asked[self._items[index].id] = index
                    self._reader.submit(self._items[index], samples[index])
                for reply in answerer.poll():
                    index = asked.pop(reply.id)
                    self._record(reply, index, samples[index])
        finally:
            for request_id in asked.keys() & answerer.in_flight:
                answerer.cancel(request_id)

    def _record(self, reply: Reply, index: int, sample: Mapping[str, JSON]) -> None:
        grade = asdict(self._reader.read(reply))
        said: dict[str, JSON] = (
            {"verdict": None, "finish": "scored", "choice_logprobs": [list(tokens) for tokens in reply.logprobs]}
            if isinstance(reply, Weighed)
            else {"verdict": reply.text, "finish": reply.finish, "choice_logprobs": []}
        )
        digest = sha256(sample["output"].encode())
        self._journal.append({"item": sample["item"], "index": index, "output_sha256": digest, **said, "grade": grade})
        self.grades[sample["item"]] = grade
