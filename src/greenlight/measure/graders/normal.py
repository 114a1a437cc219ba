"""When are two spellings the same text? The normal forms that graders compare."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Casefolded, compatibility forms and typographic quotes made plain."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"').replace("\u201d", '"')


def words(text: str) -> list[str]:
    """The runs of letters and digits of the folded text; apostrophes vanish, so that "don't" is one word."""
    return _WORD.findall(fold(text).replace("'", ""))


def phrase(text: str) -> str:
    """Words joined by one space: equal for texts that differ in case, punctuation and spacing alone."""
    return " ".join(words(text))


def holds_phrase(text: str, wanted: str) -> bool:
    """Whether the wanted words stand in the text in a row; false where nothing is wanted."""
    inner = phrase(wanted)
    return bool(inner) and f" {inner} " in f" {phrase(text)} "


def squash(text: str) -> str:
    """Letters and digits alone, without spaces: what is left of "M-a r.b l e" is "marble"."""
    return "".join(words(text))


def visible(text: str) -> bool:
    """Whether any character would leave a mark: not a space, control or format character."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)
