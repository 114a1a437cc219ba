"""Which number is the answer? The grader `number`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import fold, visible

_WORDS = tuple(
    re.findall(
        "[a-z]+",
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty",
    )
)
_BY_WORD = {word: Decimal(value) for value, word in enumerate(_WORDS)}

# A number: optional sign, digits with thousands separated by commas or not at all, optional decimals; or a word.
_NUMBER = re.compile(
    r"(?<![\w.])[-\u2212]?\$?(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d{1,30})(?:\.\d{1,30})?(?![\d])"
    rf"|\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b(?!-)"
)
_CUE = re.compile(r"answer\s{0,3}(?:is|=|:|\*\*:?)[:\s*$=]{0,6}")


def parse_number(text: str) -> Decimal | None:
    """The number that an answer gives, or None.

    In this order: the first number after the last "answer is", "answer:" or "answer ="; the number after the last "="
    that has one behind it, on the last line that has "="; the last number. Numbers are digits with thousands commas or
    none, a sign and decimals, or the words zero to twenty; bold marks and currency signs are looked through.
    """
    plain = fold(text)
    cue = _last(_CUE, plain)
    if cue is not None and (found := _NUMBER.search(plain, cue.end(), cue.end() + 80)):
        return _value(found.group())
    tail = plain[plain.rfind("=") + 1 :] if "=" in plain else ""
    if tail and (found := _NUMBER.search(tail)):
        return _value(found.group())
    last = _last(_NUMBER, plain)
    return None if last is None else _value(last.group())


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _value(token: str) -> Decimal | None:
    if token in _BY_WORD:
        return _BY_WORD[token]
    try:
        return Decimal(token.replace(",", "").replace("$", "").replace("\u2212", "-"))
    except InvalidOperation:
        return None


def grade_number(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the number given is the right one, exactly.

    Labels: `right` (score 1), `wrong` (0), `unparsed` (no number; None), `empty` (None). Key: `answer`, a number.
    """
    wanted = need(key, "answer", (int, float), "number")
    if not visible(answer.text):
        return EMPTY
    found = parse_number(answer.text)
    if found is None:
        return Grade("unparsed", None, "")
    right = found == Decimal(str(wanted))
    return Grade("right" if right else "wrong", float(right), format(found, "f"))
