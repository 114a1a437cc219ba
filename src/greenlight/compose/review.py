"""How does a locked exam become a verdict that can be checked? Ask, decide, report, in that order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from greenlight.compose.assessing import assess
from greenlight.compose.observer import Observer
from greenlight.compose.openness import Stated, keep_openness
from greenlight.compose.participants import Participants
from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical, now, read_json, write_atomic, write_json, write_manifest
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.policy import load_policy


class Review(NamedTuple):
    """A decided run."""

    folder: Path
    decision: dict[str, JSON]


def decide(folder: Path | str) -> dict[str, JSON]:
    """Decide a run under its own lock; a decision of the same evidence keeps its time."""
    folder = Path(folder)
    path = folder / "decision.json"
    decided = None
    if path.exists():
        earlier = read_json(path, "decision")
        again = decide_folder(folder, decided=earlier["decided"])
        decided = earlier["decided"] if canonical(again) == canonical(earlier) else None
    decision = decide_folder(folder, decided=decided or now())
    write_json(path, decision)
    return decision


def decide_under(folder: Path | str, policy: str | Path) -> dict[str, JSON]:
    """What another policy would say of the same evidence; shown beside the verdict, never written, never instead."""
    other: dict[str, JSON] = decide_folder(Path(folder), policy_text=load_policy(policy).text)["other"]
    return other


def report(folder: Path | str) -> Path:
    """Write report.html, a pure function of the folder, and the manifest over everything.

    Raises:
        EvidenceError: the run is not decided, or its decision does not follow from what it holds: a manifest written
            over that would vouch for it.
    """
    from greenlight.release.page import render

    folder = Path(folder)
    if not (folder / "decision.json").exists():
        raise EvidenceError("this run is not decided", where=str(folder), do=f"greenlight decide {folder}")
    _check_follows(folder)
    path = folder / "report.html"
    write_atomic(path, render(folder))
    write_manifest(folder)
    return path


def _check_follows(folder: Path) -> None:
    decision = read_json(folder / "decision.json", "decision")
    again = decide_folder(folder, decided=decision["decided"])
    # Words may be an earlier version's; the verdict is the same in all.
    same_words = decision.get("wording") == again["wording"]
    if canonical(decision) != canonical(again) if same_words else decision["verdict"] != again["verdict"]:
        raise EvidenceError(
            "the decision does not follow from what this run holds",
            where=str(folder / "decision.json"),
            found=f"verdict {decision['verdict']!r}, derived {again['verdict']!r}",
            do=f"decide it again: greenlight decide {folder}",
        )


def review(
    participants: Participants,
    lock: Mapping[str, JSON],
    folder: Path,
    *,
    minutes: float | None = None,
    include_harmful: bool = False,
    openness: Stated | None = None,
    observer: Observer | None = None,
) -> Review:
    """The main job after the lock: assess, decide, report; the folder is then a bundle that `verify` can check."""
    assess(participants, lock, folder, minutes=minutes, include_harmful=include_harmful, observer=observer)
    if openness is not None:
        keep_openness(folder, openness)
    decision = decide(folder)
    report(folder)
    if observer:
        observer.decided(decision, folder)
    return Review(folder, decision)
