"""In which forms does a decision leave? A file each; every one a pure function of folder and the team's answers."""

from __future__ import annotations

from typing import NamedTuple

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, sha256
from greenlight.release.exports.card import card
from greenlight.release.exports.cyclonedx import cyclonedx
from greenlight.release.exports.documentation import documentation
from greenlight.release.exports.eval_results import eval_results
from greenlight.release.exports.every_eval import every_eval_ever
from greenlight.release.exports.openness import openness
from greenlight.release.exports.source import BLANK, File, Form, NotApplicableError, Source, json_file, read_source
from greenlight.release.exports.spdx import spdx
from greenlight.release.exports.statements import model_evaluation, test_result, verification_result
from greenlight.release.exports.team import Team, read_team, team_template

__all__ = [
    "BLANK",
    "FORMS",
    "INDEX",
    "Export",
    "File",
    "LeftOut",
    "Source",
    "Team",
    "export",
    "read_source",
    "read_team",
    "team_template",
]

FORMS: dict[str, Form] = {
    "model card": card,
    "evaluation results": eval_results,
    "in-toto model evaluation": model_evaluation,
    "in-toto test result": test_result,
    "in-toto verification result": verification_result,
    "openness": openness,
    "CycloneDX model card": cyclonedx,
    "SPDX AI package": spdx,
    "Every Eval Ever": every_eval_ever,
    "European documentation form": documentation,
}
"""Name to form, in the order in which they are told."""

INDEX = "release.json"
"""What lists the files of an export, with digests, and what was left out."""


class LeftOut(NamedTuple):
    """A form that was not made."""

    form: str
    why: str
    do: str
    """What would change that; empty where nothing would."""


class Export(NamedTuple):
    """Everything that a run gave."""

    files: tuple[File, ...]
    """With the index as the last."""

    left_out: tuple[LeftOut, ...]


def export(source: Source, team: Team) -> Export:
    """Every form that applies, and why the others do not.

    Raises:
        EvidenceError: the evidence has another shape than it should.
    """
    files: list[File] = []
    left: list[LeftOut] = []
    for name, form in FORMS.items():
        try:
            files += form(source, team)
        except NotApplicableError as error:
            left.append(LeftOut(name, error.why, error.do))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise EvidenceError(
                "evidence has another shape than it should",
                where=name,
                found=f"{type(error).__name__}: {str(error)[:160]}",
                do="verify the run: greenlight verify",
            ) from error
    return Export((*files, _index(source, files, left)), tuple(left))


def _index(source: Source, files: list[File], left: list[LeftOut]) -> File:
    value: dict[str, JSON] = {
        "format": "greenlight.release/1",
        "lock": source.decision["lock"],
        "manifest_sha256": source.manifest_sha256,
        "verdict": source.decision["verdict"],
        "files": {file.path: sha256(file.data) for file in files},
        "left_out": [entry._asdict() for entry in left],
    }
    return json_file(INDEX, value)
