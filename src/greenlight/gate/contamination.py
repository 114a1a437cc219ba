"""Had the model read the exam before? The row of `contaminate`, from the overlap that contamination.json records."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON
from greenlight.gate.criteria import row_json
from greenlight.gate.criterion import OWN
from greenlight.gate.policy import Criterion, Policy
from greenlight.gate.rules import Finding, Status
from greenlight.measure.metrics import Sample

FILE = "contamination.json"

UNKNOWN = "unknown: no training text was given"


def contamination_row(
    criterion: Criterion,
    record: Mapping[str, JSON] | None,
    policy: Policy,
    samples: Mapping[str, Sequence[Sample]],
    asked: Collection[str],
) -> dict[str, JSON]:
    """The share of questions that stand in the training text given, and what rows come to on those that do not.

    Args:
        criterion: the row.
        record: what was looked for and found; None where no text was given.
        policy: whose other rows are read again on the clean questions.
        samples: the candidate's answers by assessment.
        asked: every question of the exam: a pass takes that all of them were looked for.

    Raises:
        EvidenceError: the record is about questions that this exam does not ask.
    """
    if strange := sorted(set() if record is None else record["items"].keys() - set(asked)):
        raise EvidenceError(
            "the overlap is of questions that this exam does not ask", where=FILE, found=", ".join(strange[:3])
        )
    n_missing = 0 if record is None else len(set(asked) - record["items"].keys())
    shares = {} if record is None else {name: share for name, share in record["items"].items() if share is not None}
    seen = sum(share > 0 for share in shares.values())
    value = seen / len(shares) if shares else None
    details = {"clean": _clean(policy, samples, shares)} if shares else {}
    status = _status(criterion, value, n_missing)
    finding = Finding(status=status, value=value, bounds=None, method="share of questions", details=details)
    reason = UNKNOWN if value is None else f"{seen} of {len(shares)} questions share a run of words with the text given"
    if value is not None and n_missing:
        reason += f"; {n_missing} could not be looked for, since their text is not in the run"
    words = {
        "reason": reason,
        "change": "the text that the model was trained on" if value is None else "",
        "next": "greenlight contaminate RUN --training-text FILE" if value is None else "",
    }
    counts = {"n_used": len(shares), "n_finished": len(shares), "n_planned": len(asked), "clusters": len(shares)}
    alpha = policy.row_alpha
    return row_json(criterion, finding, status=finding.status, alpha=alpha, counts=counts, checks=[], words=words)


def _status(criterion: Criterion, value: float | None, n_missing: int) -> Status:
    if criterion.limit is None:
        return "DISCLOSED"
    if value is None:
        return "NOT RUN"
    if value > criterion.limit:
        return "FAIL"
    return "INCONCLUSIVE" if n_missing else "PASS"


def _clean(
    policy: Policy, samples: Mapping[str, Sequence[Sample]], shares: Mapping[str, float]
) -> list[dict[str, JSON]]:
    """Each mean of the candidate's own answers over all questions, and over those of which no run was found."""
    found = []
    for row in policy.criteria:
        if row.metric.kind not in ("mean", "judged") or row.metric.partnered or row.track != OWN:
            continue
        told = [
            sample for sample in samples.get(row.assess, ()) if sample["item"] in shares and row.metric.counts(sample)
        ]
        clean = [sample for sample in told if shares[sample["item"]] == 0]
        if told:
            found.append({"row": row.name, **_mean("all", row, told), **_mean("clean", row, clean)})
    return found


def _mean(name: str, row: Criterion, samples: Sequence[Sample]) -> dict[str, JSON]:
    values = [row.metric.value(sample) for sample in samples]
    return {name: math.fsum(values) / len(values) if values else None, f"n_{name}": len(values)}
