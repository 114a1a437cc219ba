"""How is an exam fixed before the first answer? Policy, suites and model become a plan and a lock."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from greenlight.assess.catalog import find_suite
from greenlight.assess.data import DataMissingError
from greenlight.assess.own import suites_of
from greenlight.assess.suites import Item, Suite
from greenlight.compose.examinee import Examinee
from greenlight.compose.participants import Participants
from greenlight.compose.settings import Settings
from greenlight.compose.tasks import tasks_of
from greenlight.errors import LockError, UsageError
from greenlight.evidence import JSON, sha256_json
from greenlight.gate.calibration import read_calibration
from greenlight.gate.criterion import Criterion, JudgeSpec
from greenlight.gate.evidence_rows import cannot
from greenlight.gate.lock import Kind, draw_seed, make_lock, policy_of, template_entry
from greenlight.gate.plan import Plan, SuiteFacts, make_plan
from greenlight.gate.policy import Policy, load_policy
from greenlight.measure.refusal import calibration
from greenlight.measure.verdicts import rubric


@dataclass(frozen=True, eq=False)
class Exam:
    """A drawn suite: what is asked, in the order of the lock."""

    suite: Suite
    """Where the items come from."""

    items: tuple[Item, ...]
    """The items, in the exam's order."""

    repeats: int = 1
    """How often each is asked."""

    @functools.cached_property
    def items_sha256(self) -> str:
        """Digest of the whole items."""
        return sha256_json([item.to_json() for item in self.items])

    def facts(self) -> SuiteFacts:
        """What planning and deciding need to know of it."""
        return SuiteFacts.of(
            name=self.suite.name,
            version=self.suite.version,
            kind=self.suite.kind,
            answer_tokens=self.suite.answer_tokens,
            items=[item.to_json() for item in self.items],
        )

    def entry(self) -> dict[str, JSON]:
        """How a lock names it."""
        return {
            "suite": self.suite.name,
            "version": self.suite.version,
            "n": len(self.items),
            "grader": self.suite.grader,
            "answer_tokens": self.suite.answer_tokens,
            "items_sha256": self.items_sha256,
            **({"files": files} if (files := dict(self.suite.files())) else {}),
            **({"repeats": self.repeats} if self.repeats > 1 else {}),
        }


@functools.lru_cache(maxsize=64)
def _draw(suite: Suite, seed: int, n: int | None, repeats: int = 1) -> Exam:
    """One suite's exam; planning, locking and asking draw the same one, so it is kept.

    Args:
        suite: what is drawn.
        seed: of the lock.
        n: items in all, repeats included; None for the suite's own size.
        repeats: how often each is asked; the choices of a suite weigh the same each time, so they are weighed once.
    """
    times = repeats if suite.kind == "generate" else 1
    if n is not None and len((usual := _draw(suite, seed, None, repeats)).items) == n:
        return usual
    once = suite.draw(seed, None if n is None else n // times)
    again = (replace(item, id=f"{item.id}~{turn}") for turn in range(2, times + 1) for item in once)
    return Exam(suite, (*once, *again), times)


def check_only(policy: Policy, only: Sequence[str] | None) -> None:
    """Refuse a name that is no assessment of the policy.

    Raises:
        UsageError: naming it, and those there are.
    """
    known = policy.assessments()
    if unknown := sorted(set(only or ()) - set(known)):
        raise UsageError(
            f"the policy {policy.name} has no assessment called {unknown[0]}", do=f"choose from {', '.join(known)}"
        )


def _suites_of(policy: Policy, tasks: Mapping[str, Suite]) -> list[Suite]:
    """The suites that a policy's criteria read, in policy order."""
    return [find_suite(name, tasks, f"policy {policy.name}") for name in policy.suites()]


def plan(
    policy: Policy | str | Path = "starter",
    *,
    tokens_per_s: float | None = None,
    seed: int = 0,
    known: Mapping[str, JSON] | None = None,
    tasks: Mapping[str, Suite] | None = None,
) -> Plan:
    """What an exam under this policy would take, and whether a perfect model could pass it, before anything is run.

    Args:
        policy: a policy, a file, or the name of a shipped one.
        tokens_per_s: speed of the model over many answers at once, for an estimate of minutes.
        seed: draws the exam that is planned for; any seed gives the same sizes.
        known: the judges' errors, where they were read before.
        tasks: the policy's own tests, where they were read before.

    Raises:
        PolicyError: the policy asks for something that no number of its items can show.
    """
    rules = policy if isinstance(policy, Policy) else load_policy(policy)
    own = suites_of(tasks_of(rules)) if tasks is None else tasks
    exams = [_draw(suite, seed, None, rules.repeats) for suite in _suites_of(rules, own)]
    facts = {exam.suite.name: exam.facts() for exam in exams}
    return make_plan(rules, facts, tokens_per_s=tokens_per_s, calibrations=known or calibrations(rules))


def lock(
    policy: Policy | str | Path,
    participants: Participants,
    settings: Settings,
    *,
    kind: Kind = "rehearsal",
    nonce: str | None = None,
    attempt: int | None = None,
    ledger: str | None = None,
) -> dict[str, JSON]:
    """Fix policy, models, settings and exam by digest, before the first sample.

    Args:
        policy: a policy, a file, or the name of a shipped one.
        participants: the model with its identity, and those that the policy compares it with or lets judge it.
        settings: system prompt and sampling.
        kind: `exam` adds a nonce and is one attempt; `rehearsal` repeats exactly; `exploratory` can never be a GO.
        nonce: hex, for an exam: from outside, where others should see that nobody chose it; drawn otherwise.
        attempt: which attempt it is, where a ledger counts them.
        ledger: digest of the ledger's last entry before it.
    """
    rules = policy if isinstance(policy, Policy) else load_policy(policy)
    if rules.repeats > 1 and settings.sampling.temperature == 0:
        raise UsageError(
            "asking again without sampling gives the same answer",
            where=f"policy {rules.name}, repeats = {rules.repeats}",
            found="temperature 0",
            do="set --temperature to what the model is released with, or remove repeats",
        )
    tasks, candidate = tasks_of(rules), participants.candidate
    suites = _suites_of(rules, suites_of(tasks))
    nonce = secrets.token_hex(16) if kind == "exam" and nonce is None else nonce
    model, template, released = candidate.identity(), candidate.template_sha256, settings.to_json(candidate.ops)
    versions = [(suite.name, suite.version) for suite in suites]
    seed = draw_seed(
        rules, model=model, template_sha256=template, settings=released, suites=versions, nonce=nonce, kind=kind
    )
    known = calibrations(rules)
    return make_lock(
        rules,
        model=model,
        template_sha256=template,
        settings=released,
        suites=[_draw(suite, seed, None, rules.repeats).entry() for suite in suites],
        kind=kind,
        nonce=nonce,
        attempt=attempt,
        ledger=ledger,
        calibrations={name: sha256_json(value) for name, value in known.items()},
        references={
            reference.name: {
                **_locked(participants.examinee(reference.name), settings),
                "ref": participants.where(reference.name),
            }
            for reference in rules.references
        },
        judges={judge.name: _locked_judge(judge, participants, known[judge.name]) for judge in rules.judges},
        tasks={task.name: task.to_lock() for task in tasks},
        template_date=candidate.template_date,
    )


def _locked(examinee: Examinee, settings: Settings) -> dict[str, JSON]:
    """What a lock says of a reference: it is asked under the candidate's own settings."""
    return {
        "model": examinee.identity(),
        "template": template_entry(examinee.template_sha256, examinee.template_date),
        "settings": settings.to_json(examinee.ops),
    }


def _locked_judge(judge: JudgeSpec, participants: Participants, measured: JSON) -> dict[str, JSON]:
    """What a lock says of a judge: everything that its verdicts can be read again from."""
    asked = {"kind": judge.kind, "calibration": measured}
    if judge.kind == "refusal_mass":
        return {**asked, "threshold": measured["threshold"], "model": None}
    words = rubric(judge.rubric)
    model = participants.judge(judge.name).identity()
    _must_be_of(judge, measured, {"model": model["digest"], "rubric": words.sha256})
    return {**asked, "rubric": words.name, "rubric_sha256": words.sha256, "model": model}


def _must_be_of(judge: JudgeSpec, measured: JSON, expected: Mapping[str, str]) -> None:
    """Refuse a measured error that is of another model, or of other words, than will judge."""
    found = {"model": measured["model"]["digest"], "rubric": measured["rubric_sha256"]}
    for name, digest in expected.items():
        if found[name] != digest:
            raise LockError(
                f"a judge's error was measured of another {name} than the one that will judge",
                where=f"judge {judge.name}, {judge.calibration}",
                found=f"{found[name][:12]}, expected {digest[:12]}",
                do=f"measure it again: greenlight judge {judge.name} --policy POLICY.toml --labelled FILE",
            )


def exams_of(lock_value: Mapping[str, JSON], tasks: Mapping[str, Suite] | None = None) -> list[Exam]:
    """Draw the exam of a lock again.

    Args:
        lock_value: the lock.
        tasks: its tests of the user's own, by the name of their suite.

    Raises:
        LockError: this version draws other items than the lock fixed.
    """
    seed, exams = int(lock_value["seed"], 16), []
    for entry in lock_value["suites"]:
        suite = find_suite(entry["suite"], tasks, "the lock")
        exam = _draw(suite, seed, entry["n"], entry.get("repeats", 1))
        if exam.entry() != entry:
            differing = [name for name, value in exam.entry().items() if entry.get(name) != value]
            raise LockError(
                "this version of greenlight does not draw the exam that was locked",
                where=f"suite {entry['suite']}, version {entry['version']}",
                found=f"version {suite.version}; other {', '.join(differing)}",
                do="use the version that made the lock, or make a new lock: greenlight lock",
            )
        exams.append(exam)
    return exams


def unmeasured(lock_value: Mapping[str, JSON], tasks: Mapping[str, Suite] | None = None) -> tuple[str, ...]:
    """Rows that cannot be measured of a lock's models, as the lock says of each model what cannot."""
    weighing = {exam.suite.name for exam in exams_of(lock_value, tasks) if exam.suite.kind == "choice"}
    kinds = {name: str(judge["kind"]) for name, judge in lock_value.get("judges", {}).items()}

    def unable(what: str, whose: str | None) -> bool:
        return cannot(lock_value, what, whose) is not None

    return _impossible(policy_of(lock_value), weighing, kinds, unable)


def unmeasured_of(examinee: Examinee, policy: Policy, tasks: Mapping[str, Suite] | None = None) -> tuple[str, ...]:
    """The same before there is a lock: rows of a policy that cannot be measured of this candidate."""
    own = suites_of(tasks_of(policy)) if tasks is None else tasks
    weighing = {suite.name for suite in _suites_of(policy, own) if suite.kind == "choice"}
    unable = examinee.identity().get("cannot", {})
    kinds = {judge.name: judge.kind for judge in policy.judges}
    return _impossible(policy, weighing, kinds, lambda what, whose: whose is None and what in unable)


def _impossible(
    policy: Policy,
    weighing: Collection[str],
    judges: Mapping[str, str],
    unable: Callable[[str, str | None], bool],
) -> tuple[str, ...]:
    """Rows that need what a model cannot do.

    Args:
        policy: its rows.
        weighing: assessments that weigh given texts.
        judges: the kind of each judge that the policy names.
        unable: whether something cannot be measured of the candidate (None) or of a reference.
    """

    def impossible(row: Criterion) -> bool:
        if row.assess == "resources":
            return unable("resources", None)
        weighs = row.assess in weighing or judges.get(row.judge) == "refusal_mass"
        return weighs and any(unable("choice", whose) for whose in dict.fromkeys((None, row.compare)))

    return tuple(row.name for row in policy.criteria if impossible(row))


def redraw(
    lock_value: Mapping[str, JSON], tasks: Mapping[str, Suite] | None = None
) -> dict[str, list[dict[str, JSON]]]:
    """The items that a lock's seed draws; suites of another version, or of files that are not here, are left out."""
    seed, drawn = int(lock_value["seed"], 16), {}
    for entry in lock_value["suites"]:
        try:
            suite = find_suite(entry["suite"], tasks)
            same = suite.version == entry["version"] and dict(suite.files()) == entry.get("files", {})
        except (UsageError, DataMissingError):
            continue
        if same:
            exam = _draw(suite, seed, entry["n"], entry.get("repeats", 1))
            drawn[entry["suite"]] = [item.to_json() for item in exam.items]
    return drawn


def calibrations(policy: Policy) -> dict[str, JSON]:
    """What is known of each judge's error: as shipped with the package, and as files beside the policy say.

    Raises:
        PolicyError: a judge's file is missing, or is no calibration of such a judge.
    """
    return {"refusal": calibration(), **{judge.name: read_calibration(judge, policy) for judge in policy.judges}}


def calibrations_of(lock_value: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same, of a lock: it holds those that do not ship with the package."""
    return {
        "refusal": calibration(),
        **{name: judge["calibration"] for name, judge in lock_value.get("judges", {}).items()},
    }
