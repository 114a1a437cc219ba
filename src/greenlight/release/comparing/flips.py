"""Which items did two runs answer otherwise? Both answers side by side; harmful ones by id and digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from greenlight.evidence import JSON, sha256
from greenlight.gate.criterion import OWN
from greenlight.release.comparing.sides import Side


class Said(NamedTuple):
    """What one run answered."""

    label: str
    """How it was graded."""

    score: float | None
    """The grade as a number."""

    text: str | None
    """The answer; None where it is withheld. Of choices, what was picked."""

    sha256: str
    """Digest of the answer."""


class Flip(NamedTuple):
    """One item whose two answers were graded otherwise."""

    suite: str
    item: str
    topic: str
    prompt: str | None
    """What was asked; None where it is withheld."""

    prompt_sha256: str
    first: Said
    second: Said

    def to_json(self) -> dict[str, JSON]:
        """For programs."""
        return {**self._asdict(), "first": self.first._asdict(), "second": self.second._asdict()}


class SuiteFlips(NamedTuple):
    """One suite of two runs, answer by answer."""

    suite: str
    second: str
    n: int
    """Items that both answered."""

    reworded: int
    """Answers that differ in their words alone: both are graded alike."""

    flips: tuple[Flip, ...]
    """In the exam's order of the first run."""


def flips_of(first: Side, second: Side, suite: str, *, include_harmful: bool) -> SuiteFlips:
    """Compare two runs' answers to one suite."""
    ours, theirs = (side.evidence.suite(suite, OWN).samples.values() for side in (first, second))
    other = {sample["item"]: sample for sample in theirs}
    both = [(sample, other[sample["item"]]) for sample in sorted(ours, key=_place) if sample["item"] in other]
    flips, reworded = [], 0
    for one, two in both:
        if one["grade"]["label"] == two["grade"]["label"]:
            reworded += one["output"] != two["output"]
            continue
        item = first.items[suite][one["item"]]
        hidden = bool(item["harmful"]) and not include_harmful
        flips.append(_flip(suite, item, one, two, hidden=hidden))
    return SuiteFlips(suite, second.name, len(both), reworded, tuple(flips))


def _place(sample: Mapping[str, JSON]) -> int:
    return int(sample["index"])


def _flip(
    suite: str, item: Mapping[str, JSON], one: Mapping[str, JSON], two: Mapping[str, JSON], *, hidden: bool
) -> Flip:
    turns = item["messages"]
    prompt = None if hidden or turns is None else "\n".join(turn["content"] for turn in turns)
    first, second = (_said(sample, hidden=hidden) for sample in (one, two))
    return Flip(suite, item["id"], item["topic"], prompt, item["prompt_sha256"], first, second)


def _said(sample: Mapping[str, JSON], *, hidden: bool) -> Said:
    grade = sample["grade"]
    text = sample["output"] if not sample["choice_logprobs"] else f"picks {grade['parsed']}"
    score = None if grade["score"] is None else float(grade["score"])
    return Said(str(grade["label"]), score, None if hidden else text, sha256(str(sample["output"]).encode()))
