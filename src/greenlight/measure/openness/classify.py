"""Which class does a release come to? Completeness and licences counted, class by class, and the OSAID's checklist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from greenlight.measure.openness.framework import CLASSES, LABELS, Component, Requirement, framework
from greenlight.measure.openness.release import Release, Released

JSON: TypeAlias = Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One component of the framework in this release."""

    name: str
    """Which."""

    type: str
    """code, data or document."""

    cls: str
    """The class that asks for it."""

    required: bool
    """Whether its class needs it."""

    released: bool
    """Whether it is part of the release."""

    licence: str
    """As stated; empty where there is none."""

    open: bool
    """Whether that licence is open."""

    fits: bool
    """Whether it is one for this type; an open licence that does not fit still counts."""

    counts: bool
    """Whether the component counts towards a class."""

    path: str
    """Where it lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Class:
    """How far a release is from one class."""

    cls: str
    """I, II or III."""

    met: int
    """Needed components that count, those of the lower classes included."""

    needed: int
    """How many there are."""

    missing: tuple[str, ...]
    """Needed and not released."""

    closed: tuple[str, ...]
    """Released, under terms that are not open."""

    @property
    def share(self) -> float:
        """Part of the needed components that is met, 0 to 1."""
        return self.met / self.needed


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One requirement of the Open Source AI Definition."""

    requirement: str
    """What is asked for."""

    met: bool
    """Whether the components for it are there under open terms."""

    by: tuple[str, ...]
    """The components that meet it, or that are missing."""

    note: str
    """What this table cannot tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Openness:
    """What a release comes to."""

    release: Release
    """What was looked at."""

    cls: str | None
    """I (the most open), II, III; None where not even III is reached."""

    parts: tuple[Part, ...]
    """Every component of the framework."""

    classes: tuple[Class, ...]
    """III, II, I."""

    osaid: tuple[Check, ...]
    """The checklist of the Open Source AI Definition."""

    @property
    def label(self) -> str:
        """The class as people say it."""
        return f"Class {self.cls}, {LABELS[self.cls]}" if self.cls else "no class of the framework"

    def to_json(self) -> dict[str, JSON]:
        """What openness.json holds."""
        tables = framework()
        return {
            "format": "greenlight.openness/1",
            "framework": {"name": tables.name, "version": tables.version, "source": tables.source},
            "release": {name: getattr(self.release, name) for name in ("name", "version", "producer")},
            "class": self.cls,
            "label": self.label,
            "classes": [_plain({**asdict(found), "share": found.share}) for found in self.classes],
            "components": [_plain(asdict(part)) for part in self.parts],
            "osaid": {
                "met": all(check.met for check in self.osaid),
                "requirements": [_plain(asdict(check)) for check in self.osaid],
            },
        }


def classify(release: Release) -> Openness:
    """Class, progress and checklist of a release (White et al. 2024, arXiv:2403.13784).

    A needed component counts where it is released under an open licence, whether or not the licence is of the kind made
    for its type; data sets count under whatever terms. A class is reached where all that it and the lower classes need
    counts.
    """
    given = {found.component.name: found for found in release.released}
    parts = tuple(_part(component, given.get(component.name)) for component in framework().components)
    by_name = {part.name: part for part in parts}
    classes = tuple(_class(cls, by_name) for cls in CLASSES)
    reached = [found.cls for found in classes if found.met == found.needed]
    osaid = tuple(_check(requirement, by_name) for requirement in framework().osaid)
    return Openness(release=release, cls=reached[-1] if reached else None, parts=parts, classes=classes, osaid=osaid)


def _part(component: Component, found: Released | None) -> Part:
    licence = found.licence if found else ""
    is_open = framework().is_open(licence)
    return Part(
        name=component.name,
        type=component.type,
        cls=component.cls,
        required=component.required,
        released=found is not None,
        licence=licence,
        open=is_open,
        fits=framework().fits(licence, component.type),
        counts=found is not None and (is_open or component.any_licence),
        path=found.path if found else "",
    )


def _class(cls: str, parts: Mapping[str, Part]) -> Class:
    asked = CLASSES[: CLASSES.index(cls) + 1]
    needed = _needed(parts, asked)
    return Class(
        cls=cls,
        met=sum(part.counts for part in needed),
        needed=len(needed),
        missing=tuple(part.name for part in needed if not part.released),
        closed=tuple(part.name for part in needed if part.released and not part.counts),
    )


def _needed(parts: Mapping[str, Part], asked: tuple[str, ...]) -> list[Part]:
    """What the classes need; a stand-in takes a missing component's place, and is then needed once."""
    needed: dict[str, Part] = {}
    for component in framework().components:
        if component.required and component.cls in asked:
            part, other = parts[component.name], parts.get(component.instead)
            chosen = other if other is not None and other.counts and not part.counts else part
            needed[chosen.name] = chosen
    return list(needed.values())


def _check(requirement: Requirement, parts: Mapping[str, Part]) -> Check:
    names = requirement.all_of or requirement.any_of
    there = tuple(name for name in names if parts[name].released and parts[name].open)
    met = len(there) == len(names) if requirement.all_of else bool(there)
    return Check(requirement=requirement.requirement, met=met, by=there if met else names, note=requirement.note)


def _plain(value: Mapping[str, JSON]) -> dict[str, JSON]:
    """Tuples as lists, and `cls` by the name it has for readers."""
    return {
        ("class" if key == "cls" else key): list(part) if isinstance(part, tuple) else part
        for key, part in value.items()
    }
