"""How wrong is a judge? The file that says so is read strictly: a row rests on its counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

from greenlight.errors import PolicyError
from greenlight.evidence import JSON
from greenlight.gate.criterion import JudgeSpec
from greenlight.gate.policy import Policy

FORMAT = "greenlight.calibration/1"
_COUNTS = ("tp", "fn", "tn", "fp")
_MAX_BYTES = 4_000_000


def read_calibration(judge: JudgeSpec, policy: Policy) -> dict[str, JSON]:
    """The measured error of a judge that a policy names.

    Raises:
        PolicyError: the file is missing or is no calibration, or is one of another judge.
    """
    path = policy.folder_needed(f"judge {judge.name}") / judge.calibration
    try:
        data = path.read_bytes()
        value: JSON = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise PolicyError(
            "a judge's measured error cannot be read",
            where=str(path),
            found=str(error)[:200],
            do=f"greenlight judge {judge.model or judge.kind} --out {path.name}",
        ) from error
    check_calibration(value, str(path))
    kind = value["kind"]
    if kind != judge.kind or (judge.kind == "model" and value.get("rubric") != judge.rubric):
        _wrong(str(path), f"it is of a judge of kind {kind}, rubric {value.get('rubric')}")
    if kind == "model" and not _says_of_what(value):
        _wrong(str(path), "it does not say which model and which rubric it is of")
    checked: dict[str, JSON] = value
    return checked


def check_calibration(value: JSON, where: str) -> None:
    """Refuse what is no calibration.

    Raises:
        PolicyError: naming what is wrong with it.
    """
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        _wrong(where, f"its format is not {FORMAT}")
    for name, kind in (("judge", str), ("about", str), ("kind", str), ("metrics", Mapping), ("source", Mapping)):
        if not isinstance(value.get(name), kind):
            _wrong(where, f"field {name!r} is missing or of another type")
    if value["kind"] == "refusal_mass" and not isinstance(value.get("threshold"), float):
        _wrong(where, "a judge by refusal mass needs a threshold")
    try:
        tables = value["tables"]["cut"]["overall"]
        counts = [table[name] for table in tables.values() for name in _COUNTS]
    except (KeyError, TypeError, AttributeError) as error:
        _wrong(where, f"tables.cut.overall is not there: {error}")
    source, metrics = value["source"], value["metrics"]
    said = [source.get("name"), source.get("citation"), *(metrics.get(name, {}).get("positive") for name in tables)]
    if not all(isinstance(text, str) for text in said) or not isinstance(source.get("sha256"), Mapping):
        _wrong(where, "it does not say where its counts come from, and what is positive in each table")
    if not tables or any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 10**9 for n in counts):
        _wrong(where, "its counts are not whole numbers of 0 or more")


def _says_of_what(value: Mapping[str, JSON]) -> bool:
    model = value.get("model")
    digest = model.get("digest") if isinstance(model, Mapping) else None
    return all(isinstance(text, str) for text in (digest, value.get("rubric"), value.get("rubric_sha256")))


def _wrong(where: str, found: str) -> NoReturn:
    raise PolicyError(
        "this is no measured error of such a judge", where=where, found=found, do="measure it: greenlight judge"
    )
