"""Had the model read the exam before? The row of `contaminate`, from the overlap that contamination.json records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
) -> dict[str, JSON]:
    """The share of questions that stand in the training text given, and what rows come to on those that do not.

    Args:
        criterion: the row.
        record: what was looked for and found; None where no text was given.
        policy: whose other rows are read again on the clean questions.
        samples: the candidate's answers by assessment.
    """
    shares = {} if record is None else {name: share for name, share in record["items"].items() if share is not None}
    seen = sum(share > 0 for share in shares.values())
    value = seen / len(shares) if shares else None
    details = {"clean": _clean(policy, samples, shares)} if shares else {}
    finding = Finding(
        status=_status(criterion, value), value=value, bounds=None, method="share of questions", details=details
    )
    reason = UNKNOWN if value is None else f"{seen} of {len(shares)} questions share a run of words with the text given"
    words = {
        "reason": reason,
        "change": "the text that the model was trained on" if value is None else "",
        "next": "greenlight contaminate RUN --training-text FILE" if value is None else "",
    }
    counts = {"n_used": len(shares), "n_finished": len(shares), "n_planned": 0, "clusters": len(shares)}
    alpha = policy.row_alpha
    return row_json(criterion, finding, status=finding.status, alpha=alpha, counts=counts, checks=[], words=words)


def _status(criterion: Criterion, value: float | None) -> Status:
    if criterion.limit is None:
        return "DISCLOSED"
    if value is None:
        return "NOT RUN"
    return "PASS" if value <= criterion.limit else "FAIL"


def _clean(
    policy: Policy, samples: Mapping[str, Sequence[Sample]], shares: Mapping[str, float]
) -> list[dict[str, JSON]]:
    """Each mean of the candidate's own answers over all questions, and over those of which no run was found."""
    found = []
    for row in policy.criteria:
        if row.metric.kind not in ("mean", "judged") or row.metric.pairs or row.track != OWN:
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
