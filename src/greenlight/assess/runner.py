"""How is a suite put to a model? Ask in the exam's order, grade, journal, stop when the verdict is certain."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from greenlight.assess.suites import Item, Message, Suite
from greenlight.engine import SamplingParams
from greenlight.engine.answering import PLAIN, Answerer, ChatRequest, ChoiceRequest, Reply, Weighed
from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, Journal
from greenlight.measure.graders import Answer, grade

Ending = Literal["complete", "certain", "out of time"]


class Watcher(Protocol):
    """Follows the answers of one suite in the exam's order and says when more of them cannot change the outcome."""

    def follow(self, answer: Callable[[int], Mapping[str, JSON] | None], upto: int) -> None:
        """Go on through the exam's order, up to a place or to the first answer that is missing."""

    def wants(self, index: int) -> bool:
        """Whether the answer at a place could still be used; once not, never again."""

    @property
    def certain(self) -> bool:
        """Whether every criterion on this suite has its verdict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is assessed: a model, and with it the system prompt and sampling settings it would be released with."""

    answerer: Answerer
    """The model."""

    system: str | None
    """System prompt put before every item that has none of its own; an item's own system message follows it."""

    sampling: SamplingParams
    """Temperature and the like; the seed and the length are set per item."""

    seed: int
    """The lock's seed: an item's sampling seed is drawn from it and the item's id."""


class Progress(NamedTuple):
    """What the runner tells after each finished item."""

    suite: str
    n_done: int
    n_items: int
    sample: Mapping[str, JSON]


class SuiteRun(NamedTuple):
    """How a suite's run ended."""

    ending: Ending
    n_done: int
    wall_s: float


def item_seed(seed: int, item_id: str) -> int:
    """A 63-bit sampling seed that depends on the lock and the item alone."""
    digest = hashlib.sha256(f"{seed:x}/{item_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def conversation(item: Item, system: str | None) -> tuple[Message, ...]:
    """The item's messages under the assessed system prompt; an item's own system message is appended to it.

    Before a plain text, which knows no roles, it stands as a paragraph of its own.
    """
    if system is None:
        return item.messages
    messages = list(item.messages)
    if messages and messages[0].role == PLAIN:
        return (Message(PLAIN, f"{system}\n\n{messages[0].content}"),)
    if messages and messages[0].role == "system":
        system = f"{system}\n\n{messages.pop(0).content}"
    return (Message("system", system), *messages)


class SuiteRunner:
    """Puts one suite's items to a subject; resumes from what its journal already holds."""

    def __init__(
        self,
        suite: Suite,
        items: Sequence[Item],
        subject: Subject,
        *,
        journal: Journal,
        timings: Journal,
        watcher: Watcher,
    ) -> None:
        self._suite, self._items, self._subject = suite, items, subject
        self._journal, self._timings, self._watcher = journal, timings, watcher
        self._index = {item.id: index for index, item in enumerate(items)}
        self._done: dict[int, Mapping[str, JSON]] = {}
        self._asked_at: dict[str, float] = {}
        for entry in journal.entries:
            self._adopt(entry)

    @property
    def samples(self) -> Mapping[int, Mapping[str, JSON]]:
        """Finished items by their place in the exam's order."""
        return self._done

    @property
    def n_done(self) -> int:
        """How many items are finished."""
        return len(self._done)

    def run(
        self,
        *,
        upto: int | None = None,
        deadline: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SuiteRun:
        """Ask until every item is answered, the verdict is certain, or the clock (time.monotonic) passes the deadline.

        Past the deadline nothing new is asked. Items still in flight when the verdict is certain are cancelled;
        finished ones beyond the deciding prefix stay in the journal.

        Args:
            upto: ask only this many items of the exam's order; `run` may be called again for more.
            deadline: when to stop.
            on_progress: told of each finished item.
        """
        start = time.monotonic()
        n = len(self._items) if upto is None else min(upto, len(self._items))
        try:
            ending = self._loop(n, deadline, on_progress)
        finally:
            # Some may have ended in the very step whose recording failed: the model no longer knows those.
            for request_id in self._asked_at.keys() & set(self._subject.answerer.in_flight):
                self._subject.answerer.cancel(request_id)
            self._asked_at.clear()
        return SuiteRun(ending, len(self._done), time.monotonic() - start)

    def _loop(self, n: int, deadline: float | None, on_progress: Callable[[Progress], None] | None) -> Ending:
        answerer = self._subject.answerer
        waiting = (index for index in range(n) if index not in self._done and self._watcher.wants(index))
        late = False
        while True:
            self._watcher.follow(self._done.get, n)
            if self._watcher.certain:
                return "certain"
            late = late or (deadline is not None and time.monotonic() >= deadline)
            while not late and len(self._asked_at) < answerer.capacity and (index := next(waiting, None)) is not None:
                self._submit(self._items[index])
            # What is being answered is finished: a second more is better than a batch thrown away.
            if not self._asked_at:
                return "out of time" if late and next(waiting, None) is not None else "complete"
            for reply in answerer.poll():
                sample = self._record(reply)
                if on_progress:
                    on_progress(Progress(self._suite.name, len(self._done), len(self._items), sample))

    def _submit(self, item: Item) -> None:
        subject = self._subject
        turns = conversation(item, subject.system)
        self._asked_at[item.id] = time.perf_counter()
        if self._suite.kind == "choice":
            subject.answerer.weigh(ChoiceRequest(id=item.id, turns=turns, choices=item.choices))
            return
        sampling = replace(
            subject.sampling,
            max_tokens=self._suite.answer_tokens,
            seed=item_seed(subject.seed, item.id),
            stop=(*subject.sampling.stop, *self._suite.stop),
        )
        asked = ChatRequest(id=item.id, turns=turns, sampling=sampling, confidence=self._suite.confidence)
        subject.answerer.ask(asked)

    def _record(self, reply: Reply) -> Mapping[str, JSON]:
        index = self._index[reply.id]
        item = self._items[index]
        asked_at = self._asked_at.pop(item.id)
        answer = _answer(reply)
        grading = grade(self._suite.grader, item.key, answer)
        sample = {
            "item": item.id,
            "index": index,
            "prompt_sha256": item.prompt_sha256,
            "output": answer.text,
            "finish": answer.finish,
            "n_prompt": reply.n_prompt,
            "n_output": 0 if isinstance(reply, Weighed) else reply.n_output,
            "choice_logprobs": [list(logprobs) for logprobs in answer.choice_logprobs],
            "grade": {"label": grading.label, "score": grading.score, "parsed": grading.parsed},
            **self._sure(reply),
            **_beside(reply),
        }
        self._journal.append(sample)
        self._timings.append(
            {
                "suite": self._suite.name,
                "item": item.id,
                "first_token_s": None if isinstance(reply, Weighed) else reply.first_token_s,
                "total_s": time.perf_counter() - asked_at,
            }
        )
        self._done[index] = sample
        return sample

    def _sure(self, reply: Reply) -> dict[str, JSON]:
        """How sure the model was; nothing of a model that tells no log-probabilities."""
        if isinstance(reply, Weighed) or not (self._suite.confidence and self._subject.answerer.weighs):
            return {}
        return {"confidence": reply.confidence}

    def _adopt(self, entry: Mapping[str, JSON]) -> None:
        """Take over a sample of an earlier, interrupted run after checking that it answers this exam's item."""
        index = self._index.get(str(entry.get("item")))
        if index is None or entry.get("prompt_sha256") != self._items[index].prompt_sha256 or index in self._done:
            raise EvidenceError(
                "a journal holds an answer to a question that this exam does not ask",
                where=str(self._journal.path),
                found=f"item {entry.get('item')!r}",
                do="resume with the lock that started this run, or choose another folder",
            )
        self._done[index] = entry


def _answer(reply: Reply) -> Answer:
    if isinstance(reply, Weighed):
        return Answer(choice_logprobs=tuple(reply.logprobs), finish="scored")
    return Answer(text=reply.text, finish=reply.finish)


def _beside(reply: Reply) -> dict[str, JSON]:
    """What a model that thinks said beside its answer; of others, nothing."""
    if isinstance(reply, Weighed) or (apart := reply.apart) is None:
        return {}
    return {
        "reasoning": apart.reasoning,
        **({"calls": [list(call) for call in apart.calls]} if apart.calls else {}),
        **({"malformed": list(apart.malformed)} if apart.malformed else {}),
    }


def open_journals(folder: Path, suite: str, lock_id: str) -> tuple[Journal, Journal]:
    """The sample journal of one suite and the timings journal of the run."""
    samples = Journal(folder / "samples" / f"{suite}.jsonl", "samples", {"lock": lock_id, "suite": suite})
    return samples, Journal(folder / "timings.jsonl", "timings", {})
