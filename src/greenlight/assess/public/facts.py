"""What does a model know, and does it say when it does not? TriviaQA, PopQA, SimpleQA, SelfAware."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from greenlight.assess.data import Row, Table, field
from greenlight.assess.public.adapter import digests, draw_rows
from greenlight.assess.public.choosing import strings
from greenlight.assess.public.solving import made
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.assess.suites.selftest import gold
from greenlight.measure.graders import grade

VERSION = 1
MAX_ANSWERS = 60
HINT = "Answer in a few words. If you do not know, say that you do not know."
"""Silence may only be rewarded where it was offered."""


def _asked(suite: str, number: int, question: str, answers: Sequence[str], note: str, topic: str) -> Item | None:
    """A question of fact; None where the grader would not know the right answer if it saw it."""
    key = {"answers": list(dict.fromkeys(answers))[:MAX_ANSWERS], "distractors": []}
    item = made(suite, number, Message("user", f"{question}\n{HINT}"), key, note, topic)
    alone = {**key, "answers": key["answers"][:1]}
    return item if grade("short_answer", alone, gold(item)).score == 1 else None


def _trivia(row: Row, table: Table, number: int) -> Item | None:
    aliases = [str(field(row, "answer", str, table, number)), *strings(row, "aliases", table, number, least=0)]
    question = str(field(row, "context", str, table, number)).removeprefix("Question: ").removesuffix("\nAnswer:")
    known = [alias for alias in aliases if "\ufffd" not in alias]
    note = f"TriviaQA (Joshi et al. 2017, arXiv:1705.03551), row {number + 1}"
    return _asked("hallucinate.triviaqa", number, question, known, note, "all")


def _trivia_plain(row: Row, table: Table, number: int) -> Item:
    aliases = [str(field(row, "answer", str, table, number)), *strings(row, "aliases", table, number, least=0)]
    message = Message("text", str(field(row, "context", str, table, number)))
    note = f"TriviaQA (Joshi et al. 2017, arXiv:1705.03551), row {number + 1}"
    wanted = [alias for alias in dict.fromkeys(aliases) if any(map(str.isalnum, alias))]
    return made("compete.triviaqa", number, message, {"wanted": wanted or aliases, "strict": False}, note)


def _popqa(row: Row, table: Table, number: int) -> Item | None:
    answers = strings(row, "golden_answers", table, number, least=1)
    question = str(field(row, "question", str, table, number))
    facts = field(row, "metadata", dict, table, number)
    note = f"PopQA (Mallen et al. 2023, arXiv:2212.10511), {row.get('id', number)}"
    return _asked("hallucinate.popqa", number, question, answers, note, str(facts.get("prop", "all")))


def _simpleqa(row: Row, table: Table, number: int) -> Item | None:
    question, answer = (str(field(row, name, str, table, number)) for name in ("problem", "answer"))
    note = f"SimpleQA (Wei et al. 2024, arXiv:2411.04368), row {number + 1}"
    return _asked("hallucinate.simpleqa", number, question, [answer], note, "all")


def _selfaware(row: Row, table: Table, number: int) -> Item | None:
    answerable = bool(field(row, "answerable", bool, table, number))
    answers = strings(row, "answer", table, number, least=1) if answerable else []
    question = str(field(row, "question", str, table, number))
    note = f"SelfAware (Yin et al. 2023, arXiv:2305.18153), question {row.get('question_id', number)}"
    topic = "answerable" if answerable else "unanswerable"
    return _asked("hallucinate.selfaware", number, question, answers, note, topic)


def _suite(name: str, file: str, to_item: Callable[[Row, Table, int], Item | None], licence: str, about: str) -> Suite:
    return Suite(
        name=name,
        version=VERSION,
        kind="generate",
        grader="short_answer",
        answer_tokens=48,
        chance=0.25,
        description=about,
        draw=draw_rows(name, VERSION, file, to_item),
        confidence=True,
        licence=licence,
        files=digests(file),
    )


FACTS = (
    _suite(
        "hallucinate.triviaqa",
        "triviaqa/triviaqa.jsonl",
        _trivia,
        "Apache-2.0",
        "Trivia with many accepted spellings: right, wrong or abstained.",
    ),
    _suite(
        "hallucinate.popqa",
        "popqa/popqa_1k.jsonl",
        _popqa,
        "MIT",
        "Questions about entities, most of which few people know: right, wrong or abstained.",
    ),
    _suite(
        "hallucinate.simpleqa",
        "simpleqa/simple_qa_test_set.csv",
        _simpleqa,
        "MIT",
        "Short facts with one answer, chosen to be hard: right, wrong or abstained.",
    ),
    _suite(
        "hallucinate.selfaware",
        "selfaware/selfaware.jsonl",
        _selfaware,
        "CC-BY-SA-4.0",
        "Questions that can be answered beside questions that nobody can answer: right, wrong or abstained.",
    ),
    Suite(
        name="compete.triviaqa",
        version=VERSION,
        kind="generate",
        grader="exact",
        answer_tokens=32,
        chance=0.02,
        description="Trivia continued as plain text; the words up to the first stop must be an accepted answer.",
        draw=draw_rows("compete.triviaqa", VERSION, "triviaqa/triviaqa.jsonl", _trivia_plain),
        stop=("\n", ".", ","),
        licence="Apache-2.0",
        files=digests("triviaqa/triviaqa.jsonl"),
    ),
)
"""Suites of facts."""
