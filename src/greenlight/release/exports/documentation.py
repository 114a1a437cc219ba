"""What does a regulator's form say of the model? The European documentation form, filled where the evidence answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from greenlight.release.explanation import plain, title
from greenlight.release.exports.questions import questions
from greenlight.release.exports.source import BLANK, File, Source, note
from greenlight.release.exports.team import Team

_RANGES = (
    *((5e8, "1 to 500 million"), (5e9, "500 million to 5 billion"), (1.5e10, "5 to 15 billion")),
    *((5e10, "15 to 50 billion"), (1e11, "50 to 100 billion"), (5e11, "100 to 500 billion")),
    *((1e12, "500 billion to 1 trillion"), (float("inf"), "more than 1 trillion")),
)


def documentation(source: Source, team: Team) -> Iterator[File]:
    """eu-model-documentation.md: every field of the form, each answered from the evidence, by the team, or blank."""
    known = {**_known(source), **_stated(team), **team.answers}
    lines = [
        f"# Model documentation: {plain(str(source.decision['model']['name']))}",
        "",
        "In the order of the Model Documentation Form of the General-Purpose AI Code of Practice (Transparency "
        "chapter). Each field says for whom it is meant: AIO the AI Office on request, NCA national authorities on "
        f"request, DP providers downstream. *{BLANK}* marks what no evidence here answers.",
    ]
    for section, fields in groupby(questions().values(), key=lambda entry: entry.section):
        lines += ["", f"## {section}", ""]
        for entry in fields:
            answer = plain(known[entry.key]) if known.get(entry.key) else f"*{BLANK}*: {entry.ask}"
            lines.append(f"- **{entry.title}** ({entry.readers}): {answer}")
    lines += ["", "## Evaluation", "", f"{source.verdict}: {plain(source.decision['sentence'])}.", ""]
    lines += [f"- **{plain(title(row))}**: {plain(note(row))}" for row in source.measured()]
    lines += [f"- **{plain(title(row))}**: {plain(row['reason'])}" for row in source.statements()]
    yield File("eu-model-documentation.md", ("\n".join(lines) + "\n").encode())


def _known(source: Source) -> dict[str, str]:
    """What the evidence itself answers."""
    model = source.lock["model"]
    found = {"model_name": str(model["name"]), "authenticity": _authenticity(source)}
    if model.get("parameters"):
        size, bound = int(model["parameters"]), float(model["parameters"])
        within = next(text for most, text in _RANGES if bound <= most)
        found["size"] = f"{size:,} parameters; range: {within}"
    return found


def _authenticity(source: Source) -> str:
    files = "; ".join(f"{name} {digest}" for name, digest in source.model_files.items())
    return f"SHA-256 of the files: {files}" if files else ""


def _stated(team: Team) -> dict[str, str]:
    return {
        "release_date": team.released,
        "dependencies": ", ".join(team.base_models),
        "licence": " ".join(filter(None, (team.licence, team.licence_url))),
        "channels": team.download_url,
    }
