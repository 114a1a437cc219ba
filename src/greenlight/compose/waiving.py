"""How does a person set a row aside? One line of the run's waivers, allowed by its policy, then the decision again."""

from __future__ import annotations

from pathlib import Path

from greenlight.compose.review import decide, report
from greenlight.errors import PolicyError
from greenlight.evidence import JSON, Journal, alone, now
from greenlight.gate.decision import decide as decide_folder
from greenlight.gate.lock import policy_of, read_lock
from greenlight.gate.waivers import FILE, USED, parse_waiver


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
        PolicyError: the policy does not allow it, or the row is INVALID or needs none.
        EvidenceError: a field is written otherwise, or the folder is damaged.
    """
    folder = Path(folder)
    lock = read_lock(folder / "lock.json")
    value = {"row": row, "who": who, "why": why, "given": given or now()[:10], "until": until}
    waiver = parse_waiver(value, "this waiver")
    found = waiver.fault(policy_of(lock))
    if not found:
        status = {known["row"]: known["status"] for known in decide_folder(folder)["rows"]}[row]
        effect = USED if status == "WAIVED" else waiver.effect(status, waiver.given)
        found = "" if effect == USED else f"{row} is {status}: {effect}"
    if found:
        raise PolicyError("the policy does not allow this waiver", where=f"{folder}, {row}", found=found)
    with alone(folder), Journal(folder / FILE, "waivers", {"lock": lock["id"]}) as journal:
        journal.append(value)
    decision = decide(folder)
    report(folder)
    return decision
