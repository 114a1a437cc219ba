"""Where does a text name an answer, and does it stand by it? Names compared word by word, after normalisation.

Two spellings are the same where they differ in case, accents, articles, possessives, punctuation, number words
("twenty-one", "21"), grouped thousands ("1,000"), or the usual short forms of saint, mount and doctor.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_CHARS = 4000
"""Characters of a text that are read; keeps the work bounded on any text."""


class Word(NamedTuple):
    """One word of a text in its normal form."""

    text: str
    """Lower case, without accents; numbers in digits."""

    sentence: int
    """The sentence that it stands in."""

    clause: int
    """The clause: counts on at commas, colons, brackets and dashes, through the whole text."""


class Mention(NamedTuple):
    """A name found in a text."""

    start: int
    """Index of its first word."""

    end: int
    """Index after its last word."""

    text: str
    """The name in its normal form."""

    refused: bool
    """Whether the words before it turn it down: "not Lyon", "rather than Lyon"."""

    disowned: bool
    """Whether the words after it do: "Lyon is not"."""


def read_words(text: str) -> list[Word]:
    """The words of a text in their normal form, articles left out; at most `MAX_CHARS` characters are read."""
    words: list[Word] = []
    sentence, clause, opens = 0, 0, True
    for token in _TOKEN.finditer(_digits(unaccented(text[:MAX_CHARS]))):
        word = token["word"]
        if word is None:
            sentence, clause, opens = sentence + (token["end"] is not None), clause + 1, True
            continue
        # A capital A inside a sentence is a name ("vitamin A"); elsewhere it is the article.
        if word.casefold() not in _ARTICLES or (word == "A" and not opens):
            words.append(Word(_normal_word(word), sentence, clause))
        opens = False
    return words


def find_mentions(words: Sequence[Word], name: str) -> Iterator[Mention]:
    """Every place where the words of the name stand in a row; none for a name without words."""
    wanted = _name_words(name)
    size = len(wanted)
    for start in range(len(words) - size + 1 if size else 0):
        end = start + size
        if words[start].text == wanted[0] and tuple(word.text for word in words[start:end]) == wanted:
            yield Mention(start, end, " ".join(wanted), _refused(words, start), _disowned(words, end))


def unaccented(text: str) -> str:
    """The same text in plain letters: no accents, ligatures, typographic quotes or compatibility forms."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _INITIALS.sub(_joined, _TITLE_STOPS.sub(r"\1", plain.translate(_LETTERS)[: 2 * MAX_CHARS]))


@lru_cache(maxsize=4096)  # an item's names are the same for every answer to it
def _name_words(name: str) -> tuple[str, ...]:
    return tuple(word.text for word in read_words(name))


def _refused(words: Sequence[Word], start: int) -> bool:
    if start == len(words):
        return False
    before = [word.text for word in words[max(0, start - 4) : start] if word.clause == words[start].clause]
    negators = [k for k, word in enumerate(before) if word in _NEGATORS]
    return bool(negators) and not _LETS_THROUGH.intersection(before[negators[-1] :])


def _disowned(words: Sequence[Word], end: int) -> bool:
    after = [word.text for word in words[end : end + 3] if word.clause == words[end - 1].clause]
    return bool(_IS_NOT.match(" ".join(after)))


def _normal_word(word: str) -> str:
    plain = re.sub(r"'s$|'", "", word.casefold())
    if not re.fullmatch(r"-?\d+(?:\.\d+)?", plain):
        return _SHORT_FORMS.get(plain, plain)
    whole, _, part = plain.lstrip("-").partition(".")
    sign, part = "-" if plain.startswith("-") else "", part.rstrip("0")
    return sign + (whole.lstrip("0") or "0") + (f".{part}" if part else "")


def _digits(text: str) -> str:
    """Number words, ordinals, grouped thousands and spoken signs as digits; "Paris/Lyon" as "Paris or Lyon"."""
    text = _GROUPED.sub(_joined, text)
    text = _NUMBER.sub(lambda found: str(_value(found.group())), text)
    text = _ORDINAL.sub(_ordinal, text)
    text = _SCALED.sub(lambda found: found[1] + "0" * _SCALES[found[2].casefold()], text)
    return _SLASH.sub(" or ", _MINUS.sub(" -", text))


def _joined(found: re.Match[str]) -> str:
    """The letters and digits of a match without what stood between them, and the space that ended it."""
    return "".join(c for c in found.group() if c.isalnum()) + (" " if found.group()[-1].isspace() else "")


def _value(phrase: str) -> int:
    total = 0
    for word in re.findall(r"[a-z]+", phrase.casefold()):
        total = (total or 1) * 100 if word == "hundred" else total + _CARDINALS.get(word, 0)
    return total


def _ordinal(found: re.Match[str]) -> str:
    tens, unit = found["tens"], found["unit"]
    value = (_CARDINALS[tens.casefold()] if tens else 0) + _ORDINALS[unit.casefold()]
    ending = "th" if 10 < value < 14 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


# The rules. Every repetition is bounded or can match in one way only, so that no text can make a search slow.


def _any(words: Sequence[str]) -> str:
    return "(?:" + "|".join(words) + ")"


_ARTICLES = frozenset(("the", "a", "an"))
_SHORT_FORMS = {"st": "saint", "mt": "mount", "dr": "doctor"}
_LETTERS = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "−": "-", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
    | {"♯": " sharp", "♭": " flat", "&": " and ", "*": " "}
)
_TOKEN = re.compile(
    r"(?P<end>[.!?]{1,8}(?=\s|$)|\n)|(?P<pause>[,;:()\[\]\"“”]|\s[-–—]\s|—)"
    r"|(?P<word>\d+(?:st|nd|rd|th|s)\b|(?<![\w.])-\d+(?:\.\d+)?|\d+(?:\.\d+)?|[^\W_]+(?:'[^\W_]+)?)"
)
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.\s?){2,6}")
_TITLE_STOPS = re.compile(r"\b(st|mt|dr|mr|mrs|ms|prof|vs|no(?=\.\s?\d))\.(?=\s*\w)", re.IGNORECASE)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:[, ']\d{3}){1,9}(?!\d)")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9}
_SCALED = re.compile(r"(?<![\d.])(\d{1,9})[ -](hundred|thousand|million|billion)\b", re.IGNORECASE)
_MINUS = re.compile(r"\b(?:minus|negative) (?=\d)|(?<![\w.])–(?=\d)", re.IGNORECASE)
_SLASH = re.compile(r"(?<=[A-Za-z])/(?=[A-Z])")

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_CARDINALS = {word: k for k, word in enumerate(("zero", *_UNITS, *_TEENS))} | {
    word: 10 * k for k, word in enumerate(_TENS, start=2)
}
_FEW = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
_ORDINALS = (
    {word: k for k, word in enumerate((*_FEW, "twelfth"), start=1)}
    | {f"{word}th": _CARDINALS[word] for word in _TEENS[3:]}
    | {f"{word[:-1]}ieth": _CARDINALS[word] for word in _TENS}
)
# "one" is a number unless it stands for a noun: "no one", "the one that", "one of".
_ONE = r"(?<!\bno )(?<!\bthe )(?<!\bthis )(?<!\bthat )one(?! (?:of|who|that|can|could|another)\b)"
_DIGIT = _any((_ONE, *_UNITS[1:]))
_BELOW_100 = rf"(?:{_any(_TENS)}(?:[ -]{_DIGIT})?|{_any(_TEENS)}|{_DIGIT}|zero)"
_NUMBER = re.compile(
    rf"\b(?:(?:{_DIGIT}[ -])?hundred(?:(?: and)?[ -]{_BELOW_100})?|{_BELOW_100})\b(?![ -]{_any(tuple(_ORDINALS))}\b)",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    rf"\b(?:(?P<tens>{_any(_TENS)})[ -])?(?P<unit>{_any(tuple(_ORDINALS))})\b",
    re.IGNORECASE,
)

_NEGATORS = frozenset(
    (
        "not",
        "never",
        "isnt",
        "wasnt",
        "arent",
        "werent",
        "cannot",
        "cant",
        "nor",
        "neither",
        "unlike",
        "than",
        "instead",
    )
)
# Words after a negator that keep it from the name: "not sure ... Paris", "not only Paris".
_LETS_THROUGH = frozenset(("sure", "certain", "know", "positive", "remember", "recall", "familiar")) | frozenset(
    ("only", "just", "merely", "simply", "but", "if", "and", "because", "however", "that")
)
_IS_NOT = re.compile(r"(?:(?:is|was|are|were) not|isnt|wasnt|arent|werent)\b(?! (?:only|just|merely|simply))")
