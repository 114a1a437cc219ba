"""Which numbers belong on a benchmark's leaderboard? .eval_results/*.yaml, for data sets of the Hub alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from greenlight.evidence import JSON
from greenlight.release.exports.source import File, NotApplicableError, Source, note
from greenlight.release.exports.team import Team
from greenlight.release.order import Row


def eval_results(source: Source, team: Team) -> Iterator[File]:
    """One file an assessment, each number with n and interval in its notes (huggingface.co/docs/hub/eval-results).

    Raises:
        NotApplicableError: no assessment of the run is known to be a data set of the Hub.
    """
    by_assess: dict[str, list[dict[str, JSON]]] = {}
    for row in source.measured():
        dataset = _dataset(source, team, row)
        if dataset is not None:
            entry = {"dataset": dataset, "value": row["value"], "date": source.decision["decided"], "notes": note(row)}
            by_assess.setdefault(row["assess"], []).append(entry)
    if not by_assess:
        raise NotApplicableError(
            "no assessment of this run is known to be a benchmark of the Hub",
            "name it in [datasets] of the team's answers, as owner/name#task",
        )
    for assess, entries in by_assess.items():
        yield File(f".eval_results/{assess}.yaml", yaml.safe_dump(entries, sort_keys=False, width=120).encode())


def _dataset(source: Source, team: Team, row: Row) -> dict[str, JSON] | None:
    named = team.dataset(row["assess"])
    if named is not None:
        return {"id": named[0], "task_id": named[1]}
    known: Mapping[str, JSON] | None = source.contents.data.get(row["assess"], {}).get("dataset")
    return None if known is None else {key: known[key] for key in ("id", "task_id", "revision") if known.get(key)}
