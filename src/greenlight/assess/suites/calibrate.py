"""Does the model's confidence mean anything? Four-way choices made of the answerable `hallucinate` questions."""

from __future__ import annotations

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message
from greenlight.assess.suites.written import all_written, take

VERSION = 1

_CHOICES = 4


def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
    """The questions in an order that the seed fixes, each with its first answer and three distractors, shuffled."""
    draws = Draws(seed, "calibrate", VERSION)
    written = all_written("hallucinate")
    questions = [item for item in written if item.key["answers"] and len(item.key["distractors"]) >= _CHOICES - 1]
    draws.derive("order").shuffle(questions)
    return take([_four_way(item, draws.derive("choices", item.id)) for item in questions], n, "calibrate")


def _four_way(item: Item, draws: Draws) -> Item:
    right = item.key["answers"][0]
    choices = [right, *draws.sample(item.key["distractors"], _CHOICES - 1)]
    draws.shuffle(choices)
    [question] = item.messages
    return Item(
        id=f"calibrate.{item.id}",
        topic=item.topic,
        cluster=item.id,
        messages=(Message("user", f"{question.content}\nAnswer briefly."),),
        key={"answer": choices.index(right), "n": _CHOICES},
        choices=tuple(choices),
        note=f"{item.id} as a choice among its answer and three of its distractors.",
        source=item.source,
        level=item.level,
    )
