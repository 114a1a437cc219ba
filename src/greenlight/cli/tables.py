"""How are plans drawn as text?"""

from __future__ import annotations

from collections.abc import Mapping

from greenlight.evidence import JSON


def plan_table(plan: Mapping[str, JSON]) -> str:
    """One line per row: level, limit, items, labels, and how likely a perfect model would pass."""
    lines = [f"policy {plan['policy']['name']} · alpha {plan['alpha']} over {plan['attempts']} attempts"]
    for row in plan["rows"]:
        chance = "" if row["p_pass"] is None else f"a perfect model passes with {row['p_pass']:.2f}"
        labels = f"{row['labels']} labels by a person, " if row.get("labels") else ""
        if row["row"] in plan["unmeasured"]:
            labels, chance = "", "cannot be measured of this model: NOT RUN"
        elif row["row"].startswith("open."):
            chance = "as --openness FILE says it; NOT RUN without"
        elif row.get("passes_at") is not None:
            chance += f", one at {row['passes_at']:.3g} with 0.90"
        lines.append(
            f"  {row['level']:<9}{row['row']:<38}{_limit(row):<10}{row['n']:>6,} items   {labels}{chance}".rstrip()
        )
    minutes = f" · about {plan['minutes']:.0f} min" if plan.get("minutes") else ""
    lines.append(f"up to {plan['items']:,} items{minutes} · {p_go_words(plan)}")
    return "\n".join(lines)


def p_go_words(plan: Mapping[str, JSON]) -> str:
    """How likely a perfect model would get GO; or that it cannot, and why."""
    n = len(plan["unmeasured"])
    if n:
        return f"GO is impossible: {n} row{'' if n == 1 else 's'} cannot be measured of this model"
    return f"a perfect model would get GO with probability {plan['p_go']:.2f}"


def _limit(row: Mapping[str, JSON]) -> str:
    if row["limit"] is None:
        return ""
    return f"{'≤' if row['direction'] == 'max' else '≥'} {row['limit']:g}"
