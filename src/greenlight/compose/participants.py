"""Who takes part in a run? The candidate, the references beside it, and judges, each loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from greenlight.assess.judge import MassReader, ModelReader, Reader
from greenlight.assess.runner import Subject
from greenlight.compose.examinee import Examinee
from greenlight.compose.settings import Settings
from greenlight.errors import LockError, UsageError
from greenlight.evidence import JSON
from greenlight.gate.criterion import RULES
from greenlight.gate.policy import Policy
from greenlight.measure.verdicts import rubric

OPEN = "?"
"""A reference whose model the policy leaves to whoever locks."""

Find = Callable[[str], Examinee]
"""A model's reference, as on the command line, to the model."""


class Participants:
    """Everyone who takes part under one policy.

    Args:
        candidate: who is assessed.
        policy: names the others.
        find: loads one of them.
        named: where references are that the policy leaves open, or that are elsewhere here, by name.

    Raises:
        UsageError: a reference is named that the policy does not have.
    """

    def __init__(self, candidate: Examinee, policy: Policy, find: Find, named: Mapping[str, str] | None = None) -> None:
        self.candidate, self.policy, self._find = candidate, policy, find
        self._named = {reference.name: reference.model for reference in policy.references} | dict(named or {})
        if strange := sorted(self._named.keys() - {reference.name for reference in policy.references}):
            raise UsageError(
                f"the policy {policy.name} has no reference called {strange[0]}",
                where="--reference",
                do=f"use one of {', '.join(reference.name for reference in policy.references) or 'none'}",
            )
        self._references: dict[str, Examinee] = {}
        self._judges: dict[str, Examinee] = {}
        self._subjects: dict[str | None, Subject] = {}
        self._lock: Mapping[str, JSON] | None = None

    def sit(self, lock: Mapping[str, JSON]) -> None:
        """Take part under a lock from now on: everyone who is loaded is checked against it."""
        self._lock, self._subjects = lock, {}

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the references that were asked for so far, in the policy's order."""
        return tuple(reference.name for reference in self.policy.references if reference.name in self._references)

    def examinee(self, whose: str | None) -> Examinee:
        """The candidate (None), or a reference by its name.

        Raises:
            HubError: it is not on this machine.
            LockError: it is not the one that was locked, or not the one that the policy pins.
        """
        if whose is None:
            return self.candidate
        if whose not in self._references:
            wanted = self.policy.reference(whose)
            found = self._find(self.where(whose))
            if wanted.sha256 is not None and found.digest != wanted.sha256:
                raise _another(f"reference {whose}", "the policy pins", found.digest, wanted.sha256)
            if self._lock is not None:
                check_examinee(found, {**self._lock, **self._lock["references"][whose]}, f"reference {whose}")
            self._references[whose] = found
        return self._references[whose]

    def where(self, whose: str) -> str:
        """Where a reference is: as the command line, the lock or the policy says, the first that says it.

        Raises:
            UsageError: none does.
        """
        locked = {} if self._lock is None else self._lock["references"].get(whose, {})
        named = self._named[whose]
        found: str = locked.get("ref", named) if named == OPEN else named
        if found == OPEN:
            raise UsageError(
                f"the policy leaves open which model {whose} is",
                where=f"policy {self.policy.name}, [reference.{whose}]",
                do=f"--reference {whose}=REF",
            )
        return found

    def judge(self, name: str) -> Examinee:
        """A judge that is a model.

        Raises:
            HubError: it is not on this machine.
            LockError: it is not the one that was locked.
        """
        if name not in self._judges:
            spec = next(judge for judge in self.policy.judges if judge.name == name)
            assert spec.model is not None, "a judge that is a model names it"
            found = self._find(spec.model)
            if self._lock is not None and found.digest != (locked := self._lock["judges"][name]["model"]["digest"]):
                raise _another(f"judge {name}", "the lock fixes", found.digest, locked)
            self._judges[name] = found
        return self._judges[name]

    def subject(self, whose: str | None) -> Subject:
        """The candidate or a reference under the settings of the lock, ready to be asked."""
        assert self._lock is not None, "settings come from a lock"
        if whose not in self._subjects:
            settings = Settings.from_json(self._lock["settings"])
            self._subjects[whose] = Subject(
                answerer=self.examinee(whose).answerer(),
                system=settings.system,
                sampling=settings.sampling,
                seed=int(self._lock["seed"], 16),
            )
        return self._subjects[whose]

    def weighs(self, judge: str) -> bool:
        """Whether a judge weighs given texts with the assessed model itself."""
        assert self._lock is not None, "judges come from a lock"
        return judge != RULES and self._lock["judges"][judge]["kind"] == "refusal_mass"

    def reader(self, judge: str, whose: str | None) -> Reader:
        """A judge of the lock, ready to read the candidate's (None) or a reference's answers."""
        assert self._lock is not None, "judges come from a lock"
        spec = self._lock["judges"][judge]
        if spec["kind"] == "refusal_mass":
            return MassReader(self.subject(whose), float(spec["threshold"]))
        return ModelReader(self.judge(judge).answerer(), rubric(spec["rubric"]), int(self._lock["seed"], 16))


def check_examinee(examinee: Examinee, lock: Mapping[str, JSON], what: str = "the model") -> None:
    """Refuse a model that is not the one a lock fixes.

    Raises:
        LockError: naming what differs.
    """
    expected = {
        "model digest": lock["model"]["digest"],
        "chat template": lock["template"]["sha256"],
        "date that prompts state": lock["template"].get("date"),
        "operations": lock["settings"]["ops"],
    }
    found = {
        "model digest": examinee.digest,
        "chat template": examinee.template_sha256,
        "date that prompts state": examinee.template_date,
        "operations": examinee.ops,
    }
    for name, value in expected.items():
        if found[name] != value:
            raise _another(f"{what}, {name}", "the lock fixes", found[name], value)


def _another(where: str, who: str, found: str | None, expected: str | None) -> LockError:
    return LockError(
        f"{who} another model",
        where=where,
        found=f"{found}, expected {expected}",
        do="assess the model that was locked, or make a new lock for this one: greenlight lock",
    )
