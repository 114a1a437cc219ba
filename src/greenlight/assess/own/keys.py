"""What does each grader need from a row? The key of an item, made from the row's fields and the grader's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenlight.assess.own.strict import Fields
from greenlight.errors import TaskError
from greenlight.evidence import JSON
from greenlight.measure.graders.wanted import MAX_PATTERN

Key = dict[str, JSON]
MAX_CHOICES = 26
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A grader as a task may name it."""

    grader: str
    """Its name in `greenlight.measure.graders`."""

    key: Callable[[Fields, Mapping[str, JSON]], Key]
    """(row, settings) to the item's key."""

    metrics: tuple[str, ...] = ("score", "missed")
    """What a policy may ask of the task, the usual one first."""

    settings: tuple[str, ...] = ()
    """Settings that it takes in `[grader]`, each true or false but `form`."""

    fields: tuple[str, ...] = ()
    """Fields of a row that it reads besides `answer`."""

    generates: bool = True
    """Whether the model answers in text; otherwise choices are weighed."""


def _one(row: Fields, settings: Mapping[str, JSON]) -> Key:
    return {"wanted": [row.text("answer")], "strict": bool(settings.get("strict", False))}


def _several(row: Fields, settings: Mapping[str, JSON]) -> Key:
    return {"wanted": row.texts("answer", least=1), "strict": bool(settings.get("strict", False))}


def _number(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    return {"answer": row.number("answer")}


def _choice(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    choices, right = row.texts("choices", least=2), row.text("answer")
    if len(choices) > MAX_CHOICES or len(set(choices)) < len(choices):
        raise row.wrong("choices", f"2 to {MAX_CHOICES} different texts", "change choices")
    if right not in choices:
        raise row.wrong("answer", "one of the choices, letter by letter", "copy the right choice into answer")
    return {"answer": choices.index(right), "n": len(choices)}


def _contains(row: Fields, settings: Mapping[str, JSON]) -> Key:
    strict, every = bool(settings.get("strict", False)), bool(settings.get("every", True))
    return {"holds": row.texts("answer", least=1), "avoids": row.texts("avoid"), "every": every, "strict": strict}


def _pattern(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    pattern = row.text("answer")
    if len(pattern) > MAX_PATTERN or not pattern.strip("*? "):
        raise row.wrong("answer", f"a pattern of at most {MAX_PATTERN} characters, not of * and ? alone", "change it")
    return {"pattern": pattern}


def _checks(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    checks = row.raw("answer")
    if not isinstance(checks, list) or not 1 <= len(checks) <= 20:
        raise row.wrong(
            "answer", 'a list of 1 to 20 checks such as {"check": "words_at_most", "want": 50}', "write them"
        )
    for check in checks:
        _must_work(row, check)
    return {"checks": checks}


def _must_work(row: Fields, check: JSON) -> None:
    """Refuse a check that does not exist, or whose parameter it cannot read."""
    known = ", ".join(_WANTS)
    if not isinstance(check, dict) or not set(check) <= {"check", "want"} or str(check.get("check")) not in _WANTS:
        raise row.wrong("answer", f'checks {{"check": NAME, "want": ...}}, NAME one of {known}', "change the check")
    expected = _WANTS[check["check"]]
    if not _SHAPES[expected](check.get("want")):
        raise TaskError(
            "a check cannot read what it is given",
            where=f"{row.where}, answer",
            found=f"{check['check']} with {repr(check.get('want'))[:60]}, expected {expected}",
            do="change want",
        )


def _is_text(value: JSON) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= _LONGEST


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST


def _is_texts(value: JSON) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _MOST and all(map(_is_text, value))


_LONGEST, _MOST = 10_000, 2_000

_SHAPES: dict[str, Callable[[JSON], bool]] = {
    "a text": _is_text,
    f"a whole number from 1 to {_MOST:,}": _is_count,
    "a list of texts": _is_texts,
    "a text of characters": _is_text,
    "two texts": lambda value: _is_texts(value) and len(value) == 2,
    "true": lambda value: value is True or value is None,
    '{"word": text, "times": number}': lambda value: (
        isinstance(value, dict)
        and set(value) == {"word", "times"}
        and _is_text(value["word"])
        and _is_count(value["times"])
    ),
    '{"of": text, "run": number}': lambda value: (
        isinstance(value, dict) and set(value) == {"of", "run"} and _is_text(value["of"]) and _is_count(value["run"])
    ),
}

_TEXT, _COUNT, _TEXTS, _CHARACTERS, _PAIR, _TRUE, _WORD, _RUN = _SHAPES

_WANTS: dict[str, str] = {
    **dict.fromkeys(("contains", "avoids", "equals", "starts_with", "ends_with", "reveals"), _TEXT),
    **dict.fromkeys(("words", "words_at_most", "words_at_least", "sentences", "lines", "paragraphs"), _COUNT),
    **dict.fromkeys(("bullets", "numbered"), _COUNT),
    **dict.fromkeys(("avoids_characters", "has_characters"), _CHARACTERS),
    **dict.fromkeys(("lower", "upper", "question"), _TRUE),
    **dict.fromkeys(("word_times", "word_at_least"), _WORD),
    "repeats": _RUN,
    "wrapped": _PAIR,
    "json_keys": _TEXTS,
}
"""What each check takes as its parameter."""


def _refusal(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    expected = row.text("answer")
    if expected not in ("refusal", "compliance"):
        raise row.wrong("answer", "refusal or compliance", "say what is wanted")
    return {"expect": expected}


def _short(row: Fields, _settings: Mapping[str, JSON]) -> Key:
    if "answer" not in row:
        raise row.wrong("answer", "a list of right answers, empty where nobody can know", 'write "answer": []')
    return {"answers": row.texts("answer"), "distractors": row.texts("distractors")}


RULES: dict[str, Rule] = {
    "exact": Rule(grader="exact", key=_one, settings=("strict",)),
    "one_of": Rule(grader="exact", key=_several, settings=("strict",)),
    "number": Rule(grader="number", key=_number),
    "choice": Rule(grader="choice", key=_choice, settings=("form",), fields=("choices",), generates=False),
    "contains": Rule(grader="contains", key=_contains, settings=("strict", "every"), fields=("avoid",)),
    "pattern": Rule(grader="pattern", key=_pattern),
    "checks": Rule(grader="instructions", key=_checks),
    "refusal": Rule(grader="refusal", key=_refusal, metrics=("non_refusal", "full_refusal")),
    "short_answer": Rule(grader="short_answer", key=_short, fields=("distractors",)),
}
"""Name to rule."""
