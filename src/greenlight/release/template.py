"""How does a value get into a page? Escaped, and with nothing hidden in it."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from greenlight.release.text import visible


def environment(part: Callable[[str], str]) -> Environment:
    """For templates that `part` loads by name."""
    return Environment(
        loader=FunctionLoader(part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """Numbers and markup as they are, text with nothing hidden in it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
