"""Does a model see what happens next, and who is meant? HellaSwag, PIQA, SIQA, COPA, WinoGrande, WSC273, LAMBADA."""

from __future__ import annotations

import re
from functools import partial

from greenlight.assess.data import Row, Table, field
from greenlight.assess.public.adapter import digests, draw_rows
from greenlight.assess.public.choosing import (
    VERSION,
    Form,
    choice_item,
    choice_suite,
    forms,
    index,
    partial_item,
    posed,
    strings,
)
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.errors import FormatError

_CONNECTED = re.compile(r", (because|therefore)$")
_WORD_TOKENS = 8  # of LAMBADA's last words, names included, even where a tokenizer cuts them into letters


def _hellaswag(suite: str, form: Form, row: Row, table: Table, number: int) -> Item:
    first, second = (str(field(row, name, str, table, number)) for name in ("ctx_a", "ctx_b"))
    activity = field(row, "activity_label", str, table, number)
    story = _cleaned(f"{activity}: {first} {second.capitalize()}")
    endings = [_cleaned(ending) for ending in strings(row, "endings", table, number)]
    text, choices = (story, [f" {ending}" for ending in endings]) if form == "cloze" else posed(form, story, endings)
    return choice_item(
        suite=suite,
        number=number,
        text=text,
        choices=choices,
        answer=index(row, "label", len(endings), table, number),
        note=f"HellaSwag (Zellers et al. 2019, arXiv:1905.07830), ind {row.get('ind', number)}",
    )


def _cleaned(text: str) -> str:
    """Without the brackets that WikiHow's pages left behind, as lm-evaluation-harness cleans it."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _piqa(row: Row, table: Table, number: int) -> Item:
    options = strings(row, "choices", table, number)
    return choice_item(
        suite="compete.piqa",
        number=number,
        text=f"{str(field(row, 'query', str, table, number)).removesuffix(chr(10))}\nAnswer:",
        choices=[f" {option}" for option in options],
        answer=index(row, "gold", len(options), table, number),
        note=f"PIQA (Bisk et al. 2020, arXiv:1911.11641), row {number + 1}",
    )


def _siqa(row: Row, table: Table, number: int) -> Item:
    options = strings(row, "choices", table, number)
    return choice_item(
        suite="compete.siqa",
        number=number,
        text=f"Q: {field(row, 'question', str, table, number)}\nA:",
        choices=[f" {option}" for option in options],
        answer=index(row, "gold", len(options), table, number),
        note=f"Social IQa (Sap et al. 2019, arXiv:1904.09728), row {number + 1}",
    )


def _copa(row: Row, table: Table, number: int) -> Item:
    options = strings(row, "choices", table, number)
    return choice_item(
        suite="compete.copa",
        number=number,
        text=_CONNECTED.sub(r" \1", str(field(row, "query", str, table, number))),
        # lm-evaluation-harness sets two spaces here: its own and the choice's.
        choices=[f"  {option[:1].lower()}{option[1:]}" for option in options],
        answer=index(row, "gold", len(options), table, number),
        note=f"COPA (Roemmele et al. 2011; SuperGLUE, arXiv:1905.00537), row {number + 1}",
    )


def _names(suite: str, source: str, row: Row, table: Table, number: int) -> Item:
    contexts = strings(row, "context_options", table, number)
    return partial_item(
        suite=suite,
        number=number,
        contexts=contexts,
        ending=str(field(row, "continuation", str, table, number)),
        answer=index(row, "gold", len(contexts), table, number),
        note=f"{source}, row {number + 1}",
    )


def _lambada(row: Row, table: Table, number: int) -> Item:
    word = str(field(row, "continuation", str, table, number)).strip()
    if not word:
        raise FormatError("a row has no last word", where=f"{table.where}, row {number + 1}")
    return Item(
        id=f"compete.lambada-{number + 1:05d}",
        topic="all",
        cluster=f"compete.lambada-{number + 1:05d}",
        messages=(Message("text", str(field(row, "context", str, table, number))),),
        key={"opening": word},
        note=f"LAMBADA (Paperno et al. 2016, arXiv:1606.06031), row {number + 1}",
    )


SENSE = (
    *(
        choice_suite(
            name,
            "hellaswag/hellaswag_val_1k.jsonl",
            partial(_hellaswag, name, form),
            choices=4,
            licence="MIT",
            about=f"Which ending makes sense? Of everyday scenes{said}.",
        )
        for name, form, said in forms("hellaswag", "; endings by letter")
    ),
    choice_suite(
        "compete.piqa",
        "piqa/piqa.jsonl",
        _piqa,
        choices=2,
        licence="AFL-3.0",
        about="Which of two ways to do an everyday thing works?",
    ),
    choice_suite(
        "compete.siqa",
        "siqa/siqa.jsonl",
        _siqa,
        choices=3,
        licence="CC-BY-4.0",
        about="What people feel, want and do next in everyday situations.",
    ),
    choice_suite(
        "compete.copa",
        "copa/copa.jsonl",
        _copa,
        choices=2,
        licence="BSD-2-Clause",
        about="Which of two is the cause or the effect?",
    ),
    choice_suite(
        "compete.winogrande",
        "winogrande/winogrande.jsonl",
        partial(_names, "compete.winogrande", "WinoGrande (Sakaguchi et al. 2020, arXiv:1907.10641)"),
        choices=2,
        licence="CC-BY-4.0",
        about="Which of two names fits a sentence? The same ending is weighed after either.",
    ),
    choice_suite(
        "compete.wsc273",
        "wsc273/wsc273.jsonl",
        partial(_names, "compete.wsc273", "Winograd Schema Challenge (Levesque et al. 2012)"),
        choices=2,
        licence="CC-BY-4.0",
        about="Whom does a pronoun mean? The same ending is weighed after either name.",
    ),
    Suite(
        name="compete.lambada",
        version=VERSION,
        kind="generate",
        grader="opening",
        answer_tokens=_WORD_TOKENS,
        chance=0.01,
        description="The last word of a passage, which only its whole makes clear.",
        draw=draw_rows("compete.lambada", VERSION, "lambada/lambada.jsonl", _lambada),
        licence="CC-BY-4.0",
        files=digests("lambada/lambada.jsonl"),
    ),
)
"""Suites of common sense and reference."""
