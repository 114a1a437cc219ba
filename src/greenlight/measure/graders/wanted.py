"""Is the answer what was asked for, to the word? The graders `exact`, `contains`, `opening` and `pattern`.

No regular expressions. They are the plain graders of a team's own tests: what they compare is the folded text (case,
spacing and typographic marks never count), unless a key says `strict`.
"""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import fold, holds_phrase, phrase, visible

MAX_PATTERN = 500
"""Characters that a pattern may have: matching takes at most this many steps for each character of an answer."""


def grade_exact(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the whole answer is one of those wanted.

    Labels: `right` (score 1), `wrong` (0), `empty` (None). Key: `wanted`, a list of texts; `strict`, whether case and
    punctuation count. `parsed` is the text that was compared.
    """
    wanted, strict = need(key, "wanted", list, "exact"), bool(key.get("strict", False))
    if not visible(answer.text):
        return EMPTY
    form = str.strip if strict else phrase
    given = form(answer.text)
    right = any(given == form(str(text)) for text in wanted)
    return Grade("right" if right else "wrong", float(right), given[:200])


def grade_line(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the first line of the answer is the text wanted, or names the letter of the option wanted.

    Labels: `right` (score 1), `wrong` (0), `empty` (None). Key: `line`, a text such as `True` or `(B)`. Case, commas,
    quotation marks and a final stop never count; after an option's letter anything may follow. `parsed` is the line.
    """
    wanted = need(key, "line", str, "line")
    if not visible(answer.text):
        return EMPTY
    given = answer.text.strip().partition("\n")[0].strip()
    mine, theirs = _bare(given), _bare(wanted)
    option = len(theirs) == 3 and theirs[0] == "(" and theirs[2] == ")"
    right = mine == theirs or (option and mine.startswith(theirs))
    return Grade("right" if right else "wrong", float(right), given[:200])


def _bare(text: str) -> str:
    stripped = text.translate(str.maketrans("", "", ',"\\')).strip().lower().removesuffix(".")
    return " ".join(stripped.split())


def grade_contains(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the answer holds what it must and nothing that it must not, as whole words.

    Labels: `right` (score 1), `wrong` (0), `empty` (None). Key: `holds`, a list of texts; `every`, whether all of them
    must occur or one is enough; `avoids`, texts of which none may occur; `strict`, whether the very characters count.
    `parsed` is what occurs of either list.
    """
    holds, avoids = need(key, "holds", list, "contains"), need(key, "avoids", list, "contains")
    if not visible(answer.text):
        return EMPTY
    occurs = _in if key.get("strict", False) else holds_phrase
    there = [text for text in holds if occurs(answer.text, text)]
    forbidden = [text for text in avoids if occurs(answer.text, text)]
    enough = len(there) == len(holds) if key.get("every", True) else bool(there)
    right = enough and not forbidden
    return Grade(
        "right" if right else "wrong", float(right), "; ".join([*there, *(f"not {text}" for text in forbidden)])
    )


def _in(text: str, wanted: str) -> bool:
    return bool(wanted) and wanted in text


def grade_opening(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the answer begins with a word, as a whole word and in the very spelling.

    Labels: `right` (score 1), `wrong` (0), `empty` (None). Key: `opening`, a text. `parsed` is as much of the answer.
    """
    opening = need(key, "opening", str, "opening")
    if not visible(answer.text):
        return EMPTY
    given = answer.text.lstrip()
    right = given.startswith(opening) and not given[len(opening) :][:1].isalnum()
    return Grade("right" if right else "wrong", float(right), given[: len(opening) + 20])


def grade_pattern(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether the whole answer has a form in which `*` stands for any text and `?` for one character.

    Labels: `right` (score 1), `wrong` (0), `empty` (None). Key: `pattern`, a text. Runs of spaces count as one, case
    does not count. `parsed` is the answer as it was compared.
    """
    pattern = need(key, "pattern", str, "pattern")[:MAX_PATTERN]
    if not visible(answer.text):
        return EMPTY
    given = _spaced(answer.text)
    right = matches(given, _spaced(pattern))
    return Grade("right" if right else "wrong", float(right), given[:200])


def _spaced(text: str) -> str:
    return " ".join(fold(text).split())


def matches(text: str, pattern: str) -> bool:
    """Whether a text has the form of a pattern, in at most len(text) * len(pattern) steps.

    Only the last star is ever taken longer: what an earlier one took may stay as it is, since the later can take the
    rest.
    """
    at = place = 0
    star: int | None = None
    kept = 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, kept = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            at, place = at + 1, place + 1
        elif star is not None:
            kept += 1
            at, place = kept, star + 1
        else:
            return False
    return all(character == "*" for character in pattern[place:])
