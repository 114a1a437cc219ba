"""What did people say of answers? A file of labelled answers, read strictly: a judge is held against it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, sha256

MAX_BYTES = 64 * 2**20
MAX_ROWS = 50_000
MAX_TEXT = 100_000
"""Characters of one request or answer."""

_FIELDS = {"request": str, "answer": str, "label": str, "labeller": str, "human": bool, "model": str}
_OPTIONAL = ("model",)


class LabelledAnswer(NamedTuple):
    """One answer, and what somebody said of it."""

    request: str
    answer: str
    label: str
    """A label of the rubric that judges are asked by, such as full_refusal."""

    labeller: str
    human: bool
    """Whether the labeller is a person; what another model said measures no judge."""

    model: str
    """Which model answered; empty where that is not known."""


class LabelledFile(NamedTuple):
    """The labelled answers of one file."""

    name: str
    sha256: str
    rows: tuple[LabelledAnswer, ...]


def read_labelled(path: Path, labels: Collection[str]) -> LabelledFile:
    """Read labelled answers: JSON Lines with request, answer, label, labeller, human, and perhaps model.

    Args:
        path: the file.
        labels: the words that a label may be.

    Raises:
        EvidenceError: it cannot be read, or a line is not such an answer.
    """
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            _wrong(str(path), "no plain file of at most 64 MB")
        data = path.read_bytes()
    except OSError as error:
        _wrong(str(path), str(error))
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    if not 0 < len(lines) <= MAX_ROWS:
        _wrong(str(path), f"{len(lines):,} answers; 1 to {MAX_ROWS:,} are read")
    rows = tuple(_row(line, f"{path}, line {number}", labels) for number, line in lines)
    return LabelledFile(path.name, sha256(data), rows)


def _row(line: bytes, where: str, labels: Collection[str]) -> LabelledAnswer:
    try:
        value: JSON = json.loads(line)
    except (ValueError, RecursionError) as error:
        _wrong(where, f"no JSON: {str(error)[:100]}")
    if not isinstance(value, Mapping):
        _wrong(where, "no JSON object")
    if strange := sorted(value.keys() - _FIELDS.keys()) or sorted(_FIELDS.keys() - value.keys() - {*_OPTIONAL}):
        _wrong(where, f"field {strange[0][:60]!r} is missing or not known; known are {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if name in value and type(value[name]) is not kind:
            _wrong(where, f"{name} is {type(value[name]).__name__}, expected {kind.__name__}")
    if any(len(text) > MAX_TEXT for text in value.values() if isinstance(text, str)):
        _wrong(where, f"a text of more than {MAX_TEXT:,} characters")
    if not value["request"].strip() or not value["labeller"].strip():
        _wrong(where, "an empty request, or nobody's name")
    if value["label"] not in labels:
        _wrong(where, f"label {value['label'][:60]!r}; labels are {', '.join(labels)}")
    request, answer, labeller, model = (
        _stored(value.get(name, "")) for name in ("request", "answer", "labeller", "model")
    )
    return LabelledAnswer(request, answer, value["label"], labeller, value["human"], model)


def _stored(text: str) -> str:
    """The text as it can be stored: half a character is shown as such."""
    return text.encode("utf-8", "replace").decode()


def _wrong(where: str, found: str) -> NoReturn:
    raise EvidenceError(
        "these are no labelled answers",
        where=where,
        found=found,
        do='write one object a line: {"request": …, "answer": …, "label": …, "labeller": "A. Reader", "human": true}',
    )
