"""Is the short span that was asked for the one that was given? The grader `span`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import fold, visible

_ARTICLES = frozenset(("a", "an", "the"))
_TOKEN = re.compile(r"\d+|[^\W\d_]+")


def normal_span(text: str, drop: Collection[str] = ()) -> str:
    """Words without articles, case and punctuation (as in SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250).

    Digits and letters are parted, so that "3D" and "3 d" agree; words in `drop` are left out, too.
    """
    tokens = _TOKEN.findall(fold(text).replace("'", ""))
    return " ".join(token for token in tokens if token not in _ARTICLES and token not in drop)


def _names(given: str, candidate: str) -> bool:
    return f" {candidate} " in f" {given} "


def grade_span(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the answer is the span, or a sentence that names it and none of its rivals.

    Labels: `right` (the answer names the span and no other candidate of the passage; score 1), `hedged` (names the span
    and a rival; 0), `wrong` (0), `empty` (None). Key: `answer`, a text; `rivals`, the other candidates of the passage;
    `drop`, words of a candidate that may be left out. `parsed` is what it names.
    """
    wanted, rivals, drop = need(key, "answer", str, "span"), need(key, "rivals", list, "span"), key.get("drop", ())
    if not visible(answer.text):
        return EMPTY
    given = normal_span(answer.text, drop)
    named = [rival for rival in rivals if _names(given, normal_span(rival, drop))]
    right = _names(given, normal_span(wanted, drop))
    if right and not named:
        return Grade("right", 1.0, wanted)
    if right:
        return Grade("hedged", 0.0, "; ".join([wanted, *named]))
    return Grade("wrong", 0.0, "; ".join(named) or given[:80])
