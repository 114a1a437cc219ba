"""How open is what is released? openness.json with the class, beside the author's own openness.yml."""

from __future__ import annotations

from collections.abc import Iterator

from greenlight.release.exports.source import File, NotApplicableError, Source, json_file
from greenlight.release.exports.team import Team


def openness(source: Source, team: Team) -> Iterator[File]:
    """openness.json: class of the Model Openness Framework, progress per class, checklist of the OSAID.

    Raises:
        NotApplicableError: nobody said what is released.
    """
    if source.openness is None:
        raise NotApplicableError(
            "nobody said which components are released under which licence",
            "fill in a file (greenlight release --openness-template) and give it with --openness",
        )
    yield json_file("openness.json", source.openness.to_json())
