"""Does an answer follow IFEval's instructions? Its 25 kinds (Zhou et al. 2023, arXiv:2311.07911). The grader `ifeval`.

Written for this package from what the kinds are said to mean, in time that grows with an answer's length. Where the
authors' program leaves it to a library, the rule here is ours: sentences end at . ! ? before a space, languages are
told by script and common words, words in capitals are runs of letters, digits and hyphens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from greenlight.errors import ConfigError
from greenlight.measure.graders.answer import EMPTY, JSON, Answer, Grade, need
from greenlight.measure.graders.normal import visible
from greenlight.measure.languages import language_of

Rule: TypeAlias = Callable[[str, Mapping[str, Any]], bool]

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_SENTENCE = re.compile(r"(?<![.!?])[.!?]++[\"')\]\u201d]*+(?=\s|$)")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|jr|sr|no|fig|[a-z])\.$", re.IGNORECASE)
_STRESSED, _DOUBLE = re.compile(r"\*[^\n*]*\*"), re.compile(r"\*\*[^\n*]*\*\*")
_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_WORD, _HYPHENATED = re.compile(r"\w+"), re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_DEEPEST = 60


def _compared(count: int, relation: str, wanted: int) -> bool:
    return count < wanted if relation == "less than" else count >= wanted


def _occurrences(text: str, wanted: str) -> int:
    return text.casefold().count(wanted.strip().casefold())


def _whole_word(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def sentences(text: str) -> int:
    """How many sentences a text has; what follows the last mark counts as one."""
    count, at = 0, 0
    for mark in _SENTENCE.finditer(text):
        if mark.group()[0] == "." and _ABBREVIATION.search(text[max(0, mark.start() - 8) : mark.start() + 1]):
            continue
        count, at = count + 1, mark.end()
    return count + visible(text[at:])


def _placeholders(text: str) -> int:
    """Pairs of square brackets on one line, none counted twice."""
    count = 0
    for line in text.split("\n"):
        at = line.find("[")
        while at >= 0 and (end := line.find("]", at + 1)) >= 0:
            count, at = count + 1, line.find("[", end + 1)
    return count


def _bullets(text: str) -> int:
    """Lines that begin with - or a single *; as in the authors' pattern, a bare * takes the next line with it."""
    lines, count, taken = text.split("\n"), 0, False
    for number, line in enumerate(lines):
        bare = line.lstrip()
        count += bare.startswith("-")
        if taken or not bare.startswith("*"):
            taken = False
            continue
        follows = bare[1:2] or ("\n" if number < len(lines) - 1 else "")
        count += follows not in ("", "*")
        taken = follows == "\n"
    return count


def _highlights(text: str) -> int:
    single = sum(bool(found.strip("*").strip()) for found in _STRESSED.findall(text))
    double = sum(bool(found.removeprefix("**").removesuffix("**").strip()) for found in _DOUBLE.findall(text))
    return single + double


def _paragraphs(text: str, wanted: int) -> bool:
    """Whether the divider *** parts so many paragraphs, none between two of them blank."""
    parts = _DIVIDER.split(text)
    inner = parts[1:-1]
    return all(part.strip() for part in inner) and sum(bool(part.strip()) for part in parts) == wanted


def _first_word(text: str, arguments: Mapping[str, Any]) -> bool:
    parts, nth = text.split("\n\n"), int(arguments["nth_paragraph"])
    count = sum(bool(part.strip()) for part in parts)
    if not 1 <= nth <= count or not (paragraph := parts[nth - 1].strip()):
        return False
    word = re.split(r"[.,?!'\"]", paragraph.split()[0].lstrip("'").lstrip('"'))[0]
    return count == int(arguments["num_paragraphs"]) and word.lower() == str(arguments["first_word"]).lower()


def _postscript(text: str, marker: str) -> bool:
    marker = marker.strip()
    forms = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(forms.get(marker, re.escape(marker.lower())), text.lower()) is not None


def _title(text: str) -> bool:
    """Whether a line holds <<something>>."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if start >= 0 and end >= start + 3 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def _json(text: str) -> bool:
    body = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        body = body.removeprefix(fence)
    body = body.removesuffix("```").strip()
    depth = deepest = 0
    for character in body:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _two_responses(text: str) -> bool:
    parts = text.split("******")
    there = [part.strip() for part in parts if part.strip()]
    return all(part.strip() for part in parts[1:-1]) and len(there) == 2 and there[0] != there[1]


def _in_english(text: str) -> bool:
    return language_of(text) in ("en", None)


INSTRUCTIONS: dict[str, tuple[tuple[str, ...], Rule]] = {
    "keywords:existence": (("keywords",), lambda t, a: all(_occurrences(t, word) for word in a["keywords"])),
    "keywords:frequency": (
        ("keyword", "frequency", "relation"),
        lambda t, a: _compared(_occurrences(t, a["keyword"]), a["relation"], a["frequency"]),
    ),
    "keywords:forbidden_words": (
        ("forbidden_words",),
        lambda t, a: not any(_whole_word(t, word) for word in a["forbidden_words"]),
    ),
    "keywords:letter_frequency": (
        ("letter", "let_frequency", "let_relation"),
        lambda t, a: _compared(t.lower().count(a["letter"].strip().lower()), a["let_relation"], a["let_frequency"]),
    ),
    "language:response_language": (("language",), lambda t, a: language_of(t) in (a["language"], None)),
    "length_constraints:number_sentences": (
        ("num_sentences", "relation"),
        lambda t, a: _compared(sentences(t), a["relation"], a["num_sentences"]),
    ),
    "length_constraints:number_paragraphs": (("num_paragraphs",), lambda t, a: _paragraphs(t, a["num_paragraphs"])),
    "length_constraints:number_words": (
        ("num_words", "relation"),
        lambda t, a: _compared(len(_WORD.findall(t)), a["relation"], a["num_words"]),
    ),
    "length_constraints:nth_paragraph_first_word": (("num_paragraphs", "nth_paragraph", "first_word"), _first_word),
    "detectable_content:number_placeholders": (
        ("num_placeholders",),
        lambda t, a: _placeholders(t) >= a["num_placeholders"],
    ),
    "detectable_content:postscript": (("postscript_marker",), lambda t, a: _postscript(t, a["postscript_marker"])),
    "detectable_format:number_bullet_lists": (("num_bullets",), lambda t, a: _bullets(t) == a["num_bullets"]),
    "detectable_format:constrained_response": ((), lambda t, _: any(option in t for option in _OPTIONS)),
    "detectable_format:number_highlighted_sections": (
        ("num_highlights",),
        lambda t, a: _highlights(t) >= a["num_highlights"],
    ),
    "detectable_format:multiple_sections": (
        ("section_spliter", "num_sections"),
        lambda t, a: len(re.findall(rf"{re.escape(a['section_spliter'].strip())}\s?\d+", t)) >= a["num_sections"],
    ),
    "detectable_format:json_format": ((), lambda t, _: _json(t)),
    "detectable_format:title": ((), lambda t, _: _title(t)),
    "combination:two_responses": ((), lambda t, _: _two_responses(t)),
    "combination:repeat_prompt": (
        ("prompt_to_repeat",),
        lambda t, a: t.strip().lower().startswith(a["prompt_to_repeat"].strip().lower()),
    ),
    "startend:end_checker": (
        ("end_phrase",),
        lambda t, a: t.strip().strip('"').lower().endswith(a["end_phrase"].strip().lower()),
    ),
    "startend:quotation": ((), lambda t, _: len(t.strip()) > 1 and t.strip()[0] == t.strip()[-1] == '"'),
    "change_case:capital_word_frequency": (
        ("capital_frequency", "capital_relation"),
        lambda t, a: _compared(
            sum(word.isupper() for word in _HYPHENATED.findall(t)), a["capital_relation"], a["capital_frequency"]
        ),
    ),
    "change_case:english_capital": ((), lambda t, _: t.isupper() and _in_english(t)),
    "change_case:english_lowercase": ((), lambda t, _: t.islower() and _in_english(t)),
    "punctuation:no_comma": ((), lambda t, _: "," not in t),
}
"""Kind to the arguments that it takes and the rule: (answer, arguments) to whether it is followed."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("keywords", "forbidden_words"), list),
    **dict.fromkeys(("keyword", "relation", "letter", "let_relation", "language", "first_word"), str),
    **dict.fromkeys(
        ("postscript_marker", "section_spliter", "prompt_to_repeat", "end_phrase", "capital_relation"), str
    ),
}


def followed(instruction: Mapping[str, JSON], text: str) -> bool:
    """Whether an answer follows one instruction, `{"id": kind, "arguments": {...}}`; one without words follows none.

    Raises:
        ConfigError: the kind or its arguments are not IFEval's.
    """
    kind, arguments = str(instruction.get("id")), instruction.get("arguments")
    if kind not in INSTRUCTIONS or not isinstance(arguments, Mapping):
        raise ConfigError("an instruction is none of IFEval's", found=repr(instruction)[:120])
    names, rule = INSTRUCTIONS[kind]
    for name in names:
        if not _fits(arguments.get(name), _KINDS.get(name, int)):
            raise ConfigError(
                "an instruction lacks an argument, or has another type in it",
                where=f"{kind}, {name}",
                found=repr(arguments),
            )
    return bool(text.strip()) and rule(text, arguments)


def _fits(value: JSON, kind: type | tuple[type, ...]) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(part, str) and part.strip() for part in value)
    return (
        isinstance(value, kind) and not isinstance(value, bool) and (not isinstance(value, str) or bool(value.strip()))
    )


def forgiving(text: str) -> list[str]:
    """The forms in which the loose reading looks at an answer: without first and last line, without asterisks."""
    lines = text.split("\n")
    parts = [text, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return [*parts, *(part.replace("*", "") for part in parts)]


def followed_loosely(instruction: Mapping[str, JSON], text: str) -> bool:
    """Whether any of the forgiving forms follows the instruction."""
    return any(followed(instruction, form) for form in forgiving(text))


def grade_ifeval(key: Mapping[str, JSON], answer: Answer) -> Grade:
    """Whether every instruction is followed, strictly.

    Labels: `followed` (all; score 1), `partly` (some; 0), `missed` (none; 0), `empty` (None). Key: `instructions`, a
    list. `parsed` counts and names those that are not followed.
    """
    instructions: Sequence[Mapping[str, JSON]] = need(key, "instructions", list, "ifeval")
    if not visible(answer.text):
        return EMPTY
    broken = [str(one["id"]) for one in instructions if not followed(one, answer.text)]
    n = len(instructions)
    if not broken:
        return Grade("followed", 1.0, f"{n} of {n}")
    return Grade("partly" if len(broken) < n else "missed", 0.0, f"{n - len(broken)} of {n}; not: {', '.join(broken)}")
