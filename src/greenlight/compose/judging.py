"""How wrong is a judge that is a model? Held against answers that people labelled; its counts become a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from greenlight.assess.judge import JudgeRunner, ModelReader
from greenlight.assess.labelled import LabelledFile, read_labelled
from greenlight.assess.planted import NOTE, Planted, planted
from greenlight.assess.suites import Item, Message
from greenlight.compose.examinee import Examinee
from greenlight.compose.observer import Observer
from greenlight.compose.verbs import find_examinee
from greenlight.errors import EvidenceError, PolicyError
from greenlight.evidence import JSON, alone, sha256_json, write_json
from greenlight.gate.calibration import FORMAT
from greenlight.gate.criterion import JudgeSpec
from greenlight.gate.policy import load_policy
from greenlight.measure.agreement import Pair, Quality, quality, tables, tables_of
from greenlight.measure.statistics.judged import MIN_YOUDEN, Confusion
from greenlight.measure.verdicts import Rubric, rubric

CUT_CHARS = 280
"""Characters of an answer that the judge is shown: about what a suite stores, as for the shipped rules."""

ALPHA = 0.05
"""What a row may use whose bounds are shown; a policy's own decides."""

_BLOCK = 64


class Calibrated(NamedTuple):
    """A judge whose error was measured."""

    path: Path
    """The file that says so."""

    value: dict[str, JSON]
    """What is in it."""

    qualities: tuple[Quality, ...]
    """The judge for each metric that its words can answer."""


def judge_reference(
    reference: str,
    labelled: Sequence[Path | str],
    *,
    asked: str = "refusal",
    out: Path | str,
    whole: bool = False,
    pull: bool = False,
    ops: str | None = None,
    observer: Observer | None = None,
) -> Calibrated:
    """Measure a judge on labelled answers and write the file that a policy names as its calibration.

    Each verdict is on disk before the next, in a folder beside the file: a second call goes on with what is left.

    Args:
        reference: the judge: a model on this machine, or an endpoint.
        labelled: files of answers that people labelled.
        asked: name of the rubric.
        out: the file to write.
        whole: show whole answers to the judge, where its suite stores them whole.
        pull: fetch the model if it is not here.
        ops: what computes it here.
        observer: told of progress.

    Raises:
        EvidenceError: a file cannot be read, or people labelled no answer.
        EngineError: an endpoint failed; its verdicts so far are kept.
    """
    words = rubric(asked)
    files = tuple(read_labelled(Path(path), (*words.labels.values(), "empty")) for path in labelled)
    judge = find_examinee(reference, pull=pull, ops=ops, observer=observer)
    return calibrate(judge, words, files, Path(out), whole=whole, observer=observer or Observer())


def judge_of_policy(name: str, policy: Path | str) -> tuple[JudgeSpec, Path]:
    """A judge that a policy names, and where its calibration belongs.

    Raises:
        PolicyError: the policy has no judge of this name that is a model.
    """
    rules = load_policy(policy)
    found = next((judge for judge in rules.judges if judge.name == name and judge.kind == "model"), None)
    if found is None:
        known = ", ".join(judge.name for judge in rules.judges if judge.kind == "model")
        raise PolicyError(
            f"the policy {rules.name} has no judge called {name} that is a model",
            where=str(policy),
            found=known or "none at all",
            do="name one of its judges, or leave --policy out and give the model itself",
        )
    return found, rules.folder_needed(f"judge {name}") / found.calibration


def calibrate(
    judge: Examinee, asked: Rubric, files: Sequence[LabelledFile], out: Path, *, whole: bool, observer: Observer
) -> Calibrated:
    """Ask a judge for its verdicts, count them against people's labels, and write what they come to."""
    rows = [row for file in files for row in file.rows if row.human]
    if not rows:
        raise EvidenceError(
            "no answer was labelled by a person",
            where=", ".join(file.name for file in files),
            do="label some by hand: what another model says measures no judge",
        )
    texts = [row.answer if whole else row.answer[:CUT_CHARS] for row in rows]
    notes = planted(texts, [row.label for row in rows], asked.labels)
    shown = [note.text for note in notes]
    inputs = sha256_json(
        {"rubric": asked.sha256, "rows": [[row.request, text] for row, text in zip(rows, shown, strict=True)]}
    )
    items = tuple(_item(number, row.request) for number, row in enumerate(rows))
    samples = {number: {"item": item.id, "output": shown[number]} for number, item in enumerate(items)}
    folder = out.with_name(f"{out.stem}.verdicts")
    reader = ModelReader(judge.answerer(), asked, int(inputs[:16], 16))
    with alone(folder), JudgeRunner(reader, "labelled", items, folder, judge=judge.digest, lock_id=inputs) as runner:
        for upto in (*range(_BLOCK, len(items), _BLOCK), len(items)):
            runner.run(samples, upto, None)
            observer.progress("labelled answers", upto, len(items))
    said = [str(runner.grades[item.id]["label"]) for item in items]
    pairs = [Pair(row.label, label, row.model) for row, label in zip(rows, said, strict=True)]
    value = _calibration(judge, asked, files, pairs, whole=whole) | {"planted": _followed(notes, said)}
    write_json(out, value)
    return Calibrated(out, value, qualities(value))


def qualities(calibration: Mapping[str, JSON]) -> tuple[Quality, ...]:
    """What rows at alpha 0.05 would make of a judge's counts."""
    overall = calibration["tables"]["cut"]["overall"]
    return tuple(
        quality(name, Confusion(**counts), alpha=ALPHA, min_youden=MIN_YOUDEN) for name, counts in overall.items()
    )


def _calibration(
    judge: Examinee, asked: Rubric, files: Sequence[LabelledFile], pairs: Sequence[Pair], *, whole: bool
) -> dict[str, JSON]:
    rows = [row for file in files for row in file.rows]
    labellers = sorted({row.labeller for row in rows if row.human})
    models = sorted({row.model for row in rows if row.human and row.model})
    return {
        "format": FORMAT,
        "judge": f"{judge.name}:{asked.name}@{judge.digest[:12]}",
        "kind": "model",
        "rubric": asked.name,
        "rubric_sha256": asked.sha256,
        "model": judge.identity(),
        "about": "Counts on labelled answers of other models than the one under review: a PASS that rests on these "
        "counts alone is advisory.",
        "metrics": {
            table: {"positive": f"people said {', '.join(sorted(metric.positive & set(asked.labels.values())))}"}
            for table, metric in tables_of(asked).items()
        },
        "answers": {"cut": "as published" if whole else f"the first {CUT_CHARS} characters, about 64 tokens"},
        "source": {
            "name": f"{len(pairs)} answers labelled by {', '.join(labellers)[:400]}",
            "citation": "",
            "sha256": {file.name: file.sha256 for file in files},
            "models": models,
            "left_out": len(rows) - len(pairs),
        },
        "no_verdict": sum(pair.judge == "no_verdict" for pair in pairs),
        "tables": {"cut": tables(pairs, asked)},
    }


def _followed(notes: Sequence[Planted], said: Sequence[str]) -> dict[str, JSON]:
    """How many answers carried a note to the grader, and how often it did what the note asked for."""
    asked = [(note.asked, label) for note, label in zip(notes, said, strict=True) if note.asked is not None]
    return {"note": NOTE.strip(), "n": len(asked), "followed": sum(want == label for want, label in asked)}


def _item(number: int, request: str) -> Item:
    """A request as the judge is shown it."""
    return Item(
        id=f"labelled-{number:05d}",
        topic="labelled",
        cluster=f"labelled-{number:05d}",
        messages=(Message("user", request),),
        key={},
        note="an answer that people labelled",
    )
