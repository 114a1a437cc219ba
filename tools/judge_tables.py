"""How often do the rules that read answers agree with people? Writes the tables of docs/judges.md.

    python tools/judge_tables.py DATA [--check]

DATA holds xstest/completions.jsonl.gz and truthfulqa/{TruthfulQA.csv,judge_truth.jsonl,judge_info.jsonl}.gz. The same
files and the same rules give the same bytes; --check writes nothing and fails where the page says something else.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import calibrate_refusal as refusal

from greenlight.errors import EvidenceError
from greenlight.measure.graders import Answer, grade
from greenlight.measure.statistics.proportions import clopper_pearson

PAGE = Path(__file__).parents[1] / "docs/judges.md"
ALPHA = 0.05
FAMILIES = {
    "gpt4": "GPT-4",
    "llama2new": "Llama 2",
    "llama2orig": "Llama 2",
    "mistralguard": "Mistral",
    "mistralinstruct": "Mistral",
}
"""Answering model to its family."""


class Counts(NamedTuple):
    """How a judge read answers that people had labelled."""

    tp: int
    fn: int
    tn: int
    fp: int


def counts(pairs: Iterable[tuple[bool, bool]]) -> Counts:
    """Count (what people said, what the judge said), True where it is what the metric counts."""
    found = [0, 0, 0, 0]
    for truth, said in pairs:
        found[(0 if said else 1) if truth else (3 if said else 2)] += 1
    return Counts(*found)


def share(hits: int, n: int) -> str:
    """A rate with its exact interval."""
    if n == 0:
        return "none"
    lower, upper = clopper_pearson(hits, n, ALPHA)
    return f"{hits / n:.3f} [{lower:.3f}, {upper:.3f}] of {n:,}"


def table(rows: Sequence[tuple[str, Counts]], first: str) -> str:
    """Markdown."""
    lines = [f"| {first} | sensitivity | specificity | Se + Sp − 1 |", "|---|---|---|---|"]
    for name, n in rows:
        positives, negatives = n.tp + n.fn, n.tn + n.fp
        youden = n.tp / positives + n.tn / negatives - 1 if positives and negatives else None
        told = "–" if youden is None else f"{youden:.2f}".replace("-", "−")
        lines.append(f"| {name} | {share(n.tp, positives)} | {share(n.tn, negatives)} | {told} |")
    return "\n".join(lines)


def refusal_tables(folder: Path) -> dict[str, str]:
    """The refusal judge on the held-out prompts of XSTest, cut as suites store answers, by metric and family."""
    rows = [json.loads(line) for line in _lines(folder / "xstest" / refusal.SOURCE)]
    kept = [row for row in rows if refusal.held_out(row["id"])]
    verdicts = refusal.judge(kept, refusal.CUT_CHARS)
    found = {}
    for metric, is_positive in refusal.METRICS.items():
        groups: dict[str, list[tuple[bool, bool]]] = {family: [] for family in (*FAMILIES.values(), "all")}
        for model, human, judged in verdicts:
            pair = is_positive(human), is_positive(judged)
            groups[FAMILIES[model]].append(pair)
            groups["all"].append(pair)
        found[metric] = table([(name, counts(pairs)) for name, pairs in groups.items()], "answers of")
    return found


class Labelled(NamedTuple):
    """An answer that people labelled, with what the benchmark holds of its question."""

    label: str
    """What the rules made of it."""

    people: bool
    """Whether people said yes."""

    verbatim: bool
    """Whether it is one of the benchmark's own reference answers."""


def truth_tables(folder: Path) -> dict[str, str]:
    """The short-answer rules on labelled answers to TruthfulQA: as a judge of falsehood, and of saying nothing."""
    known = _questions(folder / "truthfulqa" / "TruthfulQA.csv.gz")
    truth = list(_labelled(folder / "truthfulqa" / "judge_truth.jsonl.gz", known))
    info = list(_labelled(folder / "truthfulqa" / "judge_info.jsonl.gz", known))

    def rows(answers: Sequence[Labelled], said: Callable[[str], bool]) -> list[tuple[str, Counts]]:
        parts = {
            "all": answers,
            "the benchmark's own reference answers": [each for each in answers if each.verbatim],
            "models' answers in their own words": [each for each in answers if not each.verbatim],
        }
        return [(name, counts((not each.people, said(each.label)) for each in part)) for name, part in parts.items()]

    return {
        "wrong": table(rows(truth, lambda label: label in ("wrong", "empty")), "answers"),
        "abstained": table(rows(info, lambda label: label == "abstained"), "answers"),
    }


def _questions(path: Path) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for row in csv.DictReader(io.StringIO("\n".join(_lines(path)))):
        right, wrong = ([part.strip() for part in row[name].split(";")] for name in _COLUMNS)
        found[row["Question"].strip()] = {"answers": [part for part in right if part], "distractors": wrong}
    return found


_COLUMNS = ("Correct Answers", "Incorrect Answers")
_PROMPT = re.compile(r"Q: (.*?)\nA: (.*)\n(?:True|Helpful):", re.DOTALL)


def _labelled(path: Path, known: Mapping[str, Mapping[str, Any]]) -> Iterable[Labelled]:
    for line in _lines(path):
        row = json.loads(line)
        found = _PROMPT.fullmatch(row["prompt"])
        if found is None or row["completion"].strip() not in ("yes", "no"):
            raise EvidenceError("a labelled answer has another shape", where=str(path), found=line[:100])
        question, answer = (part.strip() for part in found.groups())
        if question in known:
            key = known[question]
            own = {_plain(text) for text in (*key["answers"], *key["distractors"])}
            label = grade("short_answer", key, Answer(answer)).label
            yield Labelled(label, row["completion"].strip() == "yes", _plain(answer) in own)


def _plain(text: str) -> str:
    return text.strip().rstrip(".").lower()


def _lines(path: Path) -> list[str]:
    try:
        return gzip.decompress(path.read_bytes()).decode().splitlines()
    except OSError as error:
        raise EvidenceError("labelled answers cannot be read", where=str(path), found=str(error)) from error


def filled(page: str, tables: Mapping[str, str]) -> str:
    """The page with each table between its marks.

    Raises:
        EvidenceError: a mark is missing.
    """
    for name, text in tables.items():
        mark = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        match = mark.search(page)
        if match is None:
            raise EvidenceError("the page has no place for a table", where=str(PAGE), found=name)
        page = f"{page[: match.end(1)]}{text}\n{page[match.start(2) :]}"
    return page


def main() -> None:
    """Write the tables into the page, or check that they are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where xstest/ and truthfulqa/ lie")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page differs")
    options = parser.parse_args()
    before = PAGE.read_text("utf-8")
    after = filled(before, refusal_tables(options.folder) | truth_tables(options.folder))
    if options.check and after != before:
        sys.exit(f"{PAGE} does not hold what the rules come to: run this tool without --check")
    PAGE.write_text(after, "utf-8")


if __name__ == "__main__":
    main()
