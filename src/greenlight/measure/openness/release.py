"""What was released, and under which licence? openness.yml, in the form of the Model Openness Tool, read strictly."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from greenlight.errors import ConfigError
from greenlight.measure.openness.framework import Component, framework
from greenlight.measure.strict_yaml import Texts, read_texts

_FILE = ("framework", "release")
_FRAMEWORK = ("name", "version", "date")
_RELEASE = (
    *("name", "version", "date", "type", "architecture", "treatment", "origin", "producer", "contact"),
    *("repository", "huggingface", "license", "components"),
)
_LICENCES = ("distribution", "code", "data", "document")
_LICENCE = ("name", "path")
_COMPONENT = ("name", "description", "component_path", "license", "license_path")


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """One component that is part of the release."""

    component: Component
    """Which."""

    licence: str
    """SPDX identifier or the licence's own name; empty where none was stated."""

    path: str
    """Where it lies; empty where that was not said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A release as its author describes it."""

    name: str
    """Of the model."""

    version: str
    """Of the model; empty where it has none."""

    producer: str
    """Who releases it."""

    released: tuple[Released, ...]
    """What is there, in the order of the framework."""


def read_release(text: str, where: str = "openness.yml") -> Release:
    """A release from its file.

    A component that is listed is released; its licence is its own, or else that of its type, or else that of the whole
    distribution.

    Raises:
        ConfigError: not YAML, an unknown key or component (the nearest one is offered), one that occurs twice.
    """
    try:
        data = read_texts(text)
    except ValueError as error:
        raise ConfigError("this is no file of a release", where=where, found=str(error), do=_DO) from error
    whole = _mapping(data, _FILE, where)
    head = _mapping(whole.get("framework", {}), _FRAMEWORK, f"{where}, framework")
    if head.get("name", framework().name) != framework().name:
        raise ConfigError(
            "the file is about another framework", where=f"{where}, framework.name", found=str(head["name"]), do=_DO
        )
    release = _mapping(whole.get("release"), _RELEASE, f"{where}, release")
    licences = _mapping(release.get("license", {}), _LICENCES, f"{where}, release.license")
    common = {
        name: _text(_mapping(value, _LICENCE, f"{where}, release.license.{name}"), "name", where)
        for name, value in licences.items()
        if value != ""
    }
    name = _text(release, "name", f"{where}, release")
    if not name:
        raise ConfigError("a release needs a name", where=f"{where}, release.name", found="nothing", do="fill it in")
    found = {part.component.name: part for part in _components(release.get("components", []), common, where)}
    return Release(
        name=name,
        version=_text(release, "version", f"{where}, release"),
        producer=_text(release, "producer", f"{where}, release"),
        released=tuple(found[part.name] for part in framework().components if part.name in found),
    )


_DO = "write one anew with `greenlight release --openness-template`, or correct the place"


def _components(value: Texts, common: Mapping[str, str], where: str) -> Iterator[Released]:
    if value == "":
        return
    if not isinstance(value, list):
        raise ConfigError(
            "the components are no list", where=f"{where}, release.components", found=_short(value), do=_DO
        )
    known = {part.name: part for part in framework().components}
    seen: set[str] = set()
    for number, entry in enumerate(value, start=1):
        place = f"{where}, release.components, number {number}"
        table = _mapping(entry, _COMPONENT, place)
        name = _text(table, "name", place)
        if name not in known:
            raise _unknown("component", name, known, place)
        if name in seen:
            raise ConfigError("a component occurs twice", where=place, found=name, do="keep one of the two")
        seen.add(name)
        part = known[name]
        licence = _text(table, "license", place) or common.get(part.type, "") or common.get("distribution", "")
        yield Released(component=part, licence=licence, path=_text(table, "component_path", place))


def _mapping(value: Texts | None, known: Collection[str], where: str) -> Mapping[str, Texts]:
    if not isinstance(value, dict):
        raise ConfigError("names and values are expected here", where=where, found=_short(value), do=_DO)
    for key in value:
        if key not in known:
            raise _unknown("key", key, known, where)
    return value


def _text(table: Mapping[str, Texts], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{key!r} is a text", where=where, found=_short(value), do=_DO)
    return " ".join(value.split())


def _unknown(kind: str, name: str, known: Collection[str], where: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    return ConfigError(
        f"the framework has no {kind} of this name",
        where=where,
        found=f"{_short(name)}; known are {', '.join(known)}",
        do=f"did you mean {near[0]!r}?" if near else "remove it",
    )


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def template(name: str = "") -> str:
    """A file to fill in: every component is there, commented out, so that only what is released has to be opened.

    Args:
        name: of the model, where it is known.
    """
    tables = framework()
    lines = [
        f"# What is released of a model, and under which licence: {tables.name} {tables.version} ({tables.source}).",
        "# Fill in what is known, and take the # from the lines of each component that is released. One without",
        "# a licence of its own has that of its type, or of the distribution; licences go by SPDX identifiers.",
        "framework:",
        f"  name: {tables.name}",
        f"  version: '{tables.version}'",
        f"  date: '{tables.date}'",
        "release:",
        f"  name: {_quoted(name)}",
        *(f"  {key}: ''" for key in ("version", "date", "type", "architecture", "origin", "producer", "contact")),
        "  license:",
        *(f"    {key}:\n      name: ''\n      path: ''" for key in _LICENCES),
        "  components:",
    ]
    for part in tables.components:
        need = f"class {part.cls} needs it" if part.required else f"optional in class {part.cls}"
        lines += [
            f"  # {part.about}: {need}",
            f"  # - name: {part.name}",
            *(f"  #   {key}: ''" for key in ("component_path", "license", "license_path")),
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
