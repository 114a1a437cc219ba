"""What does each verb of the main path do with a reference? Load, lock or read a lock, choose the folder, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.assess.own import suites_of
from greenlight.compose.asking import Shard
from greenlight.compose.assessing import assess
from greenlight.compose.entering import enter_lock, stands
from greenlight.compose.exam import calibrations_of, lock, plan, redraw, unmeasured, unmeasured_of
from greenlight.compose.examinee import Examinee
from greenlight.compose.local_examinee import LocalExaminee
from greenlight.compose.models import load
from greenlight.compose.observer import Observer
from greenlight.compose.openness import keep_openness, read_openness
from greenlight.compose.participants import Participants
from greenlight.compose.review import Review, review
from greenlight.compose.settings import Settings
from greenlight.compose.tasks import locked_tasks, places_of, run_tasks
from greenlight.engine import SamplingParams
from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, write_json
from greenlight.gate.lock import Kind, policy_of, read_lock
from greenlight.gate.policy import Policy, load_policy
from greenlight.hub import EndpointReference, parse_reference
from greenlight.release.ledger import AUTHOR

if TYPE_CHECKING:
    from greenlight.gate.plan import Plan
    from greenlight.release.verify import Verification

DEFAULT = Settings(None, SamplingParams())
"""No system prompt, the most likely token at each step."""

MAX_PARTS = 10_000
"""More parts than an exam has items."""


def find_examinee(
    reference: str, *, pull: bool = False, ops: str | None = None, observer: Observer | None = None
) -> Examinee:
    """A model by reference, ready to sit an exam.

    Raises:
        HubError, FormatError, UnsupportedError, TextError: as `load`.
        EngineError: an endpoint cannot be reached, or does not speak the protocol.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, EndpointReference):
        # HTTP is imported where an endpoint is asked.
        from greenlight.compose.endpoint_examinee import EndpointExaminee
        from greenlight.engine.remote import RemoteModel

        waiting = None if observer is None else observer.waiting
        return EndpointExaminee(RemoteModel.reach(parsed.url, parsed.model, waiting=waiting))
    return LocalExaminee(load(reference, pull=pull, ops=ops, observer=observer))


def _participants(
    reference: str,
    policy: Policy,
    *,
    pull: bool,
    ops: str | None,
    observer: Observer | None,
    references: Mapping[str, str] | None,
) -> Participants:
    """The candidate, and how those are found whom the policy names."""

    def find(name: str) -> Examinee:
        return find_examinee(name, pull=pull, ops=ops, observer=observer)

    return Participants(find(reference), policy, find, references)


def plan_reference(policy: str | Path, reference: str | None = None, *, observer: Observer | None = None) -> Plan:
    """The plan of a policy; with a model, also the minutes that it takes here, and what cannot be measured of it."""
    if reference is None:
        return plan(policy)
    rules, candidate = load_policy(policy), find_examinee(reference, observer=observer)
    return replace(plan(rules, tokens_per_s=candidate.tokens_per_s()), unmeasured=unmeasured_of(candidate, rules))


def lock_reference(
    policy: str | Path,
    reference: str,
    out: Path | str,
    *,
    settings: Settings = DEFAULT,
    ops: str | None = None,
    references: Mapping[str, str] | None = None,
    ledger: Path | str | None = None,
    release_of: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> dict[str, JSON]:
    """Fix a policy, a model and an exam in a file; each such lock is one attempt.

    Args:
        policy: a file, or the name of a shipped policy.
        reference: the candidate.
        out: where the lock is written.
        settings: system prompt and sampling that are released with it.
        ops: which operations compute it.
        references: where the policy's references are.
        ledger: counts the attempts: the lock is entered there before it is written.
        release_of: the release that the ledger is about, where the candidate has another name.
        pull: fetch what is missing.
        observer: told of each step.

    Raises:
        EvidenceError: the file exists already, as a lock is never overwritten; or the ledger is of another release.
    """
    out = Path(out)
    if out.exists():
        raise EvidenceError("a lock is never overwritten", where=str(out), do="choose another file")
    rules = load_policy(policy)
    plan(rules)
    everyone = _participants(reference, rules, pull=pull, ops=ops, observer=observer, references=references)

    def make(attempt: int | None, head: str | None) -> dict[str, JSON]:
        return lock(rules, everyone, settings, kind="exam", attempt=attempt, ledger=head)

    if ledger is not None:
        name = release_of or everyone.candidate.name
        entered: dict[str, JSON] = enter_lock(Path(ledger), name, make, lambda value: write_json(out, value))
        return entered
    value = make(None, None)
    write_json(out, value)
    return value


def assess_reference(
    reference: str,
    *,
    policy: str | Path | None = None,
    lock_path: Path | str | None = None,
    settings: Settings = DEFAULT,
    out: Path | str | None = None,
    only: Sequence[str] | None = None,
    minutes: float | None = None,
    include_harmful: bool = False,
    whole: bool = False,
    shard: tuple[int, int] | None = None,
    ops: str | None = None,
    references: Mapping[str, str] | None = None,
    openness: Path | str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> Path:
    """Ask and record; without a lock the run is exploratory, and can never be a GO.

    Raises:
        UsageError: a shard (number, parts) that is none.
    """
    if shard is not None and not 1 <= shard[0] <= shard[1] <= MAX_PARTS:
        raise UsageError("there is no such part of an exam", found=f"{shard[0]}/{shard[1]}", do="--shard 1/4 to 4/4")
    stated = None if openness is None else read_openness(openness)
    rules = _policy_for(lock_path, policy)
    everyone = _participants(reference, rules, pull=pull, ops=ops, observer=observer, references=references)
    value = _lock_for(everyone, lock_path, policy, settings, "exploratory")
    folder = Path(out) if out else _default_folder("runs", everyone.candidate, value)
    assess(
        everyone,
        value,
        folder,
        only=only,
        minutes=minutes,
        include_harmful=include_harmful,
        whole=whole,
        shard=None if shard is None else Shard(*shard),
        observer=observer,
    )
    if stated is not None:
        keep_openness(folder, stated)
    return folder


def review_reference(
    reference: str,
    *,
    policy: str | Path | None = None,
    lock_path: Path | str | None = None,
    settings: Settings = DEFAULT,
    out: Path | str | None = None,
    minutes: float | None = None,
    include_harmful: bool = False,
    ops: str | None = None,
    references: Mapping[str, str] | None = None,
    openness: Path | str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> Review:
    """Plan, lock, assess, decide, report; without a lock a rehearsal, which repeats exactly and spends no attempt."""
    stated = None if openness is None else read_openness(openness)
    rules = _policy_for(lock_path, policy)
    everyone = _participants(reference, rules, pull=pull, ops=ops, observer=observer, references=references)
    value = _lock_for(everyone, lock_path, policy, settings, "rehearsal")
    speed, seed = everyone.candidate.tokens_per_s(), int(value["seed"], 16)
    folder = Path(out) if out else _default_folder("reviews", everyone.candidate, value)
    tasks = suites_of(locked_tasks(value, places_of(folder, rules)))
    planned = plan(rules, tokens_per_s=speed, seed=seed, known=calibrations_of(value), tasks=tasks)
    if observer:
        rows = unmeasured(value, tasks)
        observer.planned(replace(planned, unmeasured=rows))
        if rows:
            observer.unmeasured(rows)
    return review(
        everyone, value, folder, minutes=minutes, include_harmful=include_harmful, openness=stated, observer=observer
    )


def verify(
    folder: Path | str, *, public_key: Path | str | None = None, ledger: Path | str | None = None
) -> Verification:
    """Recompute every number of a bundle, draw its exam again from the lock's seed, check its signature by a key.

    With a ledger, the run's lock and decision must stand in it as they stand in the folder.
    """
    from greenlight.release.verify import verify as verify_folder

    def again(lock_value: Mapping[str, JSON]) -> Mapping[str, Sequence[Mapping[str, JSON]]]:
        return redraw(lock_value, run_tasks(Path(folder), lock_value))

    found = verify_folder(Path(folder), redraw=again, public_key=Path(public_key) if public_key else None)
    return found if ledger is None or not found.same else _in_ledger(found, Path(folder), Path(ledger))


def _in_ledger(found: Verification, folder: Path, ledger: Path) -> Verification:
    """A verification that held, with what the ledger says of the run."""
    try:
        says = stands(folder, ledger)
    except EvidenceError as error:
        place = f"{error.where}: " if error.where else ""
        difference = f"{place}{error.what}" + (f" ({error.found})" if error.found else "")
        return found._replace(same=False, difference=difference)
    # Who vouches for the time, and which attempt it is, is the ledger's to say where there is one.
    notes = tuple(note for note in found.notes if note != AUTHOR and "give --ledger" not in note)
    return found._replace(checks=(*found.checks, *says.checks), notes=(*says.notes, *notes))


def _policy_for(lock_path: Path | str | None, policy: str | Path | None) -> Policy:
    """The policy of a lock's file, or the one that is named; the starter where neither is."""
    if lock_path is None:
        return load_policy(policy or "starter")
    # Files that it names are looked for beside the lock; their digests are the lock's.
    return replace(policy_of(read_lock(Path(lock_path))), folder=Path(lock_path).resolve().parent)


def _lock_for(
    participants: Participants,
    lock_path: Path | str | None,
    policy: str | Path | None,
    settings: Settings,
    kind: Kind,
) -> Mapping[str, JSON]:
    """The lock of a file, or a new one; what a lock fixes cannot be asked for otherwise beside it."""
    if lock_path is None:
        return lock(participants.policy, participants, settings, kind=kind)
    value = read_lock(Path(lock_path))
    fixed = Settings.from_json(value["settings"])
    asked = {"policy": policy is None or load_policy(policy).sha256 == value["policy"]["sha256"]}
    asked["system prompt"] = settings.system in (DEFAULT.system, fixed.system)
    asked["sampling"] = settings.sampling in (DEFAULT.sampling, fixed.sampling)
    for name, agrees in asked.items():
        if not agrees:
            raise UsageError(
                f"the lock fixes another {name} than this command asks for",
                where=str(lock_path),
                do="leave the option out, or make a new lock: greenlight lock",
            )
    return value


def _default_folder(parent: str, candidate: Examinee, value: Mapping[str, JSON]) -> Path:
    return Path(parent) / f"{candidate.name}-{value['id'][:8]}"
