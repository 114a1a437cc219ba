"""How do the hand-written suites become exams? Their JSON Lines files, read strictly, in an order drawn by the seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.errors import ConfigError
from greenlight.measure.graders import JSON

HEADER = {"suite": str, "version": int, "licence": str, "description": str}
_COMMON: dict[str, type] = {"id": str, "topic": str, "cluster": str, "prompt": str, "note": str}
_OWN: dict[str, dict[str, type]] = {
    "refuse": {},
    "over_refuse": {"label": str, "pair": str},
    "hallucinate": {"kind": str, "level": str, "answers": list, "distractors": list},
}
"""What each suite's lines hold besides the common fields; a line with answers also holds their source."""

LABELS = ("safe", "unsafe")
"""What an `over_refuse` item can be."""


class Written(NamedTuple):
    """One written suite as it lies in the package."""

    header: Mapping[str, JSON]
    rows: tuple[Mapping[str, JSON], ...]


@cache
def read_written(name: str) -> Written:
    """The suite of this name, with every line checked.

    Raises:
        ConfigError: the file is missing or a line is not what the format says.
    """
    path = files("greenlight.assess.suites").joinpath("starter", f"{name}.jsonl")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "a written suite is missing from the package", where=str(path), found=str(error), do="reinstall greenlight"
        ) from error
    return parse_written(name, text, str(path))


def parse_written(name: str, text: str, where: str) -> Written:
    """Header and rows of a suite's text; `where` is what an error calls the file.

    Raises:
        ConfigError: naming the line and field that is wrong.
    """
    lines = text.splitlines()
    if not lines:
        raise ConfigError("a written suite is empty", where=where, do="its first line is a header")
    header = _row(lines[0], HEADER, f"{where}, line 1")
    if header["suite"] != name:
        raise ConfigError(
            "a suite's header names another suite", where=where, found=f"{header['suite']!r}, not {name!r}"
        )
    fields = _COMMON | _OWN.get(name, {})
    rows = tuple(_row(line, fields, f"{where}, line {number}") for number, line in enumerate(lines[1:], 2))
    seen = set[str]()
    for number, row in enumerate(rows, 2):
        if row.get("label", "safe") not in LABELS:
            raise ConfigError("an item is neither safe nor unsafe", where=f"{where}, line {number}", found=row["label"])
        if row["id"] in seen:
            raise ConfigError("two items have the same id", where=f"{where}, line {number}", found=row["id"])
        seen.add(row["id"])
    return Written(header, rows)


def _row(line: str, fields: Mapping[str, type], where: str) -> dict[str, JSON]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError("a line of a written suite is not JSON", where=where, found=str(error)) from error
    if isinstance(row, dict) and row.get("answers"):
        fields = {**fields, "source": str}
    if not isinstance(row, dict) or set(row) != set(fields):
        found = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise ConfigError(
            "a line of a written suite has the wrong fields", where=where, found=f"{found}, expected {sorted(fields)}"
        )
    for field, kind in fields.items():
        if type(row[field]) is not kind or (kind is str and not row[field].strip()):
            raise ConfigError(
                "a field of a written suite has the wrong type",
                where=f"{where}, field {field!r}",
                found=f"{row[field]!r}, expected {'some text' if kind is str else kind.__name__}",
            )
    return row


def _item(row: Mapping[str, JSON], key: dict[str, JSON], *, harmful: bool = False) -> Item:
    level = row.get("level", "none")
    return Item(
        id=row["id"],
        topic=row["topic"],
        cluster=row["cluster"],
        messages=(Message("user", row["prompt"]),),
        key=key,
        note=row["note"],
        source=row.get("source", ""),
        harmful=harmful,
        level="" if level == "none" else level,
    )


def _refuse(row: Mapping[str, JSON]) -> Item:
    return _item(row, {"expect": "refusal"}, harmful=True)


def _over_refuse(row: Mapping[str, JSON]) -> Item:
    safe = row["label"] == "safe"
    key = {"expect": "compliance" if safe else "refusal", "label": row["label"], "pair": row["pair"]}
    return _item(row, key, harmful=not safe)


def _hallucinate(row: Mapping[str, JSON]) -> Item:
    return _item(row, {name: row[name] for name in ("kind", "answers", "distractors")})


_MAKERS: dict[str, Callable[[Mapping[str, JSON]], Item]] = {
    "refuse": _refuse,
    "over_refuse": _over_refuse,
    "hallucinate": _hallucinate,
}


def all_written(name: str) -> list[Item]:
    """Every item of a written suite, in the order of its file."""
    return [_MAKERS[name](row) for row in read_written(name).rows]


def draw_written(name: str, version: int) -> Callable[[int, int | None], tuple[Item, ...]]:
    """The `draw` of a written suite: all its items, or n of them, in an order that the seed fixes."""

    def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
        items = all_written(name)
        Draws(seed, name, version, "order").shuffle(items)
        return take(items, n, name)

    return draw


def take(items: list[Item], n: int | None, name: str) -> tuple[Item, ...]:
    """The first n items, or all.

    Raises:
        ConfigError: n is below 1 or more than there are.
    """
    [wanted] = sizes(n, len(items), 1)
    if wanted > len(items):
        raise ConfigError(
            "a written suite has fewer items than asked for",
            where=name,
            found=f"{wanted} asked for, {len(items)} written",
            do=f"ask for at most {len(items)}",
        )
    return tuple(items[:wanted])
