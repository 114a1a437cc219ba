"""How does a person set a row aside? One line of the run's waivers, allowed by its policy, then the decision again."""

from __future__ import annotations

from pathlib import Path

from greenlight.compose.review import decide, report
from greenlight.errors import PolicyError
from greenlight.evidence import JSON, Journal, alone, now
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.lock import policy_of, read_lock
from greenlight.gate.waivers import FILE, OPTIONS, USED, parse_waiver, read_waivers


def waive(folder: Path | str, row: str, *, who: str, why: str, until: str, given: str | None = None) -> dict[str, JSON]:
    """Set a row of a run aside, and decide the run again; the verdict is then at best GO WITH CONDITIONS.

    Args:
        folder: the run.
        row: which row, as the report names it.
        who: one whom the policy names.
        why: the reason, which is published.
        until: the last day on which it has effect.
        given: the day it is given; today by default.

    Raises:
        PolicyError: the policy does not allow it, the row is INVALID or needs none, or the same person set it aside
            already.
        EvidenceError: a field is written otherwise, or the folder is damaged.
    """
    folder = Path(folder)
    lock = read_lock(folder / "lock.json")
    value = {"row": row, "who": who, "why": why, "given": given or now()[:10], "until": until}
    waiver = parse_waiver(value, "this waiver", OPTIONS)
    policy = policy_of(lock)
    if found := waiver.fault(policy):
        raise _refused(folder, row, found, waiver.remedy(policy))
    status = {known["row"]: known["status"] for known in decide_folder(folder)["rows"]}[row]
    effect = USED if status == "WAIVED" else waiver.effect(status, waiver.given)
    if effect != USED:
        raise _refused(folder, row, f"{row} is {status}: {effect}", _DO.get(status, "leave it as it is"))
    for earlier in read_waivers(folder, lock["id"], policy):
        if waiver.adds_nothing_to(earlier):
            stands = f"{who} set it aside on {earlier.given} until {earlier.until}"
            raise _refused(folder, row, stands, f"nothing, or --until after {earlier.until} to make it longer")
    with alone(folder), Journal(folder / FILE, "waivers", {"lock": lock["id"]}) as journal:
        journal.append(value)
    decision = decide(folder)
    report(folder)
    return decision


_DO = {
    "INVALID": "mend what its check names and assess again: nobody can answer for an instrument that failed",
    "PASS": "nothing: the row passes without it",
    "DISCLOSED": "nothing: the row bars nothing",
}


def _refused(folder: Path, row: str, found: str, do: str) -> PolicyError:
    return PolicyError("the policy does not allow this waiver", where=f"{folder}, {row}", found=found, do=do)
