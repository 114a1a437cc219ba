"""What does the Model Openness Framework ask for? Its tables, read once from framework.toml."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Type = Literal["code", "data", "document"]

CLASSES = ("III", "II", "I")
"""From the least to the most open; each asks for all that those before it ask for."""

LABELS = {"III": "Open Model", "II": "Open Tooling Model", "I": "Open Science Model"}
"""What the framework calls a model of each class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One part of a model's development that can be released."""

    name: str
    """As the framework's tool spells it."""

    about: str
    """What it is, in a few words."""

    type: Type
    """Decides which licences fit."""

    cls: str
    """The class that asks for it: I, II or III."""

    required: bool = True
    """Whether its class needs it."""

    any_licence: bool = False
    """Whether it counts under whatever terms it is released."""

    instead: str = ""
    """A component that may stand in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """One line of the checklist of the Open Source AI Definition."""

    requirement: str
    """What is asked for."""

    all_of: tuple[str, ...] = ()
    """Components of which each must be open."""

    any_of: tuple[str, ...] = ()
    """Components of which one must be open."""

    note: str = ""
    """What a table cannot tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """The tables."""

    name: str
    """Of the framework."""

    version: str
    """Edition of it."""

    date: str
    """When that edition appeared, ISO 8601."""

    source: str
    """Where it is defined."""

    components: tuple[Component, ...]
    """All of them, in the order of the tables."""

    osaid: tuple[Requirement, ...]
    """The Open Source AI Definition's checklist."""

    licences: dict[str, frozenset[str]]
    """Open licences by group, lower case: `osi`, `free`, `content`, `every`."""

    spelling: dict[str, str]
    """The same licences, lower case to the SPDX list's own spelling."""

    def is_open(self, licence: str) -> bool:
        """Whether a licence, by its SPDX identifier, is open at all."""
        return any(licence.lower() in group for group in self.licences.values())

    def fits(self, licence: str, kind: Type) -> bool:
        """Whether it is one for this type of component: a software licence for code, another for data and documents."""
        groups = ("osi", "free", "every") if kind == "code" else ("content", "every")
        return any(licence.lower() in self.licences[group] for group in groups)


@functools.cache
def framework() -> Framework:
    """The tables that ship with the package."""
    data = tomllib.loads(files("greenlight.measure.openness").joinpath("framework.toml").read_text("utf-8"))
    return Framework(
        **data["framework"],
        components=tuple(
            Component(**{("cls" if key == "class" else key): value for key, value in entry.items()})
            for entry in data["component"]
        ),
        osaid=tuple(
            Requirement(
                requirement=entry["requirement"],
                all_of=tuple(entry.get("all_of", ())),
                any_of=tuple(entry.get("any_of", ())),
                note=entry.get("note", ""),
            )
            for entry in data["osaid"]
        ),
        licences={name: frozenset(map(str.lower, ids)) for name, ids in data["licences"].items()},
        spelling={name.lower(): name for ids in data["licences"].values() for name in ids},
    )
