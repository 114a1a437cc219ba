"""Is the short span that was asked for the one that was given? The grader `span`."""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import holds_phrase, visible, words

_ARTICLES = frozenset(("a", "an", "the"))


def normal_span(text: str) -> str:
    """Words without articles, casefolded, punctuation dropped (as in SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250)."""
    return " ".join(word for word in words(text) if word not in _ARTICLES)


def grade_span(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the answer is the span, or a sentence that names it and none of its rivals.

    Labels: `right` (the answer equals the span after normalisation, or holds it while naming no other candidate of the
    passage; score 1), `hedged` (names the span and a rival; 0), `wrong` (0), `empty` (None). Key: `answer`, a text, and
    `rivals`, the other candidates of the passage.
    """
    wanted, rivals = need(key, "answer", str, "span"), need(key, "rivals", list, "span")
    if not visible(answer.text):
        return EMPTY
    given = normal_span(answer.text)
    named = [rival for rival in rivals if holds_phrase(given, normal_span(rival))]
    if given == normal_span(wanted) or (holds_phrase(given, normal_span(wanted)) and not named):
        return Grade("right", 1.0, wanted)
    if holds_phrase(given, normal_span(wanted)):
        return Grade("hedged", 0.0, "; ".join([wanted, *named]))
    return Grade("wrong", 0.0, "; ".join(named) or given[:80])
