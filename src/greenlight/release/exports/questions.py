"""What does the European documentation form ask? Its fields, section by section, from a table in our own words."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One field of the form."""

    key: str
    """Its name in a file of answers."""

    section: str
    """The part of the form that it stands in."""

    title: str
    """What the form calls it."""

    ask: str
    """What it wants to know."""

    readers: str
    """For whom: `AIO` the AI Office on request, `NCA` national authorities on request, `DP` downstream providers."""


@functools.cache
def questions() -> dict[str, Question]:
    """The fields by key, in the form's order."""
    text = files("greenlight.release.exports").joinpath("eu_form.toml").read_text("utf-8")
    found = {}
    for section in tomllib.loads(text)["section"]:
        for entry in section["field"]:
            found[entry["key"]] = Question(section=section["title"], **entry)
    return found
