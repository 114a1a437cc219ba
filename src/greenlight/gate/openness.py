"""How open is what is released, as a row? The class and the checklist that openness.json records, against a limit."""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.evidence import JSON
from greenlight.gate.criteria import row_json
from greenlight.gate.policy import Criterion
from greenlight.gate.rules import Finding, Status
from greenlight.gate.words import figure
from greenlight.measure.statistics.proportions import Interval

STEPS = {None: 0.0, "III": 1.0, "II": 2.0, "I": 3.0}
"""Classes of the Model Openness Framework, from none to the most open."""


def openness_row(criterion: Criterion, found: Mapping[str, JSON] | None, alpha: float) -> dict[str, JSON]:
    """The row of one recorded fact: nothing was measured, so it has no chance of being wrong by chance.

    Args:
        criterion: the row.
        found: openness.json; None where nobody said what is released.
        alpha: what the row may use, which it does not.
    """
    if found is None:
        finding = Finding(status="NOT RUN", value=None, bounds=None, method="none")
        words = {
            "reason": "nobody said which components are released under which licence",
            "change": "a file that says it (greenlight release --openness-template prints one)",
            "next": "greenlight assess MODEL --lock RUN/lock.json --openness openness.yml --out RUN",
        }
        return _row(criterion, finding, alpha, words)
    value = STEPS[found["class"]] if criterion.metric.name == "class" else float(bool(found["osaid"]["met"]))
    status: Status = "DISCLOSED"
    if criterion.limit is not None:
        status = "PASS" if value >= criterion.limit else "FAIL"
    limit = "" if criterion.limit is None else f", the limit is {figure(criterion.metric, criterion.limit)}"
    said = found["label"] if criterion.metric.name == "class" else "met" if value else "not met"
    words = {
        "reason": f"{criterion.metric.plain}: {figure(criterion.metric, value)}, {said}{limit}",
        "change": _change(criterion, found) if status == "FAIL" else "",
        "next": "greenlight release --openness-template" if status == "FAIL" else "",
    }
    method = "as recorded, by the tables of the Model Openness Framework (White et al. 2024, arXiv:2403.13784)"
    finding = Finding(status=status, value=value, bounds=Interval(value, value), method=method)
    return _row(criterion, finding, alpha, words)


def _change(criterion: Criterion, found: Mapping[str, JSON]) -> str:
    """What is missing for the limit."""
    if criterion.metric.name == "osaid":
        missing = [check["requirement"] for check in found["osaid"]["requirements"] if not check["met"]]
        return f"meeting: {', '.join(missing)}"
    asked = next(cls for cls, step in STEPS.items() if step >= (criterion.limit or 0))
    part = next(entry for entry in found["classes"] if entry["class"] == asked)
    return f"for class {asked}: releasing {', '.join([*part['missing'], *part['closed']])} under open terms"


def _row(criterion: Criterion, finding: Finding, alpha: float, words: Mapping[str, str]) -> dict[str, JSON]:
    counts = {"n_used": 0, "n_finished": 0, "n_planned": 0, "clusters": 0}
    return row_json(criterion, finding, status=finding.status, alpha=alpha, counts=counts, checks=[], words=words)
