"""Can a model work something out in words, and do as told? GSM8K, SVAMP, BIG-Bench Hard, IFEval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from greenlight.assess.data import Row, Table, field, read_table
from greenlight.assess.public.adapter import ToItem, digests, draw_rows, shown
from greenlight.assess.suites.following import follow
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.errors import FormatError
from greenlight.evidence import JSON
from greenlight.measure.graders.ifeval import INSTRUCTIONS, followed

VERSION = 1
_TRAIN, _TEST = "gsm8k/train.jsonl", "gsm8k/test.jsonl"
_STOP = ("Question:", "</s>", "<|im_end|>")


def made(suite: str, number: int, message: Message, key: Mapping[str, JSON], note: str, topic: str = "all") -> Item:
    """An item that is answered in text."""
    name = f"{suite}-{number + 1:05d}"
    return Item(id=name, topic=topic, cluster=name, messages=(message,), key=key, note=note)


def _final(row: Row, table: Table, number: int) -> str:
    """The number after the mark in a worked answer."""
    worked, mark, final = str(field(row, "answer", str, table, number)).rpartition("####")
    if not mark or not worked or not final.strip():
        raise FormatError("a worked answer has no number at its end", where=f"{table.where}, row {number + 1}")
    return final.strip()


def _gsm8k(suite: str, few: int, row: Row, table: Table, number: int) -> Item:
    question = f"Question: {field(row, 'question', str, table, number)}\nAnswer:"
    message = Message("text", shown(_worked(few, read_table(_TRAIN).sha256) if few else (), question))
    return _problem(suite, message, row, table, number)


@lru_cache(maxsize=8)
def _worked(few: int, _sha256: str) -> tuple[str, ...]:
    rows = read_table(_TRAIN).rows[:few]
    return tuple(f"Question: {row['question']}\nAnswer: {row['answer']}" for row in rows)


def _gsm8k_chat(row: Row, table: Table, number: int) -> Item:
    question = field(row, "question", str, table, number)
    text = f"{question}\nThink step by step. End with a line that holds #### and the number alone."
    return _problem("compete.gsm8k.chat", Message("user", text), row, table, number)


def _problem(suite: str, message: Message, row: Row, table: Table, number: int) -> Item:
    key = {"number": _final(row, table, number), "reading": "strict"}
    return made(suite, number, message, key, f"GSM8K (Cobbe et al. 2021, arXiv:2110.14168), row {number + 1}")


def _svamp(row: Row, table: Table, number: int) -> Item:
    message = Message("text", f"Question: {field(row, 'context', str, table, number)}\nAnswer:")
    key = {"number": str(field(row, "answer", str, table, number)).strip(), "reading": "flexible"}
    return made("compete.svamp", number, message, key, f"SVAMP (Patel et al. 2021, arXiv:2103.07191), row {number + 1}")


def _bbh(row: Row, table: Table, number: int) -> Item:
    task, asked, target = (str(field(row, name, str, table, number)) for name in ("task", "input", "target"))
    note = f"BIG-Bench Hard (Suzgun et al. 2023, arXiv:2210.09261), {task}, row {number + 1}; not for training"
    return made("compete.bbh", number, Message("text", f"Q: {asked}\nA:"), {"line": target.strip()}, note, task)


def _ifeval(row: Row, table: Table, number: int) -> Item:
    kinds = field(row, "instruction_id_list", list, table, number)
    arguments = field(row, "kwargs", list, table, number)
    if len(kinds) != len(arguments) or not kinds or not all(isinstance(one, dict) for one in arguments):
        raise FormatError("a row has other arguments than instructions", where=f"{table.where}, row {number + 1}")
    pairs = zip(kinds, arguments, strict=True)
    key = _instructed([{"id": kind, "arguments": _given(one)} for kind, one in pairs], table, number)
    message = Message("user", str(field(row, "prompt", str, table, number)))
    note = f"IFEval (Zhou et al. 2023, arXiv:2311.07911), key {row.get('key', number)}"
    return made("compete.ifeval", number, message, key, note, str(kinds[0]).partition(":")[0])


def _given(arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Arguments that are there; files hold every possible one, as null."""
    return {name: value for name, value in arguments.items() if value is not None}


def _instructed(instructions: Sequence[dict[str, JSON]], table: Table, number: int) -> dict[str, JSON]:
    """The key of an item; where no text is known that follows all of it, it says so."""
    for one in instructions:
        if one["id"] not in INSTRUCTIONS:
            raise FormatError(
                "an instruction is none of IFEval's 25", where=f"{table.where}, row {number + 1}", found=repr(one["id"])
            )
        followed(one, "Some words.")
    key: dict[str, JSON] = {"instructions": list(instructions)}
    try:
        follow(instructions)
    except KeyError:
        return {**key, "no_gold": True}
    return key


def _suite(
    name: str,
    file: str,
    to_item: ToItem,
    *,
    grader: str,
    tokens: int,
    licence: str,
    about: str,
    chance: float = 0.05,
    stop: tuple[str, ...] = (),
    few: int = 0,
    others: Sequence[str] = (),
) -> Suite:
    return Suite(
        name=name,
        version=VERSION,
        kind="generate",
        grader=grader,
        answer_tokens=tokens,
        chance=chance,
        description=about,
        draw=draw_rows(name, VERSION, file, to_item),
        stop=stop,
        licence=licence,
        files=digests(file, *others),
        few=few,
    )


_OF_GSM8K = "Grade-school word problems of several steps"

SOLVING = (
    _suite(
        "compete.gsm8k",
        _TEST,
        partial(_gsm8k, "compete.gsm8k", 5),
        grader="solved",
        tokens=256,
        licence="MIT",
        stop=_STOP,
        few=5,
        others=[_TRAIN],
        about=f"{_OF_GSM8K}, after five solved ones.",
    ),
    _suite(
        "compete.gsm8k.zero",
        _TEST,
        partial(_gsm8k, "compete.gsm8k.zero", 0),
        grader="solved",
        tokens=256,
        licence="MIT",
        stop=_STOP,
        about=f"{_OF_GSM8K}, without examples.",
    ),
    _suite(
        "compete.gsm8k.chat",
        _TEST,
        _gsm8k_chat,
        grader="solved",
        tokens=320,
        licence="MIT",
        about=f"{_OF_GSM8K}, asked in a conversation.",
    ),
    _suite(
        "compete.svamp",
        "svamp/svamp.jsonl",
        _svamp,
        grader="solved",
        tokens=64,
        licence="MIT",
        stop=(*_STOP, "\n\n"),
        about="Arithmetic word problems of one step, told so that guessing by pattern fails.",
    ),
    _suite(
        "compete.bbh",
        "bbh/bbh.jsonl",
        _bbh,
        grader="line",
        tokens=32,
        licence="MIT",
        chance=0.2,
        stop=("Q:", "</s>", "<|im_end|>"),
        about="27 tasks of BIG-Bench on which models long fell behind people, answered at once.",
    ),
    _suite(
        "compete.ifeval",
        "ifeval/input_data.jsonl",
        _ifeval,
        grader="ifeval",
        tokens=1280,
        licence="Apache-2.0",
        chance=0.3,
        about="Instructions of 25 kinds that a program can check.",
    ),
)
"""Suites of working out and of doing as told."""
