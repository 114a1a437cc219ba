"""Where do two accounts of the same evidence part? The first place, in words that name the row and the field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical

SHOWN = 80
"""Characters of a value that a message quotes."""


class DifferenceError(EvidenceError):
    """A bundle says something that does not follow from what it holds."""


def same(stored: JSON, recomputed: JSON) -> bool:
    """Whether two values are one value in canonical JSON: 1 is not 1.0 here, nor true."""
    return canonical(stored) == canonical(recomputed)


def first_difference(stored: JSON, recomputed: JSON) -> str | None:
    """The first place where a stored decision differs from the recomputed one; rows before what follows from them."""
    if same(stored, recomputed):
        return None
    if isinstance(stored, Mapping) and isinstance(recomputed, Mapping):
        rows = _rows(stored.get("rows"), recomputed.get("rows"))
        if rows:
            return rows
    path, left, right = _walk(stored, recomputed, "")
    return f"{path or 'the whole'} is {quoted(left)}, recomputed {quoted(right)}"


def quoted(value: JSON) -> str:
    """A value as a message quotes it."""
    text = "missing" if value is _MISSING else json.dumps(value, sort_keys=True)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


_WORDS = frozenset(
    "wording sentence reason change next plain unscored method text kind missed conditions".split()  # noqa: SIM905
)
"""Fields that hold sentences, or are made of them."""


def numbers_only(decision: JSON) -> JSON:
    """A decision without its sentences: what must come out the same in every edition of the wording."""
    if isinstance(decision, Mapping):
        kept = {key: numbers_only(value) for key, value in decision.items() if key not in _WORDS}
        return {**kept, "labels": _counts(decision["labels"])} if isinstance(decision.get("labels"), Mapping) else kept
    return [numbers_only(value) for value in decision] if isinstance(decision, list) else decision


def _counts(labels: Mapping[str, JSON]) -> dict[str, JSON]:
    # Here "next" is not a sentence: it lists the answers to label next.
    return dict(labels)


_MISSING = object()

_FIRST = ("verdict", "row", "status", "value", "lower", "upper", "limit")


def _weight(key: str) -> tuple[int, str]:
    """What a reader asks first comes first; the rest by name."""
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)


def _rows(stored: JSON, recomputed: JSON) -> str | None:
    if not (isinstance(stored, Sequence) and isinstance(recomputed, Sequence)):
        return None
    for left, right in zip(stored, recomputed, strict=False):
        if not same(left, right):
            path, old, new = _walk(left, right, "")
            return f"{right['row']}: {path or 'the row'} is {quoted(old)}, recomputed {quoted(new)}"
    return None


def _walk(stored: JSON, recomputed: JSON, path: str) -> tuple[str, JSON, JSON]:
    """Path of the first difference below two values that differ, and what stands there in each."""
    if isinstance(stored, Mapping) and isinstance(recomputed, Mapping):
        for key in sorted({*stored, *recomputed}, key=_weight):
            left, right = stored.get(key, _MISSING), recomputed.get(key, _MISSING)
            if left is _MISSING or right is _MISSING or not same(left, right):
                return _walk(left, right, f"{path}.{key}" if path else key)
    if isinstance(stored, list) and isinstance(recomputed, list) and len(stored) == len(recomputed):
        for index, (left, right) in enumerate(zip(stored, recomputed, strict=True)):
            if not same(left, right):
                return _walk(left, right, f"{path}[{index}]")
    return path, stored, recomputed
