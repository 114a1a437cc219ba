"""Which rows decided a verdict, and in which order are the others worth reading?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from greenlight.evidence import JSON

Row: TypeAlias = Mapping[str, JSON]

VERDICTS = {"go": "GO", "go_with_conditions": "GO WITH CONDITIONS", "hold": "HOLD", "no_go": "NO-GO"}
"""The verdicts as people say them."""

_URGENCY = ("FAIL", "INVALID", "NOT RUN", "INCONCLUSIVE", "WAIVED", "PASS", "DISCLOSED")
_LEVELS = ("must", "should", "disclose")


def deciding(decision: Mapping[str, JSON]) -> list[Row]:
    """The rows that the verdict rests on, in policy order.

    NO-GO rests on the musts that fail; HOLD on the musts that are open and on disclosures that are missing; GO WITH
    CONDITIONS on the shoulds that did not pass and on what is set aside; GO on every row with a limit.
    """
    rows: Sequence[Row] = decision["rows"]
    musts = [row for row in rows if row["level"] == "must"]
    shoulds = [row for row in rows if row["level"] == "should"]
    match decision["verdict"]:
        case "no_go":
            return [row for row in musts if row["status"] == "FAIL"]
        case "hold":
            missing = [row for row in rows if row["level"] == "disclose" and row["status"] == "NOT RUN"]
            return [row for row in musts if row["status"] not in ("PASS", "WAIVED")] + missing
        case "go_with_conditions":
            waived = [row for row in rows if row["level"] != "should" and row["status"] == "WAIVED"]
            return [row for row in shoulds if row["status"] != "PASS"] + waived
    return musts + shoulds


def others(decision: Mapping[str, JSON]) -> list[Row]:
    """The rest: by level, within a level what needs attention first, then policy order."""
    first = {row["row"] for row in deciding(decision)}
    rest = [row for row in decision["rows"] if row["row"] not in first]
    return sorted(rest, key=lambda row: (_LEVELS.index(row["level"]), _URGENCY.index(row["status"])))


def tally(decision: Mapping[str, JSON]) -> list[tuple[str, int]]:
    """How many rows there are of each status, the most urgent first."""
    counts = [(status, sum(row["status"] == status for row in decision["rows"])) for status in _URGENCY]
    return [(status, count) for status, count in counts if count]
