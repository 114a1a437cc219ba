"""How does a public file become a suite? Its rows become items, in an order that the seed draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from greenlight.assess.data import Row, Table, read_table
from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item
from greenlight.assess.suites.written import take
from greenlight.errors import FormatError

ToItem: TypeAlias = Callable[[Row, Table, int], Item | None]
"""(row, its table, its number from 0) to an item; None for a row that asks nothing of this kind."""


class Examples(NamedTuple):
    """Solved questions: the first rows of a file."""

    file: str
    n: int


def draw_rows(name: str, version: int, file: str, to_item: ToItem) -> Callable[[int, int | None], tuple[Item, ...]]:
    """The `draw` of a suite whose items are the rows of one file."""

    def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
        table = read_table(file)
        items = [item for number, row in enumerate(table.rows) if (item := to_item(row, table, number)) is not None]
        return _mixed(items, seed, n, name, version, file)

    return draw


def draw_tables(
    name: str, version: int, files: Sequence[str], make: Callable[[Sequence[Table]], Iterable[Item]]
) -> Callable[[int, int | None], tuple[Item, ...]]:
    """The `draw` of a suite whose items are made of several files, or of several rows each."""

    def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
        items = list(make([read_table(file) for file in files]))
        return _mixed(items, seed, n, name, version, files[0])

    return draw


def _mixed(items: list[Item], seed: int, n: int | None, name: str, version: int, file: str) -> tuple[Item, ...]:
    if not items:
        raise FormatError("a data file holds nothing to ask", where=file, found=f"no row that {name} could use")
    Draws(seed, name, version, "order").shuffle(items)
    return take(items, n, name)


def digests(*names: str) -> Callable[[], Mapping[str, str]]:
    """The `files` of a suite: name to digest of each file that it is made of."""
    return lambda: {name: read_table(name).sha256 for name in names}


def solved(examples: Examples, to_item: Callable[[Row, Table, int], Item]) -> tuple[Item, ...]:
    """The first rows of a file as items, which few-shot prompts show with their answers."""
    return _solved(examples, to_item, read_table(examples.file).sha256)


@lru_cache(maxsize=32)
def _solved(examples: Examples, to_item: Callable[[Row, Table, int], Item], _sha256: str) -> tuple[Item, ...]:
    table = read_table(examples.file)
    return tuple(to_item(row, table, number) for number, row in enumerate(table.rows[: examples.n]))


def shown(examples: Sequence[str], question: str) -> str:
    """A question after solved examples, a blank line between them, as lm-evaluation-harness sets them."""
    return "".join(f"{example}\n\n" for example in examples) + question
