"""Does the model answer by stereotype? Situations in the design of BBQ (Parrish et al. 2022, arXiv:2110.08193).

Each template is asked eight times: with the fact that settles the question and without, for the negative and for the
other answer, and with either group in the part to which the fact gives the negative role. The scene and the words in
the slots differ every time, so that no item copies another; which of the template's pairs of groups is named follows
the seed and is the same for both roles; in each of the eight ways all six orders of the options are equally frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.templates import Fill, generate, mixed, sentences
from greenlight.assess.suites.words import texts
from greenlight.errors import ConfigError

VERSION = 1

CONTEXTS = ("ambiguous", "disambiguated")
POLARITIES = ("negative", "non_negative")
PAIRS = 4
"""How many pairs of groups a template has: one for each context and question."""
_ORDERS = tuple(permutations(range(3)))


class Variant(NamedTuple):
    """One of the eight ways to ask a template."""

    context: str
    """Whether the fact that settles the question is told."""

    polarity: str
    """Whether the question asks for who did what the stereotype says, or for the other one."""

    target_first: bool
    """Whether the group that the stereotype is about is {x}, who in the fact has the negative role."""


VARIANTS = tuple(Variant(*parts) for parts in product(CONTEXTS, POLARITIES, (True, False)))


@dataclass(frozen=True, slots=True)
class Situation:
    """One template."""

    id: str
    """The cluster of its items."""

    topic: str
    """Which characteristic the groups differ in."""

    pairs: Sequence[Sequence[str]]
    """Four times the names of two groups, the stereotyped one first."""

    context: str
    """What is known in any case."""

    fact: str
    """What settles the question."""

    negative: str
    """The question whose answer in the fact is {x}."""

    positive: str
    """The question whose answer in the fact is {y}."""

    source: str
    """Where the stereotype is described."""


@cache
def situations() -> tuple[Situation, ...]:
    """All templates."""
    words = texts("bias")
    return tuple(_situation(row, words["topics"]) for row in words["templates"])


def _situation(row: dict[str, str], topics: dict[str, dict[str, str]]) -> Situation:
    topic = row["id"].partition(".")[0]
    fields = {**topics[topic], **row, "id": f"bias.{row['id']}", "topic": topic}
    return Situation(**fields)


def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
    """The exam: every template in all its variants, or the first n of them, template by template, in random order.

    Raises:
        ConfigError: n is more than there are.
    """
    draws, templates = Draws(seed, "bias", VERSION), list(situations())
    most = len(templates) * len(VARIANTS)
    [count] = sizes(n, most, 1)
    if count > most:
        raise ConfigError("the suite bias has fewer items than asked for", found=f"{count}, at most {most}")
    orders = _option_orders(len(templates), draws.derive("options"))
    draws.derive("templates").shuffle(templates)
    pairs = {situation.id: draws.derive("pairs", situation.id).sample(range(PAIRS), PAIRS) for situation in templates}
    distinct = Distinct()
    items: list[Item] = []
    for k in range(count):
        template, variant = divmod(k, len(VARIANTS))
        order = orders[variant][template]

        pair = pairs[templates[template].id][variant // 2]  # both roles of a question share their pair

        def make(
            situation: Situation, _: int, chance: Draws, v: int = variant, p: int = pair, o: Sequence[int] = order
        ) -> Item:
            return _item(situation, v, situation.pairs[p], o, chance)

        items += generate([templates[template]], 1, draws.derive(k), distinct, make)
    return mixed([items], draws)


def _option_orders(n_templates: int, draws: Draws) -> list[list[Sequence[int]]]:
    """For each variant an order of options per template, each of the six equally often."""
    columns = []
    for _ in VARIANTS:
        column: list[Sequence[int]] = [_ORDERS[i % len(_ORDERS)] for i in range(n_templates)]
        draws.shuffle(column)
        columns.append(column)
    return columns


def _item(situation: Situation, number: int, pair: Sequence[str], order: Sequence[int], draws: Draws) -> Item:
    variant = VARIANTS[number]
    target, other = pair
    x, y = (target, other) if variant.target_first else (other, target)
    negative = variant.polarity == "negative"
    told = [draws.choice(texts("bias")["scenes"]), situation.context]
    if variant.context == "disambiguated":
        told.append(situation.fact)
    question = situation.negative if negative else situation.positive
    options = [target, other, draws.choice(texts("bias")["unknown"])]
    choices = tuple(options[i][0].upper() + options[i][1:] for i in order)
    ending = draws.choice(texts("bias")["endings"]).replace("{options}", "; ".join(choices))
    story = sentences(Fill(draws)(" ".join(told).replace("{x}", x).replace("{y}", y)))
    right = "unknown" if variant.context == "ambiguous" else ("target" if negative == variant.target_first else "other")
    place = {role: order.index(i) for i, role in enumerate(("target", "other", "unknown"))}
    return Item(
        id=f"{situation.id}-{number + 1}",
        topic=situation.topic,
        cluster=situation.id,
        messages=(Message("user", f"{story}\n\n{question} {ending}"),),
        key={
            "answer": place[right],
            "biased": place["target" if negative else "other"],
            "unknown": place["unknown"],
            "context": variant.context,
            "polarity": variant.polarity,
            "target_first": variant.target_first,
        },
        choices=choices,
        note=f"{situation.id}, {variant.context}, {variant.polarity} question, {x} in the first role.",
        source=situation.source,
    )
