"""What does a model know of science and of what schools teach? ARC, OpenBookQA, CommonsenseQA, MMLU."""

from __future__ import annotations

from functools import lru_cache, partial

from greenlight.assess.data import Row, Table, field, read_table
from greenlight.assess.public.adapter import Examples, shown
from greenlight.assess.public.choosing import (
    LETTERS,
    Form,
    after,
    choice_item,
    choice_suite,
    forms,
    index,
    posed,
    strings,
)
from greenlight.assess.suites.item import Item, Suite
from greenlight.errors import FormatError

_ARC = "ARC (Clark et al. 2018, arXiv:1803.05457)"
_DEV = "arc/arc_challenge_dev.jsonl"
_MMLU_DEV = "mmlu/dev.jsonl"


def _stemmed(suite: str, form: Form, source: str, row: Row, table: Table, number: int) -> Item:
    """A row in AI2's layout: a stem, labelled choices, the label of the right one."""
    question = field(row, "question", dict, table, number)
    options = field(question, "choices", list, table, number)
    texts = [str(field(option, "text", str, table, number)) for option in options]
    labels = [str(field(option, "label", str, table, number)) for option in options]
    right = str(field(row, "answerKey", str, table, number))
    if right not in labels:
        raise FormatError("the answer is none of the choices", where=f"{table.where}, row {number + 1}", found=right)
    stem = str(field(question, "stem", str, table, number))
    text, choices = posed(form, f"Question: {stem.strip() if form == 'letter' else stem}", texts)
    return choice_item(
        suite=suite,
        number=number,
        text=text,
        choices=choices,
        answer=labels.index(right),
        note=f"{source}, {row.get('id', number)}",
    )


def _openbook(suite: str, form: Form, row: Row, table: Table, number: int) -> Item:
    options = strings(row, "choices", table, number)
    stem = str(field(row, "query", str, table, number))
    text, choices = (stem, [f" {option}" for option in options]) if form == "cloze" else posed(form, stem, options)
    return choice_item(
        suite=suite,
        number=number,
        text=text,
        choices=choices,
        answer=index(row, "gold", len(options), table, number),
        note=f"OpenBookQA (Mihaylov et al. 2018, arXiv:1809.02789), row {number + 1}",
    )


def _mmlu(suite: str, few: int, row: Row, table: Table, number: int) -> Item:
    subject = str(field(row, "subject", str, table, number))
    head = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    options = strings(row, "choices", table, number)
    return choice_item(
        suite=suite,
        number=number,
        text=head + shown(_mmlu_examples(subject, few), _lettered(row, table, number)),
        choices=[f" {letter}" for letter in LETTERS[: len(options)]],
        answer=index(row, "answer", len(options), table, number),
        topic=subject,
        note=f"MMLU (Hendrycks et al. 2021, arXiv:2009.03300), {subject}, row {number + 1}",
    )


def _lettered(row: Row, table: Table, number: int) -> str:
    """An MMLU question with its choices by letter."""
    question = str(field(row, "question", str, table, number)).strip()
    return posed("letter", question, strings(row, "choices", table, number))[0]


def _mmlu_examples(subject: str, few: int) -> list[str]:
    return _solved_of(subject, few, read_table(_MMLU_DEV).sha256) if few else []


@lru_cache(maxsize=128)
def _solved_of(subject: str, few: int, _sha256: str) -> list[str]:
    table = read_table(_MMLU_DEV)
    rows = [(number, row) for number, row in enumerate(table.rows) if row.get("subject") == subject][:few]
    return [
        f"{_lettered(row, table, number)} {LETTERS[index(row, 'answer', 4, table, number)]}" for number, row in rows
    ]


def _arc(name: str, file: str, form: Form, few: int, about: str) -> Suite:
    examples = Examples(_DEV, few) if few else None
    return choice_suite(
        name,
        file,
        after(examples, partial(_stemmed, name, form, _ARC)),
        choices=4,
        licence="CC-BY-SA-4.0",
        about=about,
        few=few,
        others=[_DEV] if few else [],
    )


def _commonsense(name: str, form: Form, said: str) -> Suite:
    return choice_suite(
        name,
        "commonsenseqa/dev.jsonl",
        partial(_stemmed, name, form, "CommonsenseQA (Talmor et al. 2019, arXiv:1811.00937)"),
        choices=5,
        licence="MIT",
        about=f"Questions of common sense with five choices{said}.",
    )


_EASY, _HARD = "arc/arc_easy_test.jsonl", "arc/arc_challenge_test.jsonl"
_OF_EASY = "Science questions of grade-school exams, the easy part"
_OF_HARD = "Science questions of grade-school exams that simple methods get wrong"

SCIENCE = (
    _arc("compete.arc_easy", _EASY, "cloze", 0, f"{_OF_EASY}."),
    _arc("compete.arc_easy.letter", _EASY, "letter", 0, f"{_OF_EASY}; choices by letter."),
    _arc("compete.arc_challenge", _HARD, "cloze", 0, f"{_OF_HARD}."),
    _arc("compete.arc_challenge.few", _HARD, "cloze", 25, f"{_OF_HARD}, after 25 solved ones."),
    _arc("compete.arc_challenge.letter", _HARD, "letter", 0, f"{_OF_HARD}; choices by letter."),
    *(
        choice_suite(
            name,
            "openbookqa/openbookqa.jsonl",
            partial(_openbook, name, form),
            choices=4,
            licence="Apache-2.0",
            about=f"Elementary science that takes a fact and common sense{said}.",
        )
        for name, form, said in forms("openbookqa", "; choices by letter")
    ),
    _commonsense("compete.commonsenseqa", "letter", " by letter"),
    _commonsense("compete.commonsenseqa.cloze", "cloze", ", weighed by their words"),
    *(
        choice_suite(
            name,
            "mmlu/test.jsonl",
            partial(_mmlu, name, few),
            choices=4,
            licence="MIT",
            few=few,
            others=[_MMLU_DEV] if few else [],
            about=f"Questions of 57 subjects with four choices by letter{said}.",
        )
        for name, few, said in (
            ("compete.mmlu", 5, ", after five solved ones of the subject"),
            ("compete.mmlu.zero", 0, ", without examples"),
        )
    ),
)
"""Suites of school knowledge."""
