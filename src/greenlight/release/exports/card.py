"""How does a decision look on a model's page? README.md in the form of the Hugging Face Hub: metadata and text.

The metadata holds what the Hub knows fields for (huggingface.co/docs/hub/model-cards). What a number may not be parted
from (n, interval, limit, status) goes with it as arguments of its metric.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.resources import files

import yaml

from greenlight.evidence import JSON
from greenlight.release.explanation import limit_words, markdown, number, plain, tell, title
from greenlight.release.exports.questions import questions
from greenlight.release.exports.source import BLANK, File, Source, interval_words, level
from greenlight.release.exports.team import Team
from greenlight.release.order import Row, deciding, others
from greenlight.release.text import visible

TASK = "text-generation"

_ON_CARD = ("intended_uses", "acceptable_use", "data_provenance", "training_design", "hardware", "provider")
"""Questions of the documentation form that a reader of a card asks, too."""


@functools.cache
def hub_licences() -> frozenset[str]:
    """Licences that the Hub knows by name (huggingface.co/docs/hub/repositories-licenses); others are `other`."""
    text = files("greenlight.release.exports").joinpath("hub_licences.txt").read_text("utf-8")
    return frozenset(text.split())


def card(source: Source, team: Team) -> Iterator[File]:
    """README.md: metadata, verdict, rows, explanation, what only the team can answer, how to check it."""
    head = yaml.safe_dump(_metadata(source, team), sort_keys=False, allow_unicode=True, width=120)
    yield File("README.md", f"---\n{head}---\n\n{_text(source, team)}".encode())


def _metadata(source: Source, team: Team) -> dict[str, JSON]:
    data: dict[str, JSON] = {"license": None, "base_model": list(team.base_models), "language": list(team.languages)}
    if team.licence.lower() in hub_licences():
        data["license"] = team.licence.lower()
    elif team.licence:
        data |= {"license": "other", "license_name": team.licence.lower()}
    if team.licence_url:
        data["license_link"] = team.licence_url
    data["pipeline_tag"] = TASK
    data["tags"] = ["greenlight", *team.tags]
    results = [_result(source, row) for row in source.measured() if source.entry(row)]
    if results:
        data["model-index"] = [{"name": _name(source, team), "results": results}]
    return {key: value for key, value in data.items() if value not in (None, [], "")}


def _name(source: Source, team: Team) -> str:
    return visible(team.model_id.rpartition("/")[2] or str(source.decision["model"]["name"]))


def _result(source: Source, row: Row) -> dict[str, JSON]:
    entry = source.entry(row)
    assert entry is not None
    arguments = {
        **{key: row[key] for key in ("n_used", "n_planned", "lower", "upper", "limit", "status", "method")},
        "confidence": level(row),
    }
    return {
        "task": {"type": TASK},
        "dataset": {
            "type": f"greenlight/{row['assess']}",
            "name": f"greenlight {row['assess']}, version {entry['version']}",
            "args": {"items": entry["n"], "items_sha256": entry["items_sha256"]},
        },
        "metrics": [
            {"type": row["metric"], "value": row["value"], "name": row["plain"], "args": arguments},
        ],
    }


def _text(source: Source, team: Team) -> str:
    decision, lock = source.decision, source.lock
    parts = [
        f"# {plain(_name(source, team))}",
        f"**{source.verdict}**: {plain(decision['sentence'])}. Decided {decision['decided']} under the policy "
        f"{plain(decision['policy']['name'])}; {plain(decision['explanation']['kind'])}.",
        _rows(source),
        markdown(tell(decision, lock)),
        _not_run(source),
        _answers(team),
        _check(source),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(source: Source) -> str:
    lines = ["## Rows", "", "| Row | Level | Number | Interval | Limit | n | Status |", "|---|---|---|---|---|---|---|"]
    for row in [*deciding(source.decision), *others(source.decision)]:
        if row["metric"] == "statement":
            continue
        limit = "" if row["limit"] is None else limit_words(row)
        cells = [title(row), row["level"], number(row, row["value"]), interval_words(row), limit, f"{row['n_used']:,}"]
        lines.append("| " + " | ".join(plain(str(cell)) for cell in [*cells, row["status"]]) + " |")
    return "\n".join(lines)


def _not_run(source: Source) -> str:
    rows = [row for row in source.decision["rows"] if row["status"] == "NOT RUN"]
    if not rows:
        return ""
    return "## Not run\n\n" + "\n".join(f"- {plain(title(row))}: {plain(row['reason'])}" for row in rows)


def _answers(team: Team) -> str:
    facts = {
        "Licence of the weights": " ".join(filter(None, (team.licence, team.licence_url))),
        "Made from": ", ".join(team.base_models),
        "Made by": team.developer,
        "Languages": ", ".join(team.languages),
        **{questions()[key].title: team.answers.get(key, "") for key in _ON_CARD},
    }
    return "## From the team\n\n" + "\n".join(
        f"- {name}: {plain(text) if text else f'*{BLANK}*'}" for name, text in facts.items()
    )


def _check(source: Source) -> str:
    decision = source.decision
    digests = {
        "lock": decision["lock"],
        "policy": decision["policy"]["sha256"],
        "model": decision["model"]["digest"],
        "manifest of the evidence": source.manifest_sha256,
        **source.model_files,
    }
    lines = [
        "## How to check this",
        "",
        "Every number above follows from the evidence folder. `greenlight verify FOLDER` recomputes it without the "
        "model and prints SAME, or the first difference; with `--public-key FILE` it checks the signature, too.",
        "",
        "| What | SHA-256 |",
        "|---|---|",
        *(f"| {plain(name)} | `{digest}` |" for name, digest in digests.items()),
    ]
    return "\n".join(lines)
