"""What does each verb of the main path do with a reference? Load, lock or read a lock, choose the folder, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.compose.exam import Settings, lock, plan, redraw
from greenlight.compose.models import Loaded, load
from greenlight.compose.observer import Observer
from greenlight.compose.review import Review, assess, review
from greenlight.engine import SamplingParams
from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, write_json
from greenlight.gate.lock import Kind, read_lock

if TYPE_CHECKING:
    from greenlight.release.verify import Verification

DEFAULT = Settings(None, SamplingParams())
"""No system prompt, the most likely token at each step."""


def lock_reference(
    policy: str | Path,
    reference: str,
    out: Path,
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
    policy: str | Path = "starter",
    lock_path: Path | None = None,
    settings: Settings = DEFAULT,
    out: Path | None = None,
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
    folder = out or _default_folder("runs", loaded, value)
    assess(
        loaded, value, folder, only=only, minutes=minutes, include_harmful=include_harmful, observer=observer
    )
    return folder


def review_reference(
    reference: str,
    *,
    policy: str | Path = "starter",
    lock_path: Path | None = None,
    settings: Settings = DEFAULT,
    out: Path | None = None,
    minutes: float | None = None,
    include_harmful: bool = False,
    ops: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> Review:
    """Plan, lock, assess, decide, report. Without a lock it is a rehearsal: it repeats exactly and spends no attempt."""
    loaded = load(reference, pull=pull, ops=ops, observer=observer)
    value = _lock_for(loaded, lock_path, policy, settings, "rehearsal")
    planned = plan(policy if lock_path is None else value["policy"]["toml"])
    if observer:
        observer.planned(planned)
    folder = out or _default_folder("reviews", loaded, value)
    return review(loaded, value, folder, minutes=minutes, include_harmful=include_harmful, observer=observer)


def verify(folder: Path) -> Verification:
    """Recompute every number of a bundle, and draw its exam again from the lock's seed."""
    from greenlight.release.verify import verify as verify_folder

    return verify_folder(folder, redraw=redraw)


def _lock_for(
    loaded: Loaded, lock_path: Path | None, policy: str | Path, settings: Settings, kind: Kind
) -> Mapping[str, JSON]:
    return read_lock(lock_path) if lock_path else lock(policy, loaded, settings, kind=kind)


def _default_folder(parent: str, loaded: Loaded, value: Mapping[str, JSON]) -> Path:
    return Path(parent) / f"{loaded.name}-{value['id'][:8]}"
