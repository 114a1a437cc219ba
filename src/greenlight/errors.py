"""What can go wrong, in one tree: every error says what is wrong, where, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class GreenlightError(Exception):
    """A problem that its reader can act on; the command line prints it without a traceback.

    Args:
        what: what is wrong, in one line without a full stop.
        where: the file, field, tensor or row it concerns.
        found: what was there, and what was expected instead.
        do: the next thing to try.
    """

    def __init__(self, what: str, *, where: str | None = None, found: str | None = None, do: str | None = None) -> None:
        super().__init__(what)
        self.what, self.where, self.found, self.do = what, where, found, do

    def __str__(self) -> str:
        parts = (("where", self.where), ("found", self.found), ("do", self.do))
        return "\n".join([self.what, *(f"  {label:<6} {text}" for label, text in parts if text)])

    def to_json(self) -> dict[str, str | None]:
        """The same facts for programs."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "found": self.found,
            "do": self.do,
        }


class UsageError(GreenlightError):
    """The command or call itself makes no sense (exit status 2)."""


class HubError(GreenlightError):
    """A reference that names nothing, a download that failed, a digest that differs."""


class FormatError(GreenlightError):
    """A file that is not what it says it is, or that was damaged."""


class UnsupportedError(GreenlightError):
    """Something well-formed that this version cannot do exactly, so does not do at all."""


class TextError(GreenlightError):
    """A tokenizer or chat template that cannot be read or run."""


class EngineError(GreenlightError):
    """A request that the engine cannot honour: too long, out of pages, impossible settings."""


class ConfigError(GreenlightError):
    """A setting with an impossible value."""


class TaskError(GreenlightError):
    """A test of the user's own that cannot count: not readable, not consistent, or failing its self-test."""


class PolicyError(GreenlightError):
    """A policy that cannot be read, is inconsistent, or asks for what can never be shown."""


class LockError(GreenlightError):
    """A lock that does not belong to this model, policy or data."""


class EvidenceError(GreenlightError):
    """A run folder or bundle that is incomplete, damaged or of another run."""


@contextmanager
def placed(where: str, *kinds: type[GreenlightError], do: str, part: str = "") -> Iterator[None]:
    """Complete errors of these kinds whose raiser knew a part of a file alone.

    Args:
        where: the file or folder, put before the part that an error names.
        kinds: errors that are completed; others pass as they are.
        do: the next thing to try, where an error does not say.
        part: the part of the file, where an error does not say.
    """
    try:
        yield
    except kinds as error:
        if where not in (error.where or ""):
            error.where = ", ".join(filter(None, (where, error.where or part)))
        error.do = error.do or do
        raise
