"""Which text follows a list of IFEval's instructions? Written by rule, so that its grader can test itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from greenlight.measure.graders import JSON
from greenlight.measure.graders.ifeval import followed
from greenlight.measure.languages import common_words

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def follow(instructions: Sequence[Mapping[str, JSON]]) -> str:
    """A text that follows all of them.

    Raises:
        KeyError: none of the ways to write one does.
    """
    want: dict[str, Mapping[str, Any]] = {}
    for one in instructions:
        name = str(one["id"]).partition(":")[2]
        # Of a floor and a ceiling for the same thing the floor is what has to be written.
        if name not in want or "at least" in one["arguments"].values():
            want[name] = one["arguments"]
    want["existence"] = {"keywords": [*want.get("existence", {}).get("keywords", ()), *_floors(instructions)]}
    # The plainest way first; what stands in the way of one instruction is varied for it.
    for n_words, ended in product((_least_words(want), 1, 6), (True, False)):
        text = _Writer(want, n_words, ended).text()
        if all(followed(one, text) for one in instructions):
            return text
    raise KeyError(f"no text is known that follows {', '.join(sorted(want))}")


def _floors(instructions: Sequence[Mapping[str, JSON]]) -> list[str]:
    """Every keyword that must occur a number of times, so often."""
    found = [one["arguments"] for one in instructions if "keyword" in one["arguments"]]
    return [str(a["keyword"]) for a in found if a["relation"] == "at least" for _ in range(int(a["frequency"]))]


def _least_words(want: Mapping[str, Mapping[str, Any]]) -> int:
    asked = want.get("number_words", {})
    if not asked:
        return 12
    return int(asked["num_words"]) + 2 if asked["relation"] == "at least" else max(1, int(asked["num_words"]) // 3)


class _Writer:
    """One way to write the text: so many filler words, sentences ended or not."""

    def __init__(self, want: Mapping[str, Mapping[str, Any]], n_words: int, ended: bool) -> None:
        self._want, self._n_words, self._ended = want, n_words, ended

    def text(self) -> str:
        """The text."""
        parts = [self._opening(), self._body(), self._ending()]
        text = self._cased("\n".join(part for part in parts if part))
        if "json_format" in self._want:
            text = json.dumps({"text": text}, ensure_ascii=False)
        if "quotation" in self._want:
            text = f'"{text}"'
        repeated = self._want.get("repeat_prompt", {}).get("prompt_to_repeat")
        return text if repeated is None else f"{self._cased(repeated)}\n{text}"

    def _opening(self) -> str:
        title = "<<ode>>" if "title" in self._want else ""
        return "\n".join(part for part in (title, "My answer is yes." * ("constrained_response" in self._want)) if part)

    def _filler(self) -> list[str]:
        language = str(self._want.get("response_language", {}).get("language", "en"))
        banned = {str(word).casefold() for word in self._want.get("forbidden_words", {}).get("forbidden_words", ())}
        letter, often = self._want.get("letter_frequency", {}), self._want.get("frequency", {})
        words = [word for word in common_words(language) if word not in banned]
        if letter and letter["let_relation"] == "less than":
            words = [word for word in words if letter["letter"] not in word] or words
        if often and often["relation"] == "less than":
            words = [word for word in words if often["keyword"].casefold() not in word]
        return [words[i % len(words)] for i in range(self._n_words)]

    def _needed(self) -> list[str]:
        """Words and marks that have to be somewhere."""
        found = [str(word) for word in self._want.get("existence", {}).get("keywords", ())]
        letter = self._want.get("letter_frequency", {})
        if letter and letter["let_relation"] == "at least":
            found.append(str(letter["letter"]) * int(letter["let_frequency"]))
        found += ["[it]"] * int(self._want.get("number_placeholders", {}).get("num_placeholders", 0))
        found += ["*it*"] * int(self._want.get("number_highlighted_sections", {}).get("num_highlights", 0))
        capital = self._want.get("capital_word_frequency", {})
        if capital and capital["capital_relation"] == "at least":
            found += ["IT"] * int(capital["capital_frequency"])
        return found

    def _body(self) -> str:
        words = [*self._filler(), *self._needed()]
        mark = "." if self._ended else ""
        asked = self._want.get("number_sentences", {})
        n = int(asked["num_sentences"]) if asked and asked["relation"] == "at least" else 1
        words += ["so"] * max(0, n - len(words))
        size = max(1, len(words) // n)
        runs = [words[i * size : (i + 1) * size if i < n - 1 else None] for i in range(n)]
        lines = [" ".join(run) + mark for run in runs]
        n_bullets = int(self._want.get("number_bullet_lists", {}).get("num_bullets", 0))
        lines += ["* so"] * n_bullets
        section = self._want.get("multiple_sections", {})
        lines += [f"{section['section_spliter']} {i + 1}\nso" for i in range(int(section.get("num_sections", 0)))]
        return self._parted("\n".join(lines))

    def _parted(self, body: str) -> str:
        if nth := self._want.get("nth_paragraph_first_word"):
            firsts = [
                nth["first_word"] if i == nth["nth_paragraph"] else "so" for i in range(1, nth["num_paragraphs"] + 1)
            ]
            return "\n\n".join([*firsts[:-1], f"{firsts[-1]} {body.replace(chr(10) * 2, chr(10))}"])
        if divided := self._want.get("number_paragraphs"):
            return "\n***\n".join([*["so"] * (int(divided["num_paragraphs"]) - 1), body])
        return f"{body}\n******\nso it is" if "two_responses" in self._want else body

    def _ending(self) -> str:
        marker = self._want.get("postscript", {}).get("postscript_marker")
        phrase = self._want.get("end_checker", {}).get("end_phrase")
        return "\n".join(part for part in ("" if marker is None else f"{marker} so", phrase or "") if part)

    def _cased(self, text: str) -> str:
        if "english_capital" in self._want:
            return text.upper()
        return text.lower() if "english_lowercase" in self._want else text
