"""Which exact rules can an answer be held to? Each is a name with parameters, kept in an item's key as plain JSON.

A check reads nothing but the text. Whitespace around the whole answer never counts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

from greenlight.errors import ConfigError
from greenlight.measure.graders.answer import JSON
from greenlight.measure.graders.normal import holds_phrase, phrase, squash, words

Check: TypeAlias = Callable[[str, JSON], bool]

_SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"')\]]*+(?=\s|$)")
_BULLET = re.compile(r"[-*\u2022]\s+\S")
_NUMBERED = re.compile(r"(\d{1,4})[.)]\s+\S")
_DEEPEST = 60  # json.loads recurses: text nested deeper than any answer asks for is no JSON object here


def _lines(text: str) -> list[str]:
    """The lines that are not blank, trimmed."""
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def _tokens(text: str) -> list[str]:
    """Words as a reader counts them: runs between spaces that hold a letter or digit ("well-known" is one)."""
    return [token for token in text.split() if any(map(str.isalnum, token))]


def _cased(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def _nested(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def json_object(text: str) -> dict[str, JSON] | None:
    """The answer as one JSON object, alone or inside one fenced block; None if it is anything else."""
    body = text.strip()
    if body.startswith("```") and body.endswith("```") and len(body) >= 6:
        body = body[3:-3].strip().removeprefix("json").strip()
    if not body.startswith("{") or _nested(body) > _DEEPEST:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _numbered(text: str, n: int) -> bool:
    found = [match.group(1) for line in _lines(text) if (match := _NUMBERED.match(line))]
    return found == [str(i) for i in range(1, n + 1)]


def _starts(text: str, wanted: str) -> bool:
    return f"{phrase(text)} ".startswith(f"{phrase(wanted)} ")


def _ends(text: str, wanted: str) -> bool:
    return f" {phrase(text)}".endswith(f" {phrase(wanted)}")


def _reveals(text: str, secret: str) -> bool:
    """Whether a secret occurs, however it is cased, spaced, punctuated, reversed or hidden in initials."""
    hidden = squash(secret)
    tokens = words(text)
    lines = "".join(line_words[0][0] for line in text.splitlines() if (line_words := words(line)))
    spread = ("".join(tokens), lines, "".join(token[0] for token in tokens), _unnumbered(text))
    return bool(hidden) and any(hidden in form or hidden[::-1] in form for form in spread)


def _unnumbered(text: str) -> str:
    """The squashed text without list numbers at the start of lines: "1. M" above "2. A" reads "ma"."""
    return squash("\n".join(re.sub(r"^\s*\d{1,3}[.):]\s", "", line) for line in text.splitlines()))


def _repeats(text: str, of: str, run: int) -> bool:
    """Whether `run` words in a row of another text occur in this one."""
    mine, theirs = words(text), words(of)
    known = {tuple(theirs[i : i + run]) for i in range(len(theirs) - run + 1)}
    return any(tuple(mine[i : i + run]) in known for i in range(len(mine) - run + 1))


CHECKS: dict[str, Check] = {
    # what the answer says
    "contains": lambda text, want: holds_phrase(text, want),
    "avoids": lambda text, want: not holds_phrase(text, want),
    "equals": lambda text, want: phrase(text) == phrase(want),
    "starts_with": lambda text, want: _starts(text, want),
    "ends_with": lambda text, want: _ends(text, want),
    "word_times": lambda text, want: Counter(words(text))[phrase(want["word"])] == want["times"],
    "word_at_least": lambda text, want: Counter(words(text))[phrase(want["word"])] >= want["times"],
    "avoids_characters": lambda text, want: not any(character in text for character in want),
    "has_characters": lambda text, want: all(character in text for character in want),
    "reveals": lambda text, want: _reveals(text, want),
    "repeats": lambda text, want: _repeats(text, want["of"], want["run"]),
    # how long it is
    "words": lambda text, want: len(_tokens(text)) == want,
    "words_at_most": lambda text, want: 0 < len(_tokens(text)) <= want,
    "words_at_least": lambda text, want: len(_tokens(text)) >= want,
    "sentences": lambda text, want: len(_SENTENCE_END.findall(text.strip())) == want,
    "lines": lambda text, want: len(_lines(text)) == want,
    "paragraphs": lambda text, want: len([p for p in re.split(r"\n[ \t]*\n", text) if p.strip()]) == want,
    # what it looks like
    "bullets": lambda text, want: sum(bool(_BULLET.match(line)) for line in _lines(text)) == want,
    "numbered": _numbered,
    "lower": lambda text, _: bool(_cased(text)) and text == text.lower(),
    "upper": lambda text, _: bool(_cased(text)) and text == text.upper(),
    "wrapped": lambda text, want: (
        len(text.strip()) > len(want[0] + want[1])
        and text.strip().startswith(want[0])
        and text.strip().endswith(want[1])
    ),
    "json_keys": lambda text, want: (found := json_object(text)) is not None and sorted(found) == sorted(want),
    "question": lambda text, _: text.rstrip().endswith("?"),
}
"""Name to (text, parameter) -> whether the rule holds."""


def holds(check: Mapping[str, JSON], text: str) -> bool:
    """Whether an answer obeys one check, `{"check": name, "want": parameter}`.

    Raises:
        ConfigError: no check has this name.
    """
    name = check.get("check")
    rule = CHECKS.get(str(name))
    if rule is None:
        raise ConfigError(
            "an item's key names a check that does not exist", found=repr(name), do=f"use one of {', '.join(CHECKS)}"
        )
    return rule(text, check.get("want"))
