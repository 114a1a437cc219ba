"""What comes of laying runs side by side? Differences with bounds, flips, what is missing, each one's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON
from greenlight.gate.policy import Policy
from greenlight.release.comparing.flips import SuiteFlips, flips_of
from greenlight.release.comparing.pairs import Missing, missing_of
from greenlight.release.comparing.rows import PairedRow, Unpaired, compared_rows
from greenlight.release.comparing.sides import Side, check_comparable, differing_settings, policy_for, read_sides
from greenlight.release.comparing.standing import Ahead, Standing, ahead, standing_of


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Runs side by side; all are compared with the first."""

    policy: str
    """Name of the policy whose rows are compared."""

    alpha: float
    """Of each bound alone, and of each of the two lists (worse, better) after Holm."""

    standings: tuple[Standing, ...]
    """Each run's verdict and rows under the policy."""

    ahead: tuple[Ahead, ...]
    """Where each other run and the first stand apart."""

    settings: tuple[str, ...]
    """Settings that differ, where comparing across them was asked for."""

    rows: tuple[PairedRow, ...]
    """Paired differences."""

    unpaired: tuple[Unpaired, ...]
    """Rows that cannot be paired, and why."""

    flips: tuple[SuiteFlips, ...]
    """Answers that were graded otherwise, suite by suite."""

    missing: tuple[tuple[str, Missing], ...]
    """Items that one run lacks, by the other run's name."""

    @property
    def regressions(self) -> tuple[PairedRow, ...]:
        """Rows on which another run is shown to be worse than the first, the surest first."""
        return tuple(
            sorted((row for row in self.rows if row.outcome == "worse"), key=lambda row: row.holm_worse or 0.0)
        )

    def to_json(self) -> dict[str, JSON]:
        """For programs; nothing is left out but what is withheld."""
        return {
            "format": "greenlight.comparison/1",
            "policy": self.policy,
            "alpha": self.alpha,
            "runs": [standing.to_json() for standing in self.standings],
            "better_for_this_policy": [{**one._asdict(), "sentence": one.sentence} for one in self.ahead],
            "settings": list(self.settings),
            "rows": [row.to_json() for row in self.rows],
            "regressions": [[row.second, row.row] for row in self.regressions],
            "unpaired": [asdict(row) for row in self.unpaired],
            "flips": [{**suite._asdict(), "flips": [flip.to_json() for flip in suite.flips]} for suite in self.flips],
            "missing": [{"second": name, **found._asdict()} for name, found in self.missing],
        }


def compare_runs(
    folders: Sequence[Path | str],
    *,
    policy: Policy | None = None,
    across: bool = False,
    include_harmful: bool = False,
) -> RunComparison:
    """Compare runs with the first of them, item by item; nothing is graded again.

    Args:
        folders: two run folders or more, decided or not.
        policy: whose rows are compared; by default the one that all were locked with.
        across: compare although the settings differ, and say so.
        include_harmful: show the text of harmful items and of answers to them.

    Raises:
        UsageError: fewer than two runs, or one twice.
        EvidenceError: other items, other settings, other policies, or a damaged folder.
    """
    paths = [Path(folder) for folder in folders]
    try:
        sides = read_sides(paths)
        return _compare(sides, policy_for(sides, policy), across=across, include_harmful=include_harmful)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where=", ".join(map(str, paths)),
            found=f"{type(error).__name__}: {str(error)[:160]}",
            do="verify each of the runs: greenlight verify RUN",
        ) from error


def _compare(sides: Sequence[Side], policy: Policy, *, across: bool, include_harmful: bool) -> RunComparison:
    first, *others = sides
    shared = [(second, check_comparable(first, second, across=across)) for second in others]
    rows, unpaired = compared_rows(policy, first, shared)
    standings = tuple(standing_of(side, policy) for side in sides)
    return RunComparison(
        policy=policy.name,
        alpha=policy.alpha,
        standings=standings,
        ahead=tuple(ahead(standings[0], standing) for standing in standings[1:]),
        settings=tuple(f"{second.name}: {words}" for second in others for words in differing_settings(first, second)),
        rows=tuple(rows),
        unpaired=tuple(unpaired),
        flips=tuple(
            flips_of(first, second, suite, include_harmful=include_harmful)
            for second, suites in shared
            for suite in suites
        ),
        missing=tuple(
            (second.name, found)
            for second, suites in shared
            for suite in suites
            if (found := missing_of(first, second, suite))
        ),
    )
