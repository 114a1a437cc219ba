"""How does a public question with choices become an item? Prompts and choices as lm-evaluation-harness has them.

Text is continued as it stands, without a chat template: figures agree with those that others publish. Each choice is
weighed by the log-probability of all its tokens; `accuracy_norm` divides by its characters. In the letter form the
choices stand in the prompt and their letters are weighed; in the cloze form the choices' own words are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Literal

from greenlight.assess.data import Row, Table, field
from greenlight.assess.public.adapter import Examples, ToItem, digests, draw_rows, shown, solved
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.engine.answering import HEAD_END
from greenlight.errors import FormatError
from greenlight.evidence import JSON

VERSION = 1
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Form = Literal["cloze", "letter"]


def choice_item(
    *,
    suite: str,
    number: int,
    text: str,
    choices: Sequence[str],
    answer: int,
    note: str,
    topic: str = "all",
    cluster: str | None = None,
    key: dict[str, JSON] | None = None,
) -> Item:
    """An item whose choices continue a plain text."""
    return Item(
        id=f"{suite}-{number + 1:05d}",
        topic=topic,
        cluster=cluster or f"{suite}-{number + 1:05d}",
        messages=(Message("text", text),),
        key={"answer": answer, "n": len(choices), "lengths": [max(1, len(choice.lstrip())) for choice in choices]}
        | (key or {}),
        choices=tuple(choices),
        note=note,
    )


def forms(name: str, said: str) -> tuple[tuple[str, Form, str], tuple[str, Form, str]]:
    """A set in both forms: the assessment's name, the form, and what its description adds."""
    return (f"compete.{name}", "cloze", ""), (f"compete.{name}.letter", "letter", said)


def posed(form: Form, question: str, options: Sequence[str], *, ask: str = "Answer:") -> tuple[str, list[str]]:
    """The prompt of a question in one of the two forms, and the choices that continue it."""
    if form == "cloze":
        return f"{question}\n{ask}", [f" {option}" for option in options]
    listed = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, options, strict=False))
    return f"{question}\n{listed}{ask}", [f" {letter}" for letter in LETTERS[: len(options)]]


def partial_item(*, suite: str, number: int, contexts: Sequence[str], ending: str, answer: int, note: str) -> Item:
    """An item whose choices differ in what stands before the ending, and whose ending alone is weighed.

    Partial evaluation of Trinh and Le 2018 (arXiv:1806.02847): how likely is the same ending after either name?
    """
    same = sum(1 for _ in takewhile(lambda characters: len(set(characters)) == 1, zip(*contexts, strict=False)))
    text = contexts[0][: max(0, contexts[0].rfind(" ", 0, same))]
    if not text:
        raise FormatError("two contexts have no first word in common", where=suite, found=f"row {number + 1}")
    heads = [context[len(text) :] for context in contexts]
    # Twins, a pair of sentences about the same two things, are not independent.
    names = "\n".join([*sorted(heads), text[:24]])
    twins = hashlib.sha256(names.encode()).hexdigest()[:12]
    item = choice_item(
        suite=suite,
        number=number,
        text=text,
        choices=[f"{head}{HEAD_END} {ending}" for head in heads],
        answer=answer,
        note=note,
        cluster=f"{suite}-twins-{twins}",
    )
    key = {name: value for name, value in item.key.items() if name != "lengths"}
    return Item(**{name: getattr(item, name) for name in item.__slots__ if name != "key"}, key=key)


def strings(row: Row, name: str, table: Table, number: int, *, least: int = 2) -> list[str]:
    """A field that is a list of at least so many texts."""
    found = field(row, name, list, table, number)
    if len(found) < least or not all(isinstance(text, str) for text in found):
        raise FormatError(
            "a row's choices are no list of texts",
            where=f"{table.where}, row {number + 1}, field {name!r}",
            found=repr(found)[:80],
        )
    return [str(text) for text in found]


def index(row: Row, name: str, n: int, table: Table, number: int) -> int:
    """A field that says which of n choices is right."""
    found = field(row, name, (int, str), table, number)
    if not str(found).isdigit() or int(found) >= n:
        raise FormatError(
            "the answer is none of the choices",
            where=f"{table.where}, row {number + 1}, field {name!r}",
            found=f"{found!r}, there are {n}",
        )
    return int(found)


def choice_suite(
    name: str,
    file: str,
    to_item: ToItem,
    *,
    choices: int,
    licence: str,
    about: str,
    few: int = 0,
    others: Sequence[str] = (),
    chance: float | None = None,
) -> Suite:
    """A suite of multiple choice from one file.

    Args:
        name: what the assessment is called.
        file: where its rows are.
        to_item: a row to an item.
        choices: how many there usually are.
        licence: SPDX name.
        about: what it asks, in a sentence.
        few: solved examples before each question.
        others: further files that items are made of, as examples are.
        chance: what gold answers of other items score, where it is not one in `choices`.
    """
    return Suite(
        name=name,
        version=VERSION,
        kind="choice",
        grader="choice",
        answer_tokens=0,
        chance=1 / choices if chance is None else chance,
        description=about,
        draw=draw_rows(name, VERSION, file, to_item),
        licence=licence,
        files=digests(file, *others),
        few=few,
    )


def after(examples: Examples | None, to_item: Callable[[Row, Table, int], Item]) -> ToItem:
    """The same items after solved examples, each with its right choice."""
    if examples is None:
        return to_item

    def make(row: Row, table: Table, number: int) -> Item:
        item = to_item(row, table, number)
        before = [f"{made.messages[0].content}{made.choices[made.key['answer']]}" for made in solved(examples, to_item)]
        [turn] = item.messages
        return Item(
            **{name: getattr(item, name) for name in item.__slots__ if name != "messages"},
            messages=(Message(turn.role, shown(before, turn.content)),),
        )

    return make
