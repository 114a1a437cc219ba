"""How is a question with its answer shown? Escaped, cut with a count, harmful ones by id and digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.measure.graders.choice import confidences, readable
from greenlight.release.page.contents import Contents
from greenlight.release.text import Excerpt, excerpt, words

PROMPT_LENGTH = 500
ANSWER_LENGTH = 600


class Turn(NamedTuple):
    """One message of a question."""

    role: str
    text: Excerpt


class Choice(NamedTuple):
    """One of the given answers."""

    text: Excerpt
    confidence: str
    picked: bool
    right: bool


class Shown(NamedTuple):
    """A question and what came back."""

    item: str
    topic: str
    label: str
    harmful: bool
    prompt: tuple[Turn, ...]
    """Empty where the text is withheld."""

    prompt_sha256: str
    answer: Excerpt
    ended_by_length: bool
    """Whether the model would have gone on."""

    choices: tuple[Choice, ...]
    wanted: str
    """What the answer was compared with, where that is a few words."""

    read: Excerpt
    """What the grader read out of the answer."""

    place: str
    """File and line of the whole answer."""


def shown(contents: Contents, suite: str, item_id: str) -> Shown | None:
    """One sample; None where the folder holds no such answer."""
    item = contents.items.get(suite, {}).get(item_id)
    stored = contents.samples.get(suite, {}).get(item_id)
    if item is None or stored is None:
        return None
    sample = stored.sample
    return Shown(
        item=item_id,
        topic=words(item["topic"]),
        label=words(sample["grade"]["label"]),
        harmful=bool(item["harmful"]),
        prompt=tuple(Turn(turn["role"], excerpt(turn["content"], PROMPT_LENGTH)) for turn in item["messages"] or ()),
        prompt_sha256=item["prompt_sha256"],
        answer=excerpt(sample["output"], ANSWER_LENGTH),
        ended_by_length=sample["finish"] == "length",
        choices=_choices(item, sample),
        wanted=_wanted(item["key"]),
        read=excerpt(str(sample["grade"]["parsed"]), 120),
        place=f"samples/{suite}.jsonl, line {stored.line}",
    )


def _choices(item: Mapping[str, JSON], sample: Mapping[str, JSON]) -> tuple[Choice, ...]:
    texts: Sequence[str] = item["choices"]
    logprobs = sample["choice_logprobs"]
    if not texts or not readable(logprobs, len(texts)):
        return ()
    shares = confidences(logprobs)
    picked = shares.index(max(shares))
    right = item["key"].get("answer")
    return tuple(
        Choice(excerpt(text, 120), f"{share:.2f}", index == picked, index == right)
        for index, (text, share) in enumerate(zip(texts, shares, strict=True))
    )


def _wanted(key: Mapping[str, JSON]) -> str:
    if "answers" in key:
        return str(key["answers"][0]) if key["answers"] else "to say that it cannot be known"
    if "n" in key or "biased" in key:
        return ""
    return str(key["answer"]) if isinstance(key.get("answer"), int | str) else ""
