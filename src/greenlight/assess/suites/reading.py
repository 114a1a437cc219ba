"""Can the model find a fact in a passage? Generated passages with distractors and a short answer, in four levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from greenlight.assess.suites.draws import Draws
from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.assess.suites.similarity import Distinct
from greenlight.assess.suites.templates import Fill, articles, generate, mixed, sentences
from greenlight.assess.suites.words import texts

VERSION = 1
DEFAULT_SIZE = 200


@dataclass(frozen=True, slots=True)
class Level:
    """What one level's passages hold, so that difficulty is changed in one place."""

    number: int
    """1 the easiest."""

    facts: int
    """How many persons or things have a value."""

    past: int = 0
    """How many sentences tell of values that hold no longer; the first is about the one that decides."""

    fillers: int = 0
    """How many sentences have nothing to do with the question."""

    linked: bool = False
    """Whether the one asked about has the value of another, so that two sentences must be joined."""


LEVELS = (
    Level(1, facts=2),
    Level(2, facts=4, past=1, fillers=1),
    Level(3, facts=6, past=3, fillers=2),
    Level(4, facts=6, past=3, fillers=2, linked=True),
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One template: people or things, what they have, and how that is said."""

    id: str
    """The cluster of its items."""

    entity: str
    """The bank that the persons or things come from."""

    values: Sequence[str]
    """What each of them has one of; none is part of another."""

    opening: str
    """The first sentence."""

    facts: Sequence[str]
    """Ways to say that {e} has {v}."""

    past: Sequence[str]
    """Ways to say that {e} once had {v}, or almost."""

    same: str
    """That {f} has what {e} has."""

    ask: Sequence[str]
    """Ways to ask what {e} has."""

    what: str
    """What the answer is called."""

    drop: Sequence[str] = ()
    """Words of a value that an answer may leave out: "12" for "room 12"."""


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All templates; each serves every level."""
    return tuple(Scenario(**{**row, "id": f"compete.reading.{row['id']}"}) for row in texts("reading")["scenarios"])


def draw(seed: int, n: int | None = None) -> tuple[Item, ...]:
    """The exam: as many passages of each level, in random order."""
    draws, distinct = Draws(seed, "compete.reading", VERSION), Distinct()
    counts = sizes(n, DEFAULT_SIZE, len(LEVELS))
    groups = [
        generate(scenarios(), count, draws.derive(f"level {level.number}"), distinct, _maker(level))
        for level, count in zip(LEVELS, counts, strict=True)
    ]
    return mixed(groups, draws)


class Passage(NamedTuple):
    """A text with its question, and what is in it."""

    text: str
    answer: str
    rivals: list[str]


def _maker(level: Level) -> Callable[[Scenario, int, Draws], Item]:
    def make(scenario: Scenario, index: int, draws: Draws) -> Item:
        passage = _passage(scenario, level, draws)
        return Item(
            id=f"compete.reading.l{level.number}-{index + 1:03d}",
            topic=f"level {level.number}",
            cluster=scenario.id,
            messages=(Message("user", passage.text),),
            key={"answer": passage.answer, "rivals": passage.rivals, "drop": list(scenario.drop)},
            note=f"Generated from the scenario {scenario.id}: {level.facts} facts, {level.past} past ones.",
            level=str(level.number),
        )

    return make


def _passage(scenario: Scenario, level: Level, draws: Draws) -> Passage:
    fill = Fill(draws)
    who = [fill.value(scenario.entity, str(20 + i)) for i in range(level.facts + 1)]
    values = draws.sample(scenario.values, level.facts + level.past)
    now, before = values[: level.facts], values[level.facts :]
    body = [_say(draws.choice(scenario.facts), who[i], now[i]) for i in range(level.facts)]
    body += [_say(draws.choice(scenario.past), who[i], value) for i, value in enumerate(before)]
    body += [_filler(text, i, fill) for i, text in enumerate(draws.sample(texts("reading")["fillers"], level.fillers))]
    asked = who[0]
    if level.linked:
        asked = who[-1]
        body.append(scenario.same.replace("{f}", asked).replace("{e}", who[0]))
    draws.shuffle(body)
    question = draws.choice(scenario.ask).replace("{e}", asked)
    ending = draws.choice(texts("reading")["endings"]).replace("{what}", scenario.what)
    text = sentences(" ".join([fill(scenario.opening), *body]))
    return Passage(f"{text}\n\n{sentences(question)} {ending}", now[0], [*now[1:], *before])


def _say(frame: str, entity: str, value: str) -> str:
    return articles(frame.replace("{e}", entity).replace("{v}", value))


def _filler(text: str, number: int, fill: Fill) -> str:
    """A filler with slots of its own, so that two of one passage share no word."""
    return fill(text.replace("8}", f"8{number}}}"))
