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
_CUE = re.compile(r"(?:answer\s{0,3}(?:is|=|:|\*\*:?)|####)[:\s*$=]{0,6}")
_REACH = 80  # characters after these words within which the number stands
_SHORT_LINE = 4  # words of a first line that says nothing but the answer


def parse_number(text: str, *, cut: bool = False) -> Decimal | None:
    """The number that an answer gives, or None.

    In this order: what follows the last "answer is", "answer:", "answer =" or "####" on its line, if a number does; the
    whole text. In either, the first number after the last "=" counts, and without "=" the first number after those
    words or the last number of the text. Of an answer that was cut off, instead of the whole text only the first line
    is read, where it is complete and is an equation or at most four words: what stands last in it is no result.
    Numbers are digits with thousands commas or none, a sign and decimals, or the words zero to twenty; bold marks and
    currency signs are looked through.
    """
    plain = fold(text).strip()
    stated = [found for cue in _CUE.finditer(plain) if (found := _stated(plain[cue.end() : cue.end() + _REACH]))]
    if stated:
        return _value(stated[-1].group())
    if cut:
        plain, newline, _ = plain.partition("\n")
        if not newline or ("=" not in plain and len(plain.split()) > _SHORT_LINE):
            return None
    last = _result(plain) or _last(_NUMBER, plain)
    return None if last is None else _value(last.group())


def _stated(text: str) -> re.Match[str] | None:
    """The number that a line beginning after "answer is" states."""
    line = text.partition("\n")[0]
    return _result(line) or _NUMBER.search(line)


def _result(text: str) -> re.Match[str] | None:
    """The first number after the last "=", if there is one."""
    return _NUMBER.search(text[text.rfind("=") + 1 :]) if "=" in text else None


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

    Labels: `right` (score 1), `wrong` (0), `unfinished` (cut off before it gave a number; 0), `unparsed` (ended without
    a number; None), `empty` (None). Key: `answer`, a number.
    """
    wanted = need(key, "answer", (int, float), "number")
    if not visible(answer.text):
        return EMPTY
    cut = answer.finish == "length"
    found = parse_number(answer.text, cut=cut)
    if found is None:
        return Grade("unfinished", 0.0, "") if cut else Grade("unparsed", None, "")
    right = found == Decimal(str(wanted))
    return Grade("right" if right else "wrong", float(right), format(found, "f"))
