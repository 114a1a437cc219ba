"""Which assessment does a name mean? The package's own suites, public sets, or a test of the user's."""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.assess.public import PUBLIC, RUNS_CODE
from greenlight.assess.suites import SUITES, Suite
from greenlight.errors import UnsupportedError, UsageError

UNMEASURED = ("resources", "open", "contaminate")
"""Assessments that put no items of their own to the model."""


def find_suite(name: str, tasks: Mapping[str, Suite] | None = None, where: str | None = None) -> Suite:
    """The suite of this name.

    Args:
        name: such as `refuse`, `compete.arc_easy` or `task.support`.
        tasks: the user's own, by that name.
        where: what asks for it, for the error.

    Raises:
        UsageError: there is none; the nearest are named.
        UnsupportedError: grading it would run code that a model wrote.
    """
    if name in RUNS_CODE:
        raise UnsupportedError(
            f"{name} is NOT SUPPORTED: its grading runs programs that a model wrote",
            where=where,
            do="run it with a tool that has a sandbox, and bring the results: greenlight import",
        )
    own = tasks or {}
    if (found := own.get(name) or SUITES.get(name) or PUBLIC.get(name)) is not None:
        return found
    family = name.partition(".")[0]
    near = [known for known in suite_names(own) if known.partition(".")[0] == family]
    raise UsageError(
        f"this version has no assessment called {name}",
        where=where,
        found=f"of {family} there are {', '.join(near)}" if near else "no name like it",
        do=f"choose from {', '.join(near or (*SUITES, *UNMEASURED))}",
    )


def suite_names(tasks: Mapping[str, Suite] | None = None) -> list[str]:
    """Names of all suites, the package's own first."""
    return [*SUITES, *PUBLIC, *(tasks or {})]
