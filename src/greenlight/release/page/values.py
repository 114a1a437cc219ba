"""What does a reader's browser need to derive every number again? One value per answer and row; no text, no key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from greenlight.evidence import JSON, read_json
from greenlight.gate.criterion import Criterion, Track
from greenlight.gate.evidence_rows import RunEvidence, cannot
from greenlight.gate.folder import SuiteEvidence, read_optional
from greenlight.gate.judging import confusion
from greenlight.gate.lock import policy_of
from greenlight.gate.partners import Partners
from greenlight.gate.policy import Policy
from greenlight.gate.resources import figures_of, rounds_needed
from greenlight.gate.rules import LabelsOf
from greenlight.gate.scale import AGAIN
from greenlight.gate.strata import by_person, found_bad
from greenlight.measure.metrics import Metric, Sample, metric_of, picked

FORMAT = "greenlight.page/1"


def values_of(folder: Path) -> dict[str, JSON]:
    """The values of a decided run, as the page's script reads them.

    Raises:
        GreenlightError: a file is missing or damaged, or belongs to another run.
    """
    lock = read_json(folder / "lock.json", "lock")
    policy, evidence = policy_of(lock), RunEvidence(folder, lock)
    resources = None if cannot(lock, "resources") else read_optional(folder / "resources.json", "resources")
    asked = [(name, track) for name in policy.suites() for track in policy.tracks(name) if _asked(lock, name, track)]
    answered = [(name, track) for name, track in asked if evidence.why_not(name, track) is None]
    return {
        "format": FORMAT,
        "kind": lock["kind"],
        "alpha": policy.row_alpha,
        "tracks": [_track(policy, evidence, name, track) for name, track in answered],
        "figures": [
            _figure(criterion, resources, policy.row_alpha)
            for criterion in policy.criteria
            if criterion.metric.kind == "resource"
        ],
        "absent": [
            {**_head(criterion), "n_planned": evidence.facts(name).n if (name, track) in asked else 0}
            for name in policy.suites()
            for track in policy.tracks(name)
            if (name, track) not in answered
            for criterion in _rows_of(policy, name, track)
        ],
    }


def _asked(lock: Mapping[str, JSON], name: str, track: Track) -> bool:
    """Whether a track is part of the exam."""
    known = {None, *lock.get("references", ())}
    return track.reference in known and any(entry["suite"] == name for entry in lock["suites"])


def _rows_of(policy: Policy, name: str, track: Track) -> list[Criterion]:
    return [criterion for criterion in policy.rows_of(name) if criterion.track == track]


def _head(criterion: Criterion) -> dict[str, JSON]:
    """What the policy says of a row."""
    return {
        "row": criterion.name,
        "level": criterion.level,
        "direction": criterion.direction,
        "limit": criterion.limit,
    }


def _track(policy: Policy, evidence: RunEvidence, name: str, track: Track) -> dict[str, JSON]:
    """One suite in the exam's order, as one model answered it beside a reference and one judge read it."""
    suite = evidence.suite(name, track)
    items, labels = suite.facts.items, evidence.labels(name, track)
    answers = [suite.samples.get(place) for place in range(len(items))]
    grades = [None if sample is None else str(sample["grade"]["label"]) for sample in answers]
    rows = _rows_of(policy, name, track)
    return {
        "suite": name,
        "reference": track.reference,
        "kind": suite.facts.kind,
        "answer_tokens": suite.facts.answer_tokens,
        "items": [item["id"] for item in items],
        "clusters": _indexed(item["cluster"] for item in items)["at"],
        "topics": _indexed(item["topic"] for item in items),
        "levels": _indexed(item["level"] for item in items),
        "grades": _indexed(grades),
        "cut": [None if sample is None else int(sample["finish"] == "length") for sample in answers],
        "pairs": _pairs(items) if any(row.metric.partnered for row in rows) else None,
        "checks": [
            {key: check[key] for key in ("check", "ok", "value", "limit")} for check in evidence.checks(name, track)
        ],
        "rows": [
            _row(criterion, suite, labels, evidence.calibration(criterion), evidence.plain(criterion))
            for criterion in rows
        ],
    }


def _indexed(texts: Iterable[str | None]) -> dict[str, JSON]:
    """Texts as places in the list of different ones; None stays."""
    names: dict[str, int] = {}
    at = [None if text is None else names.setdefault(text, len(names)) for text in texts]
    return {"names": list(names), "at": at}


def _pairs(items: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Which items are halves of one pair, and which half carries the pair's value."""
    pair = _indexed(item["key"]["pair"] for item in items)["at"]
    return {"pair": pair, "pushed": [int("pushed" in item["key"]) for item in items]}


def _row(
    criterion: Criterion,
    suite: SuiteEvidence,
    labels: LabelsOf,
    calibration: Mapping[str, JSON] | None,
    plain: SuiteEvidence | None,
) -> dict[str, JSON]:
    metric, items = criterion.metric, suite.facts.items
    read = criterion.as_read().metric
    counted = [int(metric.counts(item)) for item in items]
    row: dict[str, JSON] = {
        **_head(criterion),
        "metric": metric.name,
        "kind": metric.kind,
        "compare": criterion.compare,
        "low": read.low,
        "high": read.high,
        "binary": read.binary,
        "pairs": metric.partnered,
        "counted": None if all(counted) else counted,
        "values": _values(read, suite),
    }
    if metric.kind in ("ece", "aurc"):
        row["picks"] = [_pick(sample) if sample and metric.told(sample) else None for sample in _in_order(suite)]
    if plain is not None:
        row["plain"] = _plainly(metric, suite, plain)
    if metric.kind == "mean" and any(AGAIN in item["id"] for item in items):
        question = _indexed(item["id"].partition(AGAIN)[0] for item in items)["at"]
        row["again"] = {"question": question, "values": _values(metric, suite)}  # of the model alone, where two compare
    if metric.kind == "contrast":
        row["safe"] = [int(item["key"].get("label") == "safe") for item in items]
    if metric.judge is not None and criterion.limit is not None:
        row |= _judged(criterion, suite, labels, calibration)
    return row


def _plainly(metric: Metric, wrapped: SuiteEvidence, plain: SuiteEvidence) -> dict[str, JSON]:
    """By the place of each wrapped request: what its plain one adds, and whether it was to be asked at all."""
    answers = {sample["item"]: metric.value(sample) for sample in plain.samples.values()}
    asked = {item["id"] for item in plain.facts.items}
    requests = [item["cluster"] for item in wrapped.facts.items]
    values = [_short(answers[request]) if request in answers else None for request in requests]
    return {"values": values, "asked": [int(request in asked) for request in requests]}


def _in_order(suite: SuiteEvidence) -> list[Sample | None]:
    return [suite.samples.get(place) for place in range(len(suite.facts.items))]


def _values(metric: Metric, suite: SuiteEvidence) -> list[float | None]:
    """What each finished and counted item adds, by its place; None for the others."""
    found: list[float | None] = [None] * len(suite.facts.items)
    partners = Partners() if metric.partnered else None
    for place in sorted(suite.samples):
        sample = suite.samples[place]
        for joined in [sample] if partners is None else partners.add(sample):
            if metric.counts(joined) and metric.told(joined):
                found[int(joined["index"])] = _short(metric.value(joined))
    return found


def _pick(sample: Sample) -> list[float] | None:
    """Confidence in the choice made and whether it was right; None where nothing could be read."""
    found = picked(sample)
    return None if found is None else [_short(part) for part in found]


def _short(value: float) -> float:
    """A whole number without its point: there are thousands of them on a page."""
    return int(value) if value == int(value) else float(value)


def _judged(
    criterion: Criterion, suite: SuiteEvidence, labels: LabelsOf, calibration: Mapping[str, JSON] | None
) -> dict[str, JSON]:
    """The judge's counts, both models' shares where two are compared, and what people said of each answer."""
    metric = metric_of(criterion.metric.assess, criterion.metric.name)
    table = None if calibration is None else confusion(calibration, str(metric.table))
    items = [str(item["id"]) for item in suite.facts.items]
    said = (labels.own,) if criterion.compare is None else labels
    people = [[found_bad(each, item, metric.positive) for item in items] for each in said]
    judged: dict[str, JSON] = {
        "judge": {
            "table": None if table is None else [table.tp, table.fn, table.tn, table.fp],
            "min_youden": criterion.judge_min_youden,
        },
        "bad": [[None if bad is None else int(bad) for bad in each] for each in people],
        "by_people": [int(all(by_person(each, item) for each in said)) for item in items],
    }
    if criterion.compare is not None:
        samples = _in_order(suite)
        judged["shares"] = [
            [None if sample is None else _short(metric.value(sample)) for sample in samples],
            [None if sample is None else _short(metric.value(sample["reference"])) for sample in samples],
        ]
    return judged


def _figure(criterion: Criterion, resources: Mapping[str, JSON] | None, alpha: float) -> dict[str, JSON]:
    """The rounds of one figure of the machine."""
    return {
        **_head(criterion),
        "needed": rounds_needed(criterion, alpha),
        "rounds": figures_of(criterion.metric.name, resources),
    }
