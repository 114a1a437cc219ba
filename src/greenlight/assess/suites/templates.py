"""How do templates become items? Slots filled from banks of words, and drawn again where two items come out alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.words import Bank, banks
from greenlight.errors import ConfigError

_SLOT = re.compile(r"\{([a-z_]+?)(\d*)\}")
_ARTICLE = re.compile(r"\b([Aa])(?= (?!us|uni|eu|one\b)[aeiou])", re.IGNORECASE)
_START = re.compile(r"^[a-z]|(?<=[.!?] )[a-z]")
_TRIES = 400


class Named(Protocol):
    """Whatever is a template: it has an id, unique in its suite."""

    @property
    def id(self) -> str:
        """The cluster of the items made from it."""


N = TypeVar("N", bound=Named)


class Fill:
    """Fills `{slot}` and `{slot2}` in texts of one item: one slot, one value; slots of one bank never share a value.

    Args:
        draws: where choices come from.
        given: values fixed beforehand, by slot.
        own: banks besides the common ones.
    """

    def __init__(
        self,
        draws: Draws,
        given: Mapping[str, str | int] | None = None,
        own: Mapping[str, Bank] | None = None,
    ) -> None:
        self._draws, self._banks = draws, {**banks(), **(own or {})}
        self.values: dict[str, str] = {slot: str(value) for slot, value in (given or {}).items()}

    def __call__(self, text: str) -> str:
        """The text with every slot filled."""
        return articles(_SLOT.sub(lambda match: self.value(match.group(1), match.group(2)), text))

    def value(self, bank: str, number: str = "") -> str:
        """The value of one slot, drawn at its first use."""
        slot = bank + number
        if slot not in self.values:
            taken = {value for name, value in self.values.items() if name.rstrip("0123456789") == bank}
            while (value := self._draw(bank)) in taken:
                pass
            self.values[slot] = value
        return self.values[slot]

    def _draw(self, bank: str) -> str:
        options = self._banks[bank]
        return options(self._draws) if callable(options) else self._draws.choice(options)


def articles(text: str) -> str:
    """The text with "an" for "a" before a vowel: a slot may stand there."""
    return _ARTICLE.sub(r"\1n", text)


def sentences(text: str) -> str:
    """The text with a capital letter at the start of each sentence: a slot may stand there."""
    return _START.sub(lambda match: match.group().upper(), text)


def generate(
    templates: Sequence[N], count: int, draws: Draws, distinct: Distinct, make: Callable[[N, int, Draws], Item]
) -> list[Item]:
    """`count` items that take turns through the templates, in an order of templates that the seed fixes.

    Args:
        templates: at least one; each is used ⌊count / T⌋ or ⌈count / T⌉ times.
        count: how many items.
        draws: the stream of this group of items.
        distinct: what was accepted so far; an item too similar to one of those is drawn again.
        make: (template, index in the group, draws) to an item, pure.

    Raises:
        ConfigError: the templates cannot give so many items that differ enough.
    """
    turns = draws.derive("templates").sample(templates, len(templates))
    return [_fresh(turns[i % len(turns)], i, draws, distinct, make) for i in range(count)]


def _fresh(template: N, index: int, draws: Draws, distinct: Distinct, make: Callable[[N, int, Draws], Item]) -> Item:
    for attempt in range(_TRIES):
        item = make(template, index, draws.derive(index, attempt))
        if distinct.accept(item.text):
            return item
    raise ConfigError(
        "a generator ran out of items that differ enough",
        where=f"template {template.id}, item {index + 1}",
        found=f"{_TRIES} drawn, each shares 60 % or more with one drawn before",
        do="ask for fewer items",
    )


def mixed(groups: Iterable[Sequence[Item]], draws: Draws) -> tuple[Item, ...]:
    """All items of all groups in one random order: the exam."""
    items = [item for group in groups for item in group]
    draws.derive("order").shuffle(items)
    return tuple(items)
