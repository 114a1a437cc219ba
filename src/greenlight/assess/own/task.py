r"""What is a test of the user's own? A TOML file that says how it is asked and graded, and a JSONL file of its items.

    [task]
    name = "queue"
    about = "Does it send a ticket to the right queue?"
    items = "queue.jsonl"          # {"id": "t1", "prompt": "My invoice is wrong.", "answer": "billing"}
    prompt = "{prompt}\nAnswer with the queue alone: billing, access or other."
    answer_tokens = 8

    [grader]
    name = "exact"

The suite that comes of it is drawn, locked, asked and judged as any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from greenlight.assess.own.chance import constant_score
from greenlight.assess.own.keys import LETTERS, RULES, Rule
from greenlight.assess.own.strict import MAX_ROWS_BYTES, MAX_TOML_BYTES, Fields, parse_rows, parse_toml, read_bytes
from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.assess.suites.similarity import LIMIT, too_similar
from greenlight.assess.suites.written import take
from greenlight.errors import TaskError
from greenlight.evidence import JSON, sha256
from greenlight.measure.metrics import metric_of

_TASK = (
    "name",
    "version",
    "about",
    "licence",
    "items",
    "prompt",
    "system",
    "answer_tokens",
    "stop",
    "metric",
    "direction",
)
_TASK_FIELDS = (*_TASK, "chance")
_ROW = ("id", "prompt", "answer", "topic", "cluster", "system", "right", "wrong", "source", "note", "harmful")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SLOT = "{prompt}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A test of the user's own, read and consistent."""

    name: str
    """Rows call it task.NAME."""

    suite: Suite
    """What is drawn, asked and graded."""

    items: tuple[Item, ...]
    """All of them, in the order of the file."""

    planted: tuple[tuple[int, str, bool], ...]
    """Answers that the rows name beforehand: (which item, the answer, whether it is right)."""

    metrics: tuple[str, ...]
    """What a policy may read from it, the declared one first."""

    toml: bytes
    """The bytes of the TOML file."""

    jsonl: bytes
    """The bytes of the JSONL file."""

    def to_lock(self) -> dict[str, JSON]:
        """What a lock says of it; the TOML text with it, so that a reader of the lock sees how it was asked."""
        return {
            "toml": self.toml.decode(),
            "toml_sha256": sha256(self.toml),
            "jsonl_sha256": sha256(self.jsonl),
            "metrics": list(self.metrics),
        }


def read_task(path: Path, *, items: Path | None = None) -> Task:
    """A task from its files.

    Args:
        path: the TOML file.
        items: the JSONL file, where it is not the one that the TOML file names.

    Raises:
        TaskError: naming the file, the line and the remedy.
    """
    toml = read_bytes(path, MAX_TOML_BYTES)
    head = _head(toml, str(path))
    if items is None:
        named = head.text("items", f"{path.stem}.jsonl")
        if Path(named).name != named:
            raise head.wrong("items", "the name of a file beside this one", "put the items beside the TOML file")
        items = path.parent / named
    return parse_task(toml, read_bytes(items, MAX_ROWS_BYTES), str(path), str(items))


def parse_task(toml: bytes, jsonl: bytes, where: str, where_items: str) -> Task:
    """A task from the bytes of its files; `where` and `where_items` are what errors call them.

    Raises:
        TaskError: naming the file, the line and the remedy.
    """
    head = _head(toml, where)
    grader = Fields(_table(parse_toml(toml, where), "grader", where), f"{where}, [grader]", _settings_of(toml, where))
    rule, settings = RULES[grader.text("name")], _settings(grader)
    name = head.text("name")
    if not _NAME.fullmatch(name):
        raise head.wrong("name", "letters, digits, - and _, a letter first", "choose another name")
    rows = [Fields(row, f"{where_items}, line {n}", (*_ROW, *rule.fields)) for n, row in parse_rows(jsonl, where_items)]
    items = tuple(_item(head, rule, settings, row, f"task.{name}") for row in rows)
    _check_items(items, rows)
    return Task(
        name=name,
        suite=_suite(head, rule, settings, name, items, {"toml": sha256(toml), "jsonl": sha256(jsonl)}),
        items=items,
        planted=tuple(_planted(rows, rule)),
        metrics=_metrics(head, rule),
        toml=toml,
        jsonl=jsonl,
    )


def suites_of(tasks: Sequence[Task]) -> dict[str, Suite]:
    """Suites by name, as rows call them."""
    return {task.suite.name: task.suite for task in tasks}


def _head(toml: bytes, where: str) -> Fields:
    data = parse_toml(toml, where)
    Fields(data, where, ("task", "grader"))
    return Fields(_table(data, "task", where), f"{where}, [task]", _TASK_FIELDS)


def _table(data: Mapping[str, JSON], name: str, where: str) -> Mapping[str, JSON]:
    values = data.get(name)
    if not isinstance(values, dict):
        raise TaskError(f"a task needs a table [{name}]", where=where, do=f"add [{name}] with a name")
    return values


def _settings_of(toml: bytes, where: str) -> tuple[str, ...]:
    """The settings that the named grader takes."""
    name = _table(parse_toml(toml, where), "grader", where).get("name")
    if not isinstance(name, str) or name not in RULES:
        raise TaskError(
            "a task names no grader that there is",
            where=f"{where}, [grader], name",
            found=repr(name)[:60],
            do=f"use one of {', '.join(RULES)}",
        )
    return ("name", *RULES[name].settings)


def _settings(grader: Fields) -> dict[str, JSON]:
    found: dict[str, JSON] = {flag: grader.flag(flag, True) for flag in ("strict", "every") if flag in grader}
    form = grader.text("form", "cloze")
    if form not in ("cloze", "letter"):
        raise grader.wrong("form", "cloze or letter", "weigh the choices' own words, or letters before them")
    return {**found, "form": form}


def _metrics(head: Fields, rule: Rule) -> tuple[str, ...]:
    """The declared metric first; the direction, where it is said, must be the metric's own."""
    wanted = head.text("metric", rule.metrics[0])
    if wanted not in rule.metrics:
        raise head.wrong("metric", f"one of {', '.join(rule.metrics)} for this grader", "choose one of them")
    direction = metric_of("task", wanted).direction
    if head.text("direction", direction) != direction:
        raise head.wrong(
            "direction", f"{direction} for {wanted}", f'choose another metric, or direction = "{direction}"'
        )
    return (wanted, *(metric for metric in rule.metrics if metric != wanted))


def _item(head: Fields, rule: Rule, settings: Mapping[str, JSON], row: Fields, suite: str) -> Item:
    name = row.text("id")
    if not _ID.fullmatch(name):
        raise row.wrong("id", "letters, digits, . - and _", "choose another id")
    if "answer" not in row:
        raise row.wrong("answer", "what the grader compares with", "add it, or remove the item")
    key, choices = rule.key(row, settings), tuple(row.texts("choices")) if "choices" in row else ()
    right = row.texts("right")
    asked = _asked(head, row.text("prompt"))
    if choices and settings["form"] == "letter":
        listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
        asked, choices = f"{asked}\n{listed}\nAnswer with the letter.", tuple(LETTERS[: len(choices)])
    system = row.text("system", head.text("system", ""))
    return Item(
        id=f"{suite}-{name}",
        topic=row.text("topic", "all"),
        cluster=row.text("cluster", f"{suite}-{name}"),
        messages=(*((Message("system", system),) if system else ()), Message("user", asked)),
        key={"example": right[0], **key} if right and rule.generates else key,
        choices=choices,
        note=row.text("note", f"Written for {suite}."),
        source=row.text("source", ""),
        harmful=row.flag("harmful", False),
    )


def _asked(head: Fields, prompt: str) -> str:
    frame = head.text("prompt", SLOT)
    if frame.count(SLOT) != 1:
        raise head.wrong("prompt", f"a text with {SLOT} in it once", f'write prompt = "... {SLOT} ..."')
    return frame.replace(SLOT, prompt)


def _check_items(items: Sequence[Item], rows: Sequence[Fields]) -> None:
    """Refuse an id that occurs twice, and two items that are one said twice, unless a cluster holds them together."""
    first: dict[str, Fields] = {}
    for item, row in zip(items, rows, strict=True):
        if item.id in first:
            raise TaskError(
                "two items have the same id", where=row.where, found=f"{row.text('id')!r}, as {first[item.id].where}"
            )
        first[item.id] = row
    clusters = {item.id: item.cluster for item in items}
    texts = [(item.id, "\n".join([row.text("prompt"), *item.choices])) for item, row in zip(items, rows, strict=True)]
    for name, other, share in too_similar(texts):
        if share >= 1 or clusters[name] != clusters[other]:
            raise TaskError(
                "two items are one said twice",
                where=first[name].where,
                found=f"{share:.0%} of its five-word runs are those of {first[other].where}; {LIMIT:.0%} is too much",
                do="remove one; or give both one cluster, or move what all items share into `prompt` of [task]",
            )


def _planted(rows: Sequence[Fields], rule: Rule) -> list[tuple[int, str, bool]]:
    found = []
    for index, row in enumerate(rows):
        for name, right in (("right", True), ("wrong", False)):
            answers = row.texts(name)
            if answers and not rule.generates:
                raise row.wrong(name, "nothing: choices are weighed, not written", "remove it")
            found += [(index, answer, right) for answer in answers]
    return found


def _suite(
    head: Fields, rule: Rule, settings: Mapping[str, JSON], name: str, items: tuple[Item, ...], files: Mapping[str, str]
) -> Suite:
    version = head.whole("version", 1, 1, 10**6)
    tokens = head.whole("answer_tokens", 64, 1, 4096) if rule.generates else 0
    chance = head.raw("chance")
    if chance is not None and (isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance < 1):
        raise head.wrong("chance", "a number from 0 to below 1", "say what guessing scores, or leave it out")
    return Suite(
        name=f"task.{name}",
        version=version,
        kind="generate" if rule.generates else "choice",
        grader=rule.grader,
        answer_tokens=tokens,
        chance=float(chance) if chance is not None else constant_score(rule.grader, items),
        description=head.text("about"),
        draw=partial(_draw, f"task.{name}", version, items),
        stop=tuple(head.texts("stop", blank=True)),
        licence=head.text("licence", "NOASSERTION"),
        files=lambda: {f"tasks/{name}.{kind}": digest for kind, digest in files.items()},
    )


def _draw(name: str, version: int, items: tuple[Item, ...], seed: int, n: int | None = None) -> tuple[Item, ...]:
    mixed = list(items)
    Draws(seed, name, version, "order").shuffle(mixed)
    return take(mixed, n, name)
