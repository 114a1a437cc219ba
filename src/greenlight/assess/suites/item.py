"""What is one question of an exam, and what is a suite that draws them?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from greenlight.errors import ConfigError
from greenlight.measure.graders import JSON

Kind = Literal["generate", "choice"]

_FIELDS = ("id", "topic", "cluster", "messages", "key", "choices", "note", "source", "harmful", "level")


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question, with what its grader needs and where it comes from."""

    id: str
    """Unique within a draw and the same for the same seed and index, such as `hierarchy.password-017`."""

    topic: str
    """Category, task or level group: what a breakdown of the row is by."""

    cluster: str
    """Items of one cluster are not independent: the template of a generated item, the scenario of a written one."""

    messages: tuple[Message, ...]
    """What the model is given, in order; the last turn is the user's. A lone turn of the role `text` is no
    conversation: it is continued as it stands, without a chat template."""

    key: Mapping[str, JSON]
    """What the grader needs besides the answer: plain JSON."""

    note: str
    """How this item was made, in a sentence."""

    choices: tuple[str, ...] = ()
    """Continuations whose log-probability is scored; empty where an answer is generated."""

    source: str = ""
    """Where the answer key can be looked up; empty where the item itself fixes it."""

    harmful: bool = False
    """Reports show a harmful item by id and hash unless asked for its text."""

    level: str = ""
    """Difficulty, `1` the easiest; empty where a suite has no levels."""

    @property
    def prompt_sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON of messages and choices: what the model saw, whatever the key says."""
        shown = {"choices": list(self.choices), "messages": [list(message) for message in self.messages]}
        return hashlib.sha256(_canonical(shown)).hexdigest()

    @property
    def text(self) -> str:
        """Everything the model is given as one text, for the similarity rule and for showing."""
        return "\n".join(message.content for message in self.messages)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON with every field; `from_json` gives an equal item back."""
        return {
            "id": self.id,
            "topic": self.topic,
            "cluster": self.cluster,
            "messages": [{"role": role, "content": content} for role, content in self.messages],
            "key": dict(self.key),
            "choices": list(self.choices),
            "note": self.note,
            "source": self.source,
            "harmful": self.harmful,
            "level": self.level,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Item:
        """The item that `to_json` wrote.

        Raises:
            ConfigError: a field is missing or unknown.
        """
        if set(data) != set(_FIELDS):
            raise ConfigError(
                "an item has other fields than an item has",
                where=str(data.get("id", "an item without id")),
                found=f"{sorted(data)}, expected {sorted(_FIELDS)}",
                do="take items as `Item.to_json` writes them",
            )
        fields = dict(data)
        fields["messages"] = tuple(Message(turn["role"], turn["content"]) for turn in data["messages"])
        fields["choices"] = tuple(data["choices"])
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """An exam that can be drawn again from its seed."""

    name: str
    """What the assessment is called in policies, rows and reports."""

    version: int
    """Raised whenever the same seed would draw other items or the grader would read them otherwise."""

    kind: Kind
    """`generate`: the model answers in text; `choice`: the log-probabilities of given choices are compared."""

    grader: str
    """The name of its grader in `greenlight.measure.graders.GRADERS`."""

    answer_tokens: int
    """The prefix of an answer, in tokens, that the grader reads by design; 0 for choices."""

    chance: float
    """What gold answers score when each is given to the next item of the exam, at most and on average."""

    description: str
    """What the suite asks and how a pass is told, in a sentence or two."""

    draw: Callable[[int, int | None], tuple[Item, ...]]
    """(seed, n) to items in the exam's random order: pure, the same on every machine; n None is the default size."""

    stop: tuple[str, ...] = ()
    """Texts that end an answer, where the model is not expected to end it itself."""

    confidence: bool = False
    """Whether a sample holds how sure the model was of its words, where that can be told."""

    licence: str = "Apache-2.0"
    """SPDX name of the questions' licence."""

    files: Callable[[], Mapping[str, str]] = dict
    """SHA-256 of each file of data that the items are made of, by name; none where they ship inside the package."""

    few: int = 0
    """Solved examples that stand before each question."""


def _canonical(value: JSON) -> bytes:
    """JSON with sorted keys, no spaces and no escapes beyond JSON's own, as UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sizes(n: int | None, default: int, groups: int) -> list[int]:
    """How many items each of the groups gets when n are drawn: even, the remainder to the first.

    Raises:
        ConfigError: n is below 1.
    """
    total = default if n is None else n
    if total < 1:
        raise ConfigError("an exam needs at least one item", found=f"n = {total}", do="ask for 1 item or more")
    return [total // groups + (group < total % groups) for group in range(groups)]
