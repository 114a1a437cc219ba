"""Which text obeys a list of checks? Written by rule, so that the grader of `compete.instructions` can test itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from greenlight.measure.graders import JSON

_FILLER = ("soft", "rain", "falls", "on", "old", "roofs", "while", "small", "birds", "rest", "near", "warm", "walls")
_DEFAULT_WORDS = 12
_DEFAULT_PARTS = 1


def obey(checks: Sequence[Mapping[str, JSON]]) -> str:
    """A text that passes all the checks; their kinds may be combined as the templates of the suite do."""
    want: dict[str, Any] = {}
    contained: list[str] = []
    for check in checks:
        if check["check"] == "contains":
            contained.append(check["want"])
        else:
            want[check["check"]] = check["want"]
    if "equals" in want:
        return str(want["equals"])
    if "json_keys" in want:
        return json.dumps({key: " ".join(contained) for key in want["json_keys"]})
    return _dressed(_laid_out(_chosen(want, contained), want), want)


def _chosen(want: Mapping[str, Any], contained: Sequence[str]) -> list[str]:
    """The words of the text, in order."""
    needed = [word for text in contained for word in text.split()]
    for name in ("word_times", "word_at_least"):
        if name in want:
            needed += [want[name]["word"]] * want[name]["times"]
    first, last = want.get("starts_with", "").split(), want.get("ends_with", "").split()
    total = want.get("words") or want.get("words_at_most") or max(_DEFAULT_WORDS, want.get("words_at_least", 0))
    used = {word.casefold() for word in [*needed, *first, *last, *want.get("avoids", "").split()]}
    filler = [word for word in _FILLER if word not in used]
    room = max(0, total - len(first) - len(needed) - len(last))
    return [*first, *needed, *(filler[i % len(filler)] for i in range(room)), *last]


def _laid_out(words: Sequence[str], want: Mapping[str, Any]) -> str:
    """The words parted into sentences, lines or paragraphs, as asked."""
    if "paragraphs" in want and "sentences" in want:
        each = _split(words, want["sentences"])
        return "\n\n".join(
            " ".join(f"{' '.join(part)}." for part in group) for group in _split(each, want["paragraphs"])
        )
    if "sentences" in want:
        return " ".join(f"{' '.join(part)}." for part in _split(words, want["sentences"]))
    if "bullets" in want:
        return "\n".join(f"- {' '.join(part)}" for part in _split(words, want["bullets"]))
    if "numbered" in want:
        return "\n".join(f"{i}. {' '.join(part)}" for i, part in enumerate(_split(words, want["numbered"]), 1))
    if "paragraphs" in want:
        return "\n\n".join(" ".join(part) for part in _split(words, want["paragraphs"]))
    return "\n".join(" ".join(part) for part in _split(words, want.get("lines", _DEFAULT_PARTS)))


def _split(parts: Sequence[Any], n: int) -> list[Sequence[Any]]:
    """Into n runs of nearly the same length, in order."""
    return [parts[len(parts) * i // n : len(parts) * (i + 1) // n] for i in range(n)]


def _dressed(text: str, want: Mapping[str, Any]) -> str:
    """Case, final mark and wrapping."""
    if "lower" in want:
        text = text.lower()
    if "upper" in want:
        text = text.upper()
    if "question" in want:
        text = text.rstrip(".") + "?"
    before, after = want.get("wrapped", ("", ""))
    return f"{before}{text}{after}"
