"""What does a run folder say, row by row? Every row judged again from the stored answers, on its own track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from greenlight.errors import LockError
from greenlight.evidence import JSON, read_json, sha256_json
from greenlight.gate.checks import Check, instrument_checks
from greenlight.gate.contamination import FILE as CONTAMINATION
from greenlight.gate.contamination import contamination_row
from greenlight.gate.criteria import rounded, row_json, watch
from greenlight.gate.criterion import RULES, Criterion, Track
from greenlight.gate.facts import SuiteFacts
from greenlight.gate.folder import (
    Answers,
    SuiteEvidence,
    answers_of,
    read_judgements,
    read_labels,
    read_optional,
    read_suite,
)
from greenlight.gate.openness import openness_row
from greenlight.gate.policy import Policy
from greenlight.gate.resources import resource_row
from greenlight.gate.rules import Finding, LabelsOf
from greenlight.gate.wrapped import KEY, beside_plain, plain_suite


class RunEvidence:
    """A run folder, read once.

    Raises:
        LockError: the judges' counts are not those that were locked.
        EvidenceError: a file is missing or damaged, or belongs to another run.
    """

    def __init__(self, folder: Path, lock: Mapping[str, JSON]) -> None:
        self._folder, self._lock = folder, lock
        self._calibrations = read_json(folder / "judge.json", "judge")["judges"]
        for name, digest in lock["calibrations"].items():
            if sha256_json(self._calibrations.get(name)) != digest:
                raise LockError("the judge's counts are not those that were locked", where=f"judge.json, {name}")
        self._suites: dict[Answers, SuiteEvidence] = {
            Answers(reference, entry["suite"]): read_suite(folder, entry, lock["id"], reference=reference)
            for reference in (None, *lock.get("references", ()))
            for entry in lock["suites"]
        }
        self._openness = read_optional(folder / "openness.json", "openness")
        self._resources = read_optional(folder / "resources.json", "resources")
        self._contamination = read_optional(folder / CONTAMINATION, "contamination")
        self._labels = read_labels(
            folder / "labels.jsonl", lock["id"], {whose: suite.outputs for whose, suite in self._suites.items()}
        )
        self._instrument = cache(self._read_instrument)

    @property
    def all_labels(self) -> Mapping[Answers, Mapping[str, tuple[Mapping[str, JSON], ...]]]:
        """What people and tools said of answers, by whose they are and item."""
        return self._labels

    def rows(self, policy: Policy) -> list[dict[str, JSON]]:
        """Every row with a number, in the policy's order."""
        by_name = {row["row"]: row for name in policy.assessments() for row in self._assessment(policy, name)}
        return [by_name[criterion.name] for criterion in policy.criteria]

    def _assessment(self, policy: Policy, name: str) -> list[dict[str, JSON]]:
        if name == "resources" and (why := cannot(self._lock, "resources")):
            return [_not_possible(criterion, policy.row_alpha, 0, why) for criterion in policy.rows_of(name)]
        if name == "open":
            return [openness_row(row, self._openness, policy.row_alpha) for row in policy.rows_of(name)]
        if name == "resources":
            return [resource_row(row, self._resources, policy.row_alpha) for row in policy.rows_of(name)]
        if name == "contaminate":
            answers = {
                suite: tuple(found.samples.values()) for (whose, suite), found in self._suites.items() if whose is None
            }
            own = [found for (whose, _), found in self._suites.items() if whose is None]
            asked = {item["id"] for found in own for item in found.facts.items}
            return [contamination_row(row, self._contamination, policy, answers, asked) for row in policy.rows_of(name)]
        if Answers(None, name) not in self._suites:
            return [_not_run(criterion, policy.row_alpha) for criterion in policy.rows_of(name)]
        return [row for track in policy.tracks(name) for row in self._track(policy, name, track)]

    def _track(self, policy: Policy, name: str, track: Track) -> list[dict[str, JSON]]:
        whose = Answers(track.reference, name)
        criteria = [criterion for criterion in policy.rows_of(name) if criterion.track == track]
        if track.reference is not None and whose not in self._suites:
            return [_not_run(criterion, policy.row_alpha) for criterion in criteria]
        if why := self.why_not(name, track):
            n = self.facts(name).n
            return [_not_possible(criterion, policy.row_alpha, n, why) for criterion in criteria]
        suite = self.suite(name, track)
        follower = watch(policy, name, suite.facts, self._calibrations, track)
        # What was finished beyond the deciding answer is kept, and not used.
        follower.follow(suite.samples.get)
        rows = follower.rows(
            labels=self.labels(name, track),
            instrument=self.checks(name, track),
            n_finished={criterion.name: suite.finished(criterion.metric) for criterion in criteria},
        )
        for criterion, row in zip(criteria, rows, strict=True):
            self._set_beside_plain(criterion, row, policy.row_alpha)
        return rows

    def _set_beside_plain(self, criterion: Criterion, row: dict[str, JSON], alpha: float) -> None:
        """What wrappers add to plain requests, where this run asked both."""
        plain = self.plain(criterion)
        if plain is not None:
            wrapped = self._suites[Answers(None, criterion.assess)]
            if found := beside_plain(criterion, wrapped, plain, alpha):
                row["details"][KEY] = rounded(found)

    def plain(self, criterion: Criterion) -> SuiteEvidence | None:
        """The answers to a row's wrapped requests plainly asked; None of other rows, and where none were asked."""
        plain = plain_suite(criterion)
        return None if plain is None else self._suites.get(Answers(None, plain))

    def why_not(self, name: str, track: Track) -> str | None:
        """Why a track cannot be followed with these models; None where it can. A model may not weigh given texts."""
        judge = self._lock.get("judges", {}).get(track.judge, {})
        if self.facts(name).kind != "choice" and judge.get("kind") != "refusal_mass":
            return None
        everyone = dict.fromkeys((None, track.reference))
        return next((why for name in everyone if (why := cannot(self._lock, "choice", name))), None)

    def suite(self, name: str, track: Track) -> SuiteEvidence:
        """One suite's answers, as a track sees them."""
        own = self._read_by(Answers(None, name), track.judge)
        if track.reference is None:
            return own
        return own.beside(self._read_by(Answers(track.reference, name), track.judge))

    def _read_by(self, whose: Answers, judge: str) -> SuiteEvidence:
        suite = self._suites[whose]
        if judge == RULES:
            return suite
        said = read_judgements(self._folder, judge, suite, self._lock["id"], reference=whose.reference)
        return suite.read_by(said)

    def facts(self, name: str) -> SuiteFacts:
        """What is known of a suite's items."""
        return self._suites[Answers(None, name)].facts

    def labels(self, name: str, track: Track) -> LabelsOf:
        """What people said of the answers that a track reads."""
        own, other = (self._labels.get(Answers(whose, name), {}) for whose in (None, track.reference))
        return LabelsOf(own, other)

    def calibration(self, criterion: Criterion) -> Mapping[str, JSON] | None:
        """The measured error of a row's judge."""
        found: Mapping[str, JSON] | None = self._calibrations.get(criterion.calibration or "")
        return found

    def checks(self, name: str, track: Track) -> Sequence[Check]:
        """What was checked of a suite's instrument beside the answers."""
        kind, reference = self.facts(name).kind, track.reference
        checks = instrument_checks(self._instrument(None), name, kind)
        if reference is not None:
            checks += [
                {**check, "text": f"{reference}: {check['text']}"}
                for check in instrument_checks(self._instrument(reference), name, kind)
            ]
        return checks

    def _read_instrument(self, reference: str | None) -> dict[str, JSON] | None:
        return read_optional(self._folder / answers_of(reference) / "instrument.json", "instrument")


def cannot(lock: Mapping[str, JSON], what: str, reference: str | None = None) -> str | None:
    """Why something cannot be measured of the candidate, or of a reference, as the lock says it; None where it can."""
    model = lock["model"] if reference is None else lock["references"][reference]["model"]
    why = model.get("cannot", {}).get(what)
    return None if why is None else str(why) if reference is None else f"{reference}: {why}"


def _not_possible(criterion: Criterion, alpha: float, n_planned: int, why: str) -> dict[str, JSON]:
    """A row that cannot be measured of this model, however long one asks."""
    words = {
        "reason": f"not measured: {why}",
        "change": "the model's own files on this machine, under a new lock; or a policy without this row",
        "next": "greenlight review ./FILE.gguf",
    }
    finding = Finding(status="NOT RUN", value=None, bounds=None, method="none")
    counts = {"n_used": 0, "n_finished": 0, "n_planned": n_planned, "clusters": 0}
    return row_json(criterion, finding, status="NOT RUN", alpha=alpha, counts=counts, checks=[], words=words)


def _not_run(criterion: Criterion, alpha: float) -> dict[str, JSON]:
    """A row whose assessment is not part of this exam."""
    empty = SuiteFacts(name=criterion.assess, version=0, kind="generate", answer_tokens=0, items=())
    what = "this assessment" if criterion.compare is None else f"the reference {criterion.compare}"
    words = {
        "reason": f"{what} is not part of the exam that was locked",
        "change": "a new lock under a policy that names it",
        "next": "greenlight lock POLICY.toml MODEL --out LOCK",
    }
    finding = Finding(status="NOT RUN", value=None, bounds=None, method="none")
    counts = {"n_used": 0, "n_finished": 0, "n_planned": empty.n, "clusters": 0}
    return row_json(criterion, finding, status="NOT RUN", alpha=alpha, counts=counts, checks=[], words=words)
