"""What may an entry of a ledger say? Its kinds, each with its fields and what each field may hold."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, get_args

from greenlight.evidence import JSON, is_date
from greenlight.gate.lock import KINDS

EntryKind: TypeAlias = Literal["lock", "decision", "delay", "reopening", "waiver", "note"]

ENTRY_KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)

CATEGORIES: Final = ("safety & alignment", "competitive", "technical", "outside the policy")
"""What a delay can be for. `outside the policy` says that no row of the policy holds the release."""

EVENTS: Final = ("planned", "slipped", "released")
"""What can be said of a release's date: that there is one, that it is another, that it is kept."""

VERDICTS: Final = ("go", "go_with_conditions", "hold", "no_go")

MAX_TEXT: Final = 2000

Check: TypeAlias = Callable[[JSON], str]
"""A value to what it should have been; empty where it is that."""


def _text(value: JSON) -> str:
    wanted = f"words, {MAX_TEXT:,} characters at most"
    return "" if isinstance(value, str) and value.strip() and len(value) <= MAX_TEXT else wanted


def _words(value: JSON) -> str:
    return "" if value == "" else _text(value)


def _name(value: JSON) -> str:
    """A file beside the ledger, by its name alone: nobody's ledger may make its reader open files elsewhere."""
    bare = isinstance(value, str) and len(value) <= 255 and "/" not in value and value not in (".", "..")
    return "" if bare and value.isprintable() else "the name of a file beside the ledger, or nothing"


def _digest(value: JSON) -> str:
    return "" if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) else "a SHA-256 in lower-case hex"


def is_month(value: JSON) -> bool:
    """Whether a value is a day or a month, YYYY-MM."""
    return is_date(value) or (isinstance(value, str) and is_date(f"{value}-01"))


def last_day(date: str) -> str:
    """The last day of a date that is a day or a month."""
    if is_date(date):
        return date
    year, month = int(date[:4]), int(date[5:7])
    return f"{date}-{calendar.monthrange(year, month)[1]:02d}"


def first_day(date: str) -> str:
    """The first day of a date that is a day or a month."""
    return date if is_date(date) else f"{date}-01"


def is_time(value: JSON) -> bool:
    """Whether a value is a UTC time to the second, as this package writes it."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9T:-]{19}Z", value):
        return False
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").year > 0
    except ValueError:
        return False


def _date(value: JSON) -> str:
    return "" if is_date(value) else "a date, YYYY-MM-DD"


def _month(value: JSON) -> str:
    return "" if is_month(value) else "a date, YYYY-MM-DD or YYYY-MM"


def _time(value: JSON) -> str:
    return "" if is_time(value) else "a UTC time, YYYY-MM-DDTHH:MM:SSZ"


def _count(value: JSON) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000
    return "" if whole else "a whole number from 1"


def _maybe(check: Check) -> Check:
    return lambda value: "" if value is None else f"null or {found}" if (found := check(value)) else ""


def _one_of(allowed: tuple[str, ...]) -> Check:
    return lambda value: "" if value in allowed else f"one of {', '.join(allowed)}"


def _object(fields: Mapping[str, Check]) -> Check:
    def check(value: JSON) -> str:
        if not isinstance(value, dict) or set(value) != set(fields):
            return f"an object of {', '.join(sorted(fields))}"
        wrong = {name: found for name in fields if (found := fields[name](value[name]))}
        return next((f"{name}: {found}" for name, found in wrong.items()), "")

    return check


def _list_of(check: Check) -> Check:
    def check_list(value: JSON) -> str:
        if not isinstance(value, list) or len(value) > 1000:
            return "a list of 1,000 at most"
        return next((found for part in value if (found := check(part))), "")

    return check_list


_POLICY = _object({"name": _text, "sha256": _digest})

OUTSIDE: Final = _object({"what": _text, "id": _words, "path": _name, "sha256": _maybe(_digest)})
"""A word from outside about the entries before this one: a signed timestamp by path and digest, or a commit by its id.
It is kept as given; nothing here can tell whether it is true."""

_BODIES: Final[Mapping[EntryKind, Mapping[str, Check]]] = {
    "lock": {
        "lock": _digest,
        "created": _time,
        "run": _one_of(KINDS),
        "policy": _POLICY,
        "model": _object({"name": _text, "digest": _text}),
        "attempt": _maybe(_count),
        "attempts": _count,
    },
    "decision": {
        "lock": _digest,
        "decided": _time,
        "verdict": _one_of(VERDICTS),
        "policy": _POLICY,
        "attempt": _maybe(_count),
        "attempts": _count,
        "decision_sha256": _digest,
        "waived": _list_of(_text),
        "other": _maybe(_object({"name": _text, "sha256": _digest, "verdict": _one_of(VERDICTS)})),
        "next_review": _maybe(_date),
    },
    "delay": {
        "event": _one_of(EVENTS),
        "on": _month,
        "date": _maybe(_month),
        "words": _words,
        "category": _maybe(_one_of(CATEGORIES)),
        "reason": _words,
        "source": _words,
    },
    "reopening": {"lock": _digest, "because": _text},
    "waiver": {"lock": _digest, "row": _text, "who": _text, "why": _text, "until": _date},
    "note": {"text": _text, "outside": _maybe(OUTSIDE)},
}


OPTIONS: Final[Mapping[str, str]] = {"text": "--note", "outside": "--timestamp or --commit"}
"""What the command line calls a field, where that is not its own name after two dashes."""


def option(field: str) -> str:
    """A field of a body as the command line calls it."""
    return OPTIONS.get(field, f"--{field}")


def _in_body(field: str) -> str:
    return f"body.{field}"


def fault(kind: JSON, body: JSON, called: Callable[[str], str] = _in_body) -> str:
    """What is wrong with an entry's kind or body, in words; empty where nothing is.

    Args:
        kind: what it should be one of.
        body: what it says.
        called: from a field of the body to what its reader calls it.
    """
    if kind not in ENTRY_KINDS:
        return f"kind is {str(kind)[:40]!r}, must be one of {', '.join(ENTRY_KINDS)}"
    fields = _BODIES[kind]
    if not isinstance(body, dict):
        return "body is not an object"
    if wrong := sorted(set(fields) ^ set(body)):
        return f"{called(wrong[0][:40])} is {'missing' if wrong[0] in fields else 'unknown'}"
    for name, check in fields.items():
        if wanted := check(body[name]):
            return f"{called(name)} is {str(body[name])[:60]!r}, must be {wanted}"
    return _delay_fault(body, called) if kind == "delay" else ""


def _delay_fault(body: Mapping[str, JSON], called: Callable[[str], str]) -> str:
    """A date that slips is for something; one that is planned or kept is for nothing and has a date or words."""
    if body["event"] == "slipped" and body["category"] is None:
        return f"{called('category')} is missing: a date slips for something, one of {', '.join(CATEGORIES)}"
    if body["event"] != "slipped" and body["category"] is not None:
        return f"{called('category')}: a date that is {body['event']} is no delay"
    if body["event"] == "released" and not is_date(body["date"]):
        return f"{called('date')}: a release has a day, YYYY-MM-DD"
    if body["event"] == "planned" and body["date"] is None and not body["words"]:
        return f"{called('date')}: a plan has a date, or words for one"
    return ""
