"""What does a model know, as public multiple-choice sets ask it? Prompts and choices as lm-evaluation-harness has them.

Text is continued as it stands, without a chat template: figures agree with those that others publish. Each choice is
weighed by the log-probability of all its tokens; `accuracy_norm` divides by its characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from greenlight.assess.data import Row, Table, field, read_table
from greenlight.assess.public.adapter import digests, draw_rows, shown
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.errors import FormatError

VERSION = 1
LETTERS = "ABCDEFGH"


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
) -> Item:
    """An item whose choices continue a plain text."""
    return Item(
        id=f"{suite}-{number + 1:05d}",
        topic=topic,
        cluster=cluster or f"{suite}-{number + 1:05d}",
        messages=(Message("text", text),),
        key={"answer": answer, "n": len(choices), "lengths": [max(1, len(choice.lstrip())) for choice in choices]},
        choices=tuple(choices),
        note=note,
    )


def _arc(suite: str, row: Row, table: Table, number: int) -> Item:
    question = field(row, "question", dict, table, number)
    options = field(question, "choices", list, table, number)
    texts = [str(field(option, "text", str, table, number)) for option in options]
    labels = [str(field(option, "label", str, table, number)) for option in options]
    right = str(field(row, "answerKey", str, table, number))
    if right not in labels:
        raise FormatError("the answer is none of the choices", where=f"{table.where}, row {number + 1}", found=right)
    return choice_item(
        suite=suite,
        number=number,
        text=f"Question: {field(question, 'stem', str, table, number)}\nAnswer:",
        choices=[f" {text}" for text in texts],
        answer=labels.index(right),
        note=f"ARC (Clark et al. 2018, arXiv:1803.05457), {row.get('id', number)}",
    )


def _letters(row: Row, table: Table, number: int) -> str:
    """An MMLU question with its choices by letter."""
    choices = field(row, "choices", list, table, number)
    listed = "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, choices, strict=False))
    return f"{str(field(row, 'question', str, table, number)).strip()}\n{listed}Answer:"


def _mmlu(few: int, row: Row, table: Table, number: int) -> Item:
    subject = str(field(row, "subject", str, table, number))
    head = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    examples = _mmlu_examples(subject, few)
    n = len(field(row, "choices", list, table, number))
    return choice_item(
        suite="compete.mmlu",
        number=number,
        text=head + shown(examples, _letters(row, table, number)),
        choices=[f" {letter}" for letter in LETTERS[:n]],
        answer=int(field(row, "answer", int, table, number)),
        topic=subject,
        note=f"MMLU (Hendrycks et al. 2021, arXiv:2009.03300), {subject}, row {number + 1}",
    )


def _mmlu_examples(subject: str, few: int) -> list[str]:
    if not few:
        return []
    table = read_table("mmlu/dev.jsonl")
    rows = [(number, row) for number, row in enumerate(table.rows) if row.get("subject") == subject][:few]
    return [f"{_letters(row, table, number)} {LETTERS[int(row['answer'])]}" for number, row in rows]


def _hellaswag(row: Row, table: Table, number: int) -> Item:
    first, second = (str(field(row, name, str, table, number)) for name in ("ctx_a", "ctx_b"))
    activity = field(row, "activity_label", str, table, number)
    return choice_item(
        suite="compete.hellaswag",
        number=number,
        text=_cleaned(f"{activity}: {first} {second.capitalize()}"),
        choices=[f" {_cleaned(str(ending))}" for ending in field(row, "endings", list, table, number)],
        answer=int(field(row, "label", (int, str), table, number)),
        note=f"HellaSwag (Zellers et al. 2019, arXiv:1905.07830), ind {row.get('ind', number)}",
    )


def _cleaned(text: str) -> str:
    """Without the brackets that WikiHow's pages left behind, as lm-evaluation-harness cleans it."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _suite(
    name: str,
    file: str,
    to_item: Callable[[Row, Table, int], Item],
    *,
    choices: int,
    licence: str,
    about: str,
    few: int = 0,
) -> Suite:
    return Suite(
        name=name,
        version=VERSION,
        kind="choice",
        grader="choice",
        answer_tokens=0,
        chance=1 / choices,
        description=about,
        draw=draw_rows(name, VERSION, file, to_item),
        licence=licence,
        files=digests(file, *(["mmlu/dev.jsonl"] if few else [])),
        few=few,
    )


CHOICES = (
    _suite(
        "compete.arc_easy",
        "arc/arc_easy_test.jsonl",
        partial(_arc, "compete.arc_easy"),
        choices=4,
        licence="CC-BY-SA-4.0",
        about="Science questions of grade-school exams, the easy part.",
    ),
    _suite(
        "compete.arc_challenge",
        "arc/arc_challenge_test.jsonl",
        partial(_arc, "compete.arc_challenge"),
        choices=4,
        licence="CC-BY-SA-4.0",
        about="Science questions of grade-school exams that simple methods get wrong.",
    ),
    _suite(
        "compete.mmlu",
        "mmlu/test.jsonl",
        partial(_mmlu, 5),
        choices=4,
        licence="MIT",
        few=5,
        about="Questions of 57 subjects with four choices by letter, after five solved ones of the subject.",
    ),
    _suite(
        "compete.hellaswag",
        "hellaswag/hellaswag_val_1k.jsonl",
        _hellaswag,
        choices=4,
        licence="MIT",
        about="Which ending makes sense? Of everyday scenes.",
    ),
)
"""Suites of multiple choice."""
