"""What does each verb of the main path do with a reference? Load, lock or read a lock, choose the folder, run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.compose.exam import lock, plan, redraw
from greenlight.compose.models import Loaded, load
from greenlight.compose.observer import Observer
from greenlight.compose.review import Review, assess, review
from greenlight.compose.settings import Settings
from greenlight.engine import GenerateRequest, SamplingParams
from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import JSON, write_json
from greenlight.gate.lock import Kind, policy_of, read_lock
from greenlight.gate.policy import load_policy

if TYPE_CHECKING:
    from greenlight.gate.plan import Plan
    from greenlight.release.verify import Verification

DEFAULT = Settings(None, SamplingParams())
"""No system prompt, the most likely token at each step."""


PILOT_ITEMS, PILOT_TOKENS = 32, 16
"""Answers timed together for the estimate of minutes, and tokens of each."""


def pilot(loaded: Loaded) -> float:
    """Tokens per second over several answers at once: a fraction of a second's measurement, for planning alone."""
    model, engine = loaded.model, loaded.model.engine()
    sampling = SamplingParams(max_tokens=PILOT_TOKENS, ignore_eos=True)
    requests = [
        GenerateRequest(id=f"pilot-{number}", prompt=model.encode(f"{number} {model.path.name}"), sampling=sampling)
        for number in range(PILOT_ITEMS)
    ]
    start = time.perf_counter()
    tokens = sum(len(result.tokens) for result in engine.generate(requests))
    return tokens / (time.perf_counter() - start)


def plan_reference(policy: str | Path, reference: str | None = None) -> Plan:
    """The plan of a policy; with a model, also how many minutes it would take here."""
    return plan(policy, tokens_per_s=pilot(load(reference)) if reference else None)


def lock_reference(
    policy: str | Path,
    reference: str,
    out: Path | str,
    *,
    settings: Settings = DEFAULT,
    ops: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> dict[str, JSON]:
    """Fix a policy, a model and an exam in a file; each such lock is one attempt once it is decided.

    Raises:
        EvidenceError: the file exists already; a lock is never overwritten.
    """
    out = Path(out)
    if out.exists():
        raise EvidenceError("a lock is never overwritten", where=str(out), do="choose another file")
    loaded = load(reference, pull=pull, ops=ops, observer=observer)
    plan(policy)
    value = lock(policy, loaded, settings, kind="exam")
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
    ops: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> Path:
    """Ask and record; without a lock the run is exploratory, and can never be a GO."""
    loaded = load(reference, pull=pull, ops=ops, observer=observer)
    value = _lock_for(loaded, lock_path, policy, settings, "exploratory")
    folder = Path(out) if out else _default_folder("runs", loaded, value)
    assess(loaded, value, folder, only=only, minutes=minutes, include_harmful=include_harmful, observer=observer)
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
    pull: bool = False,
    observer: Observer | None = None,
) -> Review:
    """Plan, lock, assess, decide, report; without a lock a rehearsal, which repeats exactly and spends no attempt."""
    loaded = load(reference, pull=pull, ops=ops, observer=observer)
    value = _lock_for(loaded, lock_path, policy, settings, "rehearsal")
    planned = plan(policy_of(value), tokens_per_s=pilot(loaded), seed=int(value["seed"], 16))
    if observer:
        observer.planned(planned)
    folder = Path(out) if out else _default_folder("reviews", loaded, value)
    return review(loaded, value, folder, minutes=minutes, include_harmful=include_harmful, observer=observer)


def verify(folder: Path | str, *, public_key: Path | str | None = None) -> Verification:
    """Recompute every number of a bundle, draw its exam again from the lock's seed, check its signature by a key."""
    from greenlight.release.verify import verify as verify_folder

    return verify_folder(Path(folder), redraw=redraw, public_key=Path(public_key) if public_key else None)


def _lock_for(
    loaded: Loaded, lock_path: Path | str | None, policy: str | Path | None, settings: Settings, kind: Kind
) -> Mapping[str, JSON]:
    """The lock of a file, or a new one; what a lock fixes cannot be asked for otherwise beside it."""
    if lock_path is None:
        return lock(policy or "starter", loaded, settings, kind=kind)
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


def _default_folder(parent: str, loaded: Loaded, value: Mapping[str, JSON]) -> Path:
    return Path(parent) / f"{loaded.name}-{value['id'][:8]}"
