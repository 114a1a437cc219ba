"""How is a TOML table of a policy read? Strictly: by name and type, unknown keys refused, its place in every error."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection, Iterator, Mapping

from greenlight.errors import PolicyError
from greenlight.evidence import JSON


class Table:
    """One TOML table and where it stands.

    Args:
        values: its keys.
        where: what an error calls it.
        known: keys that it may have; an unknown one is refused at once, with the nearest known one.
    """

    def __init__(self, values: Mapping[str, JSON], where: str, known: Collection[str]) -> None:
        self._values, self.where = values, where
        for key in values:
            if key not in known:
                near = nearest(key, known)
                raise PolicyError(
                    f"a policy has no key {key!r}",
                    where=where,
                    found=f"{key!r}, known are {', '.join(known)}",
                    do=f"did you mean {near!r}?" if near else "remove it",
                )

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> JSON:
        """The value as it stands, or None."""
        return self._values.get(key)

    def text(self, key: str) -> str:
        """Words that must be there, on one line."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            raise PolicyError(
                f"a policy needs {key!r} here, in words", where=self.where, found=repr(value), do=f'add {key} = "..."'
            )
        return re.sub(r"\s+", " ", value.strip())

    def words(self, key: str, default: str = "") -> str:
        """Words that may be missing."""
        return self.text(key) if key in self else default

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of words that must be there."""
        values = self.get(key)
        if not isinstance(values, list) or not values or not all(isinstance(v, str) and v.strip() for v in values):
            raise PolicyError(
                f"a policy needs a list {key!r} here", where=self.where, found=repr(values), do=f'add {key} = ["..."]'
            )
        return tuple(value.strip() for value in values)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise PolicyError(f"{key!r} is true or false", where=self.where, found=repr(value), do=f"change {key}")
        return value

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        """A whole number from low to high; required where there is no default."""
        return int(self._number(key, default, low, high, (int,), "a whole number"))

    def number(self, key: str, default: float | None, low: float, high: float) -> float:
        """A number from low to high; required where there is no default."""
        return self._number(key, default, low, high, (int, float), "a number")

    def _number(
        self,
        key: str,
        default: float | None,
        low: float,
        high: float,
        kinds: tuple[type[int] | type[float], ...],
        what: str,
    ) -> float:
        value: JSON = self._values.get(key, default)
        # A whole number may be longer than any float: it is bounded before it is compared with infinities.
        long = isinstance(value, int) and abs(value) > sys.float_info.max
        if isinstance(value, bool) or not isinstance(value, kinds) or long or not low <= value <= high:
            raise PolicyError(
                f"{key!r} is not a number that it can be",
                where=self.where,
                found=f"{_short(value)}, must be {what} from {low:g} to {high:g}",
                do=f"change {key}",
            )
        return float(value)


def one_table(data: Mapping[str, JSON], name: str, where: str, known: Collection[str]) -> Table:
    """A table `[name]` that must be there."""
    values = data.get(name)
    if not isinstance(values, dict):
        raise PolicyError(f"a policy needs a table [{name}]", where=where, do=f"add [{name}] with a name")
    return Table(values, f"{where}, [{name}]", known)


def rows(data: Mapping[str, JSON], name: str, where: str, known: Collection[str]) -> Iterator[Table]:
    """Each `[[name]]` there is."""
    values = data.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise PolicyError(f"{name} rows are written as [[{name}]]", where=where, do="use double brackets")
    for number, value in enumerate(values, start=1):
        yield Table(value, f"{where}, [[{name}]] number {number}", known)


def named(data: Mapping[str, JSON], kind: str, where: str, known: Collection[str]) -> Iterator[tuple[str, Table]]:
    """Each `[kind.NAME]` there is, with its name."""
    values = data.get(kind, {})
    if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
        raise PolicyError(f"a {kind} is written as [{kind}.NAME]", where=where, do=f"give each {kind} a table")
    for name, value in values.items():
        place = f"{where}, [{kind}.{name}]"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise PolicyError(
                f"a {kind} has a name that it cannot have", where=place, do="use letters, digits, - and _"
            )
        yield name, Table(value, place, known)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that is most like this one."""
    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else None


def _short(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
