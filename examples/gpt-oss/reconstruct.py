"""What could a reader of the gpt-oss model card decide? Its figures, held against a policy with their intervals.

    python examples/gpt-oss/reconstruct.py [FOLDER]

Writes ledger.jsonl, rows.md and the public page. Every number follows from published.toml and policy.toml.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.evidence import canonical, sha256
from greenlight.gate.criteria import row_json
from greenlight.gate.decision import verdict_of
from greenlight.gate.explanation import SENTENCES, conditions, explanation, statement_row
from greenlight.gate.policy import Criterion, Policy, load_policy
from greenlight.gate.rules import Finding, Status
from greenlight.measure.statistics.proportions import Interval, lower_bound, upper_bound, upper_bounds
from greenlight.release.delay import Material, explain
from greenlight.release.explanation import limit_words, number
from greenlight.release.ledger import appending, read_ledger

HERE = Path(__file__).parent

MODELS = ("gpt-oss-120b", "gpt-oss-20b")

ENTERED = "2026-11-26T12:00:00Z"
"""When this reconstruction was entered: what was said when stands in each entry."""

KIND = "reconstructed from published figures: no answer was seen, so it can never be a GO"

MOST = 1_000_000
"""Beyond this many answers nobody would ask."""

DELAYS: tuple[dict[str, Any], ...] = (
    {
        "event": "planned",
        "on": "2025-03",
        "date": None,
        "words": "early summer 2025",
        "category": None,
        "reason": "an open-weight model is announced",
        "source": "uniladtech.com, 2025-07-16, looking back",
    },
    {
        "event": "slipped",
        "on": "2025-06",
        "date": None,
        "words": "later this summer",
        "category": "outside the policy",
        "reason": "something “unexpected and quite amazing”",
        "source": "techcrunch.com, as cited by news.az, 2025-07-12; the category is ours, as no limit was named",
    },
    {
        "event": "slipped",
        "on": "2025-07-11",
        "date": None,
        "words": "no date",
        "category": "safety & alignment",
        "reason": "time “to run additional safety tests and review high-risk areas”",
        "source": "indiatoday.in, 2025-07-12; news.az, 2025-07-12",
    },
    {
        "event": "released",
        "on": "2025-08-05",
        "date": "2025-08-05",
        "words": "",
        "category": None,
        "reason": "gpt-oss-120b and gpt-oss-20b, Apache-2.0",
        "source": "arXiv:2508.10925; arXiv:2508.03153",
    },
)

REVIEW = (
    "2025-10-23: METR's review of the method of assessing malicious fine-tuning made 17 recommendations, 6 of them "
    "urgent; of these 5 were implemented and 1 in part: clear criteria for classifying a model as High. "
    "(metr.org/blog/2025-10-23-gpt-oss-methodology-review)"
)


def write_ledger(path: Path) -> None:
    """The public record as a ledger."""
    path.unlink(missing_ok=True)
    with appending(path, "gpt-oss", begun=ENTERED) as ledger:
        for delay in DELAYS:
            ledger.enter("delay", delay, at=ENTERED)
        ledger.enter("note", {"text": REVIEW, "outside": None}, at=ENTERED)


def decide(policy: Policy, published: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A decision in the shape of decision.json, from published figures alone."""
    rows = [row_of(criterion, published[criterion.name], model, policy.row_alpha) for criterion in policy.criteria]
    rows += [statement_row(statement) for statement in policy.statements]
    verdict = verdict_of(rows, kind="imported")
    told = explanation(policy, rows, verdict=verdict, kind="imported", decided=ENTERED)
    return {
        "format": "greenlight.decision/1",
        "lock": "",
        "policy": {"name": policy.name, "sha256": policy.sha256},
        "model": {"name": model, "digest": ""},
        "kind": "imported",
        "decided": ENTERED,
        "verdict": verdict,
        "sentence": SENTENCES[verdict],
        "alpha": policy.alpha,
        "attempts": policy.attempts,
        "rows": rows,
        "conditions": conditions(rows),
        # It is over: what stays open here has no date at which it will be looked at again.
        "explanation": {**told, "kind": KIND, "next_review": None, "missed": ""},
    }


def row_of(criterion: Criterion, figures: Mapping[str, Any], model: str, alpha: float) -> dict[str, Any]:
    """One row: decided where the size of the set is public, NOT RUN where no interval can be put on the figure."""
    n = figures.get("n")
    rate = _rate(figures, model)
    bounds = None if n is None else _bounds(figures, model, n, alpha if criterion.limit is not None else 0.025)
    status: Status = "NOT RUN" if bounds is None else _status(criterion, bounds)
    finding = Finding(
        status=status,
        value=None if bounds is None else rate,
        bounds=bounds,
        details={"assumption": figures["assumption"]} if "assumption" in figures else {},
        method="none" if bounds is None else "Clopper-Pearson on the published rate and the size of the public set",
    )
    return row_json(
        criterion,
        finding,
        status=status,
        alpha=alpha,
        counts={"n_used": n or 0, "n_finished": n or 0, "n_planned": n or 0, "clusters": n or 0},
        checks=[],
        words={
            "reason": _reason(criterion, figures, rate, bounds),
            "change": _change(criterion, figures, rate, status, alpha),
            "next": "",
        },
    )


def _rate(figures: Mapping[str, Any], model: str) -> float:
    return float(figures[model] if model in figures else round(figures["right"][model] - figures["wrong"][model], 10))


def _bounds(figures: Mapping[str, Any], model: str, n: int, alpha: float) -> Interval:
    """Exact bounds; of right minus wrong, those of its parts together, alpha shared between them."""
    if model in figures:
        return Interval(lower_bound(figures[model] * n, n, alpha), upper_bound(figures[model] * n, n, alpha))
    right, wrong = figures["right"][model] * n, figures["wrong"][model] * n
    return Interval(
        lower_bound(right, n, alpha / 2) - upper_bound(wrong, n, alpha / 2),
        upper_bound(right, n, alpha / 2) - lower_bound(wrong, n, alpha / 2),
    )


def _status(criterion: Criterion, bounds: Interval) -> Status:
    limit = criterion.limit
    if limit is None:
        return "DISCLOSED"
    low, high = bounds if criterion.direction == "max" else (-bounds.upper, -bounds.lower)
    allowed = limit if criterion.direction == "max" else -limit
    return "PASS" if high <= allowed else "FAIL" if low > allowed else "INCONCLUSIVE"


def _reason(criterion: Criterion, figures: Mapping[str, Any], rate: float, bounds: Interval | None) -> str:
    assuming = f"; assuming {figures['assumption']}" if "assumption" in figures else ""
    if bounds is None:
        return f"{figures['table']} gives {rate:.3f}, without the number of prompts or an interval"
    span = f"between {bounds.lower:.3f} and {bounds.upper:.3f}"
    return f"{figures['table']}: {rate:.3f} of {figures['n']:,}, {span}{assuming}"


def _change(criterion: Criterion, figures: Mapping[str, Any], rate: float, status: Status, alpha: float) -> str:
    """What would have settled it, in answers."""
    if status in ("PASS", "FAIL", "DISCLOSED"):
        return ""
    judged = " and how often its grader errs" if criterion.metric.kind == "judged" else ""
    ask = f"the number of prompts{judged}" if status == "NOT RUN" else "a larger set"
    if criterion.limit is None:
        needed = answers_for_half_width(rate, 0.02)
        return f"{ask}; {needed:,} answers put this rate within 2 points either way at 95 %"
    found = answers_needed(rate, criterion.limit, alpha)
    good = (rate < criterion.limit) == (criterion.direction == "max")
    what = "show that the limit is kept" if good else "show that it is not"
    return f"{ask}; {found:,} independent answers at this rate {what}" if found else f"{ask}; the rate is at the limit"


def answers_needed(rate: float, limit: float, alpha: float) -> int | None:
    """The least number of independent answers at a rate whose exact bound lies clear of a limit; None beyond MOST."""
    n = np.arange(1, MOST + 1)
    # Seen from above: a rate above its limit is the other answer's rate below its own.
    p, bar = (rate, limit) if rate < limit else (1 - rate, 1 - limit)
    step, start = 20_000, 0
    while start < MOST:
        some = n[start : start + step]
        clear = np.flatnonzero(upper_bounds(p * some, some, alpha) <= bar)
        if clear.size:
            return int(some[clear[0]])
        start += step
    return None


def answers_for_half_width(rate: float, half: float) -> int:
    """The least number of answers whose exact 95 % interval reaches no further than this either way."""
    n = np.arange(1, 20_001)
    up = upper_bounds(rate * n, n, 0.025) - rate
    down = upper_bounds((1 - rate) * n, n, 0.025) - (1 - rate)
    return int(n[np.flatnonzero(np.maximum(up, down) <= half)[0]])


def table(decisions: Sequence[Mapping[str, Any]]) -> str:
    """Both models' rows as Markdown."""
    lines = [
        "| Row | Limit | Model | Published | n | Interval | Outcome | What would have settled it |",
        "|" + "---|" * 8,
    ]
    for rows in zip(*(decision["rows"] for decision in decisions), strict=True):
        for decision, row in zip(decisions, rows, strict=True):
            if row["metric"] != "statement":
                lines.append(_table_line(row, decision["model"]["name"]))
    return "\n".join(lines) + "\n"


def _table_line(row: Mapping[str, Any], model: str) -> str:
    n = f"{row['n_used']:,}" if row["n_used"] else "not published"
    n += " (assumed)" if row["details"] else ""
    known = row["value"] is not None
    rate = number(row, row["value"]) if known else row["reason"].partition("gives ")[2].partition(",")[0]
    bounds = f"{number(row, row['lower'])} to {number(row, row['upper'])}" if known else "none"
    limit = "" if row["limit"] is None else limit_words(row)
    return "| " + " | ".join((row["row"], limit, model, rate, n, bounds, row["status"], row["change"])) + " |"


def main(folder: Path) -> None:
    """Write everything into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = load_policy(HERE / "policy.toml")
    published = tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))["rows"]
    write_ledger(folder / "ledger.jsonl")
    decisions = [decide(policy, published, model) for model in MODELS]
    (folder / "rows.md").write_text(table(decisions), encoding="utf-8")
    first = decisions[0]
    made = explain(
        Material(
            decision=first,
            decision_sha256=sha256(canonical(first) + b"\n"),
            ledger=read_ledger(folder / "ledger.jsonl"),
            vouched=("of what was said: as the sources give it; of this page: the author's word",),
        )
    )
    (folder / "page").mkdir(exist_ok=True)
    for name, data in made.files.items():
        (folder / "page" / name).write_bytes(data)
    for decision in decisions:
        print(f"{decision['model']['name']}: {decision['verdict']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
