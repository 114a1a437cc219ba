"""Do the intervals cover what they say, and how often is a GO wrong? Simulated through the code that judges.

    python benchmarks/simulate.py [--runs 2000] [--out docs/statistics.md]

Every part is a function of its cell and a seed; tests run the same functions with fewer runs. With --out, the tables
are written between the two marks in that file.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from scipy import stats  # noqa: E402

from greenlight.gate.pairs import EARLY  # noqa: E402
from greenlight.measure.statistics.clusters import GroupSums, binary_clustered  # noqa: E402
from greenlight.measure.statistics.judged import (  # noqa: E402
    SPLIT_P,
    SPLIT_SE,
    SPLIT_SP,
    Confusion,
    Stratum,
    corrected,
    labelled_bounds,
)
from greenlight.measure.statistics.labels import Part, look  # noqa: E402
from greenlight.measure.statistics.paired import loss  # noqa: E402
from greenlight.measure.statistics.power import p_no_worse  # noqa: E402
from greenlight.measure.statistics.proportions import clopper_pearson, wilson  # noqa: E402
from greenlight.measure.statistics.sequence import Capital, GroupedSequence, peaks  # noqa: E402

MARKS = "<!-- simulated: benchmarks/simulate.py -->", "<!-- end of what was simulated -->"

Floats = NDArray[np.float64]


def exact_coverage(method: str, n: int, rate: float) -> float:
    """Of a two-sided 95 % interval of a proportion: no simulation, every count weighed by its probability."""
    hits = np.arange(n + 1)
    interval = clopper_pearson if method == "Clopper-Pearson" else wilson
    bounds = [interval(float(count), n, 0.05) for count in hits]
    inside = np.array([found.lower <= rate <= found.upper for found in bounds])
    return float(stats.binom.pmf(hits[inside], n, rate).sum())


def grouped_hits(rate: float, n_groups: int, size: int, icc: float, runs: int, rng: np.random.Generator) -> Floats:
    """Hits per group, (runs, groups), beta-binomial with this intraclass correlation."""
    if icc == 0:
        return rng.binomial(size, np.full((runs, n_groups), rate)).astype(float)
    spread = (1 - icc) / icc
    return rng.binomial(size, rng.beta(rate * spread, (1 - rate) * spread, (runs, n_groups))).astype(float)


def clustered_coverage(n_groups: int, size: int, rate: float, icc: float, runs: int, seed: int = 1) -> float:
    """Of the two-sided 95 % interval of a proportion whose answers come in groups."""
    covered = 0
    for hits in grouped_hits(rate, n_groups, size, icc, runs, np.random.default_rng(seed)):
        bounds = binary_clustered(GroupSums(hits, np.full(n_groups, float(size))), 0.025)
        covered += bounds.lower <= rate <= bounds.upper
    return covered / runs


def judged_coverage(n: int, rate: float, se: float, sp: float, labels: int, runs: int, seed: int = 2) -> float:
    """Of a judged share, corrected at the judge's worst; half of the labels that measured the judge are positive."""
    rng, covered, alpha = np.random.default_rng(seed), 0, 0.025
    for _ in range(runs):
        tp, tn = rng.binomial(labels // 2, se), rng.binomial(labels // 2, sp)
        table = Confusion(tp, labels // 2 - tp, tn, labels // 2 - tn)
        bad = rng.binomial(n, rate)
        flagged = int(rng.binomial(bad, se) + rng.binomial(n - bad, 1 - sp))
        p = clopper_pearson(flagged, n, 2 * alpha * SPLIT_P)
        bounds = corrected(p, table.sensitivity(alpha * SPLIT_SE), table.specificity(alpha * SPLIT_SP))
        covered += bounds.lower <= rate <= bounds.upper
    return covered / runs


def labelled_coverage(n: int, rate: float, se: float, sp: float, labels: int, runs: int, seed: int = 3) -> float:
    """Of the rate that labels of this run show, a random draw of `labels` in each stratum (all, where there are fewer).

    What is covered is the rate behind the answers, of which these n are a sample.
    """
    rng, covered = np.random.default_rng(seed), 0
    for _ in range(runs):
        bad = rng.random(n) < rate
        flagged = np.where(bad, rng.random(n) < se, rng.random(n) >= sp)
        strata = [
            Stratum(int(side.sum()), min(labels, int(side.sum())), int(bad[side][:labels].sum()))
            for side in (flagged, ~flagged)
        ]
        bounds = labelled_bounds(*strata, 0.025)
        covered += bounds.lower <= rate <= bounds.upper
    return covered / runs


def paired_coverage(n: int, size: int, worse: float, better: float, icc: float, runs: int, seed: int = 4) -> float:
    """Of the two-sided 95 % interval of a paired difference of yes-or-no answers, in groups of a size."""
    rng, covered, groups = np.random.default_rng(seed), 0, [str(index // size) for index in range(n)]
    for _ in range(runs):
        alike = np.repeat(rng.choice([1.0, -1.0, 0.0], p=[worse, better, 1 - worse - better], size=n // size), size)
        own = rng.choice([1.0, -1.0, 0.0], p=[worse, better, 1 - worse - better], size=n)
        losses = np.where(rng.random(n) < icc, alike, own)
        bounds = loss(losses.tolist(), groups, width=1, alpha=0.025, planned=None).bounds
        covered += bounds.lower <= worse - better <= bounds.upper
    return covered / runs


def wrong_go(limit: float, side: int, n: int, alpha: float, attempts: int, runs: int, seed: int = 5) -> float:
    """How often one of several models at the limit is shown beyond it, looked at after every answer."""
    rng, passed = np.random.default_rng(seed), []
    for _ in range(attempts):
        values = (rng.random((runs, n)) < limit).astype(float)
        passed.append(peaks(values, limit, side) >= -math.log(alpha / attempts))
    return float(np.any(passed, axis=0).mean())


def wrong_go_grouped(
    limit: float, n_groups: int, size: int, icc: float, alpha: float, runs: int, seed: int = 6
) -> float:
    """The same for answers in groups, stopping after any of them: a floor at the true rate."""
    rng, wrong = np.random.default_rng(seed), 0
    for hits in grouped_hits(limit, n_groups, size, icc, runs, rng):
        answers = [(f"g{g}", float(k < hits[g])) for g in range(n_groups) for k in rng.permutation(size)]
        sequence = GroupedSequence(0, 1, n_planned=n_groups * size, n_groups=n_groups, limits=[(limit, 1)])
        for at in rng.permutation(len(answers)):
            sequence.add(*answers[at])
        wrong += sequence.shown(limit, 1, alpha)
    return wrong / runs


def wrong_go_judged(
    limit: float, n: int, se: float, sp: float, alpha: float, attempts: int, runs: int, seed: int = 7
) -> float:
    """How often labels pass a model at the limit, when someone labels on through every stage; any attempt counts."""
    rng, wrong = np.random.default_rng(seed), 0
    for _ in range(runs):
        for _ in range(attempts):
            bad = rng.random(n) < limit
            flagged = np.where(bad, rng.random(n) < se, rng.random(n) >= sp)
            parts = [Part(int(side.sum()), bad[side].tolist()) for side in (flagged, ~flagged)]
            if look(*parts, limit, alpha / attempts).passes is True:
                wrong += 1
                break
    return wrong / runs


def stops(rate: float, limit: float, runs: int, most: int, alpha: float = 0.05, seed: int = 8) -> Floats:
    """After how many answers a row on a ceiling is certain, either way; `most` where it never is."""
    rng = np.random.default_rng(seed)
    values = (rng.random((runs, most)) < rate).astype(float)
    found = []
    for run in values:
        pair = Capital(limit, 1), Capital(limit, -1)
        taken = 0
        for value in run:
            taken += 1
            for capital in pair:
                capital.add(value)
            if max(capital.log for capital in pair) >= -math.log(alpha):
                break
        found.append(taken)
    return np.array(found, float)


def tables(runs: int) -> Iterator[str]:
    """Every table in Markdown."""
    few = max(200, runs // 2)
    yield "### Coverage of a nominal 95 %"
    yield table(
        ["method", "cells", "least", "mean", "where it is least"],
        [
            _least(f"{method}, n from 30 to 600, rates 1 to 50 %", exact)
            for method, exact in (
                (
                    "Clopper-Pearson (exact figures)",
                    {(n, p): exact_coverage("Clopper-Pearson", n, p) for n in (30, 100, 313, 600) for p in RATES},
                ),
                (
                    "Wilson (exact figures; carries no verdict)",
                    {(n, p): exact_coverage("Wilson", n, p) for n in (30, 100, 313, 600) for p in RATES},
                ),
            )
        ]
        + [
            _least(
                "wider of cluster t and Clopper-Pearson: (groups, size, rate, correlation)",
                {
                    (g, size, p, icc): clustered_coverage(g, size, p, icc, runs)
                    for g in (20, 40, 100)
                    for size in (2, 5, 10)
                    for p in (0.02, 0.1, 0.3, 0.5)
                    for icc in (0.0, 0.3, 0.9)
                },
            ),
            _least(
                "judged share at the judge's worst: (n, rate, Se, Sp, labels)",
                {
                    (n, p, se, sp, m): judged_coverage(n, p, se, sp, m, runs)
                    for n in (160, 600)
                    for p in (0.0, 0.02, 0.1, 0.4)
                    for se, sp in ((0.99, 0.99), (0.9, 0.95), (0.8, 0.8))
                    for m in (100, 600)
                },
            ),
            _least(
                "labels of this run, in two strata: (n, rate, Se, Sp, labels a stratum)",
                {
                    (n, p, se, sp, m): labelled_coverage(n, p, se, sp, m, runs)
                    for n in (300, 600)
                    for p in (0.01, 0.05, 0.2)
                    for se, sp in ((1.0, 1.0), (0.9, 0.9), (0.5, 0.95))
                    for m in (75, 200)
                },
            ),
            _least(
                "paired difference: (n, group size, worse, better, correlation)",
                {
                    (n, size, worse, better, icc): paired_coverage(n, size, worse, better, icc, few)
                    for n in (120, 400)
                    for size in (1, 4)
                    for worse, better in ((0.05, 0.05), (0.15, 0.05), (0.3, 0.3))
                    for icc in ((0.0,) if size == 1 else (0.0, 0.8))
                },
            ),
        ],
    )
    yield "### Wrong GO: the true rate is the limit, alpha is 5 %"
    yield table(
        ["row", "runs", "wrong GO"],
        [
            *(
                [
                    f"{'floor' if side > 0 else 'ceiling'} {limit:g}, {n} answers, a look after each, {tries(k)}",
                    f"{5 * runs}",
                    percent(wrong_go(limit, side, n, 0.05, k, 5 * runs)),
                ]
                for limit, side, n in ((0.8, 1, 400), (0.05, -1, 600), (0.02, -1, 600))
                for k in (1, 5)
            ),
            *(
                [
                    f"floor 0.8, 30 groups of 4, correlation {icc:g}, a look after each",
                    f"{few}",
                    percent(wrong_go_grouped(0.8, 30, 4, icc, 0.05, few)),
                ]
                for icc in (0.3, 0.9)
            ),
            *(
                [
                    f"ceiling {limit:g} by labels, n {n}, Se {se:g}, Sp {sp:g}, every stage looked at, {tries(k)}",
                    f"{few}",
                    percent(wrong_go_judged(limit, n, se, sp, 0.05, k, few)),
                ]
                for limit, n in ((0.05, 600), (0.15, 300))
                for se, sp in ((1.0, 1.0), (0.9, 0.88), (0.5, 0.95))
                for k in (1, 5)
            ),
            *(
                [
                    f"paired margin {margin:g}, n {n} in {groups} groups, {100 * (margin + 2 * better):.0f} % differ",
                    f"{few}",
                    percent(at_margin(n, groups, margin, better, few)),
                ]
                for n, groups, margin in ((551, 551, 0.08), (400, 100, 0.1))
                for better in (0.0, 0.03, 0.1)
            ),
        ],
    )
    yield "### How early a row is certain: a ceiling of 5 %, at most 600 answers, alpha 5 %"
    yield table(
        ["true rate", "median answers", "nine of ten by", "mean share of 600 saved"],
        [_saved(rate, stops(rate, 0.05, 200, 600)) for rate in (0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.5)],
    )
    yield "### What the refused cells would do"
    yield table(["method", "cell", "would do"], refused(runs))


RATES = np.linspace(0.01, 0.5, 50).tolist()


def at_margin(n: int, groups: int, margin: float, better: float, runs: int) -> float:
    """How often a model that is worse by the margin itself passes a paired row, both looks together."""
    return p_no_worse(n, groups, margin, 1, 0.05, EARLY, runs, worse=margin + better, better=better)


def refused(runs: int) -> list[list[str]]:
    """The cells that guards.py refuses, as they would be without it."""
    rng, few = np.random.default_rng(9), max(200, runs // 5)
    ends = [stats.binomtest(hits, 10).proportion_ci(0.95, "wilson") for hits in range(11)]
    least = min(sum(stats.binom.pmf(h, 10, p) for h, end in enumerate(ends) if end.low <= p <= end.high) for p in RATES)
    hits = grouped_hits(0.1, 8, 10, 0.3, runs, rng)
    means, residuals = hits.sum(axis=1) / 80, hits - hits.mean(axis=1, keepdims=True)
    errors = np.sqrt(8 / 7 * (residuals**2).sum(axis=1)) / 80
    t_covers = float((np.abs(means - 0.1) <= stats.t.ppf(0.975, 7) * errors).mean())
    leans = rng.choice([1.0, 0.0], p=[0.1, 0.9], size=(runs, 60))
    upper = leans.mean(axis=1) + stats.t.ppf(0.95, 59) * leans.std(axis=1, ddof=1) / math.sqrt(60)
    each = 0
    for _ in range(few):
        bad = np.repeat(rng.random(80) < 0.15, 5)[rng.permutation(400)].tolist()
        each += look(Part(0, []), Part(400, bad), 0.15, 0.05).passes is True
    return [
        ["Wilson", "n = 10, rates 1 to 50 %", f"cover {percent(least)} at the least, not 95 %"],
        ["cluster-robust t", "8 groups of 10, rate 10 %, correlation 0.3", f"cover {percent(t_covers)}, not 95 %"],
        [
            "t of signs",
            "60 groups, one in ten leans",
            f"pass a lean at the limit in {percent(float((upper <= 0.1).mean()))}, not 5 %",
        ],
        [
            "labels of every answer",
            "80 requests in 5 wordings alike, limit 15 %",
            f"pass a model at the limit in {percent(each / few)}, not 5 %",
        ],
    ]


def tries(k: int) -> str:
    """For a table."""
    return f"{k} attempts" if k > 1 else "1 attempt"


def percent(share: float) -> str:
    """For a table."""
    return f"{100 * share:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _least(name: str, cells: dict[tuple[float, ...], float]) -> list[str]:
    worst = min(cells, key=lambda cell: cells[cell])
    where = ", ".join(f"{value:g}" for value in worst)
    return [name, str(len(cells)), percent(cells[worst]), percent(float(np.mean(list(cells.values())))), where]


def _saved(rate: float, found: Floats) -> list[str]:
    return [
        f"{rate:g}",
        f"{np.median(found):.0f}",
        f"{np.quantile(found, 0.9):.0f}",
        percent(float(1 - found.mean() / 600)),
    ]


def main() -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = "\n\n".join(tables(options.runs))
    if options.out is None:
        print(text)
        return
    page = options.out.read_text("utf-8")
    before, after = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    options.out.write_text(f"{page[:before]}\n\n{text}\n\n{page[after:]}", "utf-8")


if __name__ == "__main__":
    main()
