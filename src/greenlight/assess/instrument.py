"""Can the instrument be trusted? Graders on planted answers, the template's round trip, alone against batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from greenlight.assess.runner import Subject, conversation, item_seed
from greenlight.assess.suites import Item, Message, Suite, gold, shuffled_bound
from greenlight.engine.answering import Answered, Answerer, ChatRequest, is_plain
from greenlight.evidence import JSON
from greenlight.measure.graders import grade

BATCH_ITEMS = 20
"""Items asked twice, alone and together."""

BATCH_TOKENS = 12
"""Tokens compared per item."""

REPEATS = 3
"""How often each is asked where a model promises no equal answers."""

PROBE = (
    Message("system", "Answer in one word."),
    Message("user", "Name a colour."),
    Message("assistant", "Blue."),
    Message("user", "Name another one."),
)
"""A conversation with every role that the suites use."""


def check_grader(suite: Suite, items: Sequence[Item]) -> dict[str, JSON]:
    """Mean score of gold answers through the suite's grader, of each given to the next item, and what chance allows.

    A suite of plain texts is marked `plain`: no chat template is involved. Public items whose demands contradict each
    other have no gold answer (`no_gold`) and are passed over.
    """
    items = [item for item in items if not item.key.get("no_gold")]
    answers = [gold(item) for item in items]
    shifted = answers[1:] + answers[:1]
    own = [grade(suite.grader, item.key, answer).score for item, answer in zip(items, answers, strict=True)]
    other = [grade(suite.grader, item.key, answer).score for item, answer in zip(items, shifted, strict=True)]
    found: dict[str, JSON] = {
        "gold": _mean(own),
        "shuffled": _mean(other),
        "chance": shuffled_bound(suite, len(items)),
    }
    return {**found, "plain": True} if all(is_plain(item.messages) for item in items) else found


def check_template(text: str, tokens: Sequence[int], bos_id: int | None) -> dict[str, JSON]:
    """Look for each content of the probe conversation once, in order, and for at most one BOS at the start.

    Args:
        text: the probe as rendered.
        tokens: the same as the model sees it.
        bos_id: the token that begins a text; None where the model has none.
    """
    places = [text.find(message.content) for message in PROBE]
    in_order = all(place >= 0 for place in places) and places == sorted(places)
    # A template may open every turn with the token that is also named BOS; what must not happen is two at the start.
    doubled = bos_id is not None and list(tokens[:2]) == [bos_id, bos_id]
    ok = in_order and not doubled
    reason = "every turn rendered once, in order" if ok else "a turn is lost or reordered, or BOS is doubled"
    return {"ok": ok, "bos": list(tokens).count(bos_id) if bos_id is not None else 0, "text": reason}


def check_batch(subject: Subject, items: Sequence[Item], *, together: Answerer, alone: Answerer) -> dict[str, JSON]:
    """Ask the same items together and one by one; count those whose answers are the same.

    Args:
        subject: how items become requests.
        items: some of them are asked.
        together: the model, for many at once.
        alone: the same, in which nothing of the batch is used again.
    """
    requests = [_probe(subject, item) for item in items[:BATCH_ITEMS]]
    batched = _ask(together, requests)
    single = {request.id: _ask(alone, [request])[request.id] for request in requests}
    identical = sum(batched[request.id] == single[request.id] for request in requests)
    return {"items": len(requests), "identical": identical}


def check_repeats(subject: Subject, items: Sequence[Item]) -> dict[str, JSON]:
    """Ask the same items several times of a model that promises nothing; count those that always get one answer.

    Args:
        subject: how items become requests, and who is asked.
        items: some of them are asked.
    """
    requests = [_probe(subject, item) for item in items[:BATCH_ITEMS]]
    again = [replace(request, id=f"{request.id}~{turn}") for request in requests for turn in range(REPEATS)]
    answers = _ask(subject.answerer, again)
    said = [{answers[f"{request.id}~{turn}"][0] for turn in range(REPEATS)} for request in requests]
    return {
        "items": len(requests),
        "identical": sum(len(texts) == 1 for texts in said),
        "promised": False,
        "repeats": REPEATS,
    }


def _probe(subject: Subject, item: Item) -> ChatRequest:
    sampling = replace(subject.sampling, max_tokens=BATCH_TOKENS, seed=item_seed(subject.seed, item.id))
    return ChatRequest(id=f"batch/{item.id}", turns=conversation(item, subject.system), sampling=sampling)


def _ask(answerer: Answerer, requests: Sequence[ChatRequest]) -> dict[str, tuple[str, int]]:
    """Text and length of each answer."""
    waiting, answers = list(reversed(requests)), dict[str, tuple[str, int]]()
    while len(answers) < len(requests):
        while waiting and len(answerer.in_flight) < answerer.capacity:
            answerer.ask(waiting.pop())
        for reply in answerer.poll():
            if isinstance(reply, Answered):
                answers[reply.id] = (reply.text, reply.n_output)
    return answers


def _mean(scores: Sequence[float | None]) -> float:
    return sum(score or 0.0 for score in scores) / len(scores) if scores else 0.0
