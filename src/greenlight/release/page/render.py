"""How does a folder become a page? Contents, views, template: a pure function of the folder's bytes."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, TemplateError
from markupsafe import Markup

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, canonical
from greenlight.release.explanation import tell
from greenlight.release.figures import matplotlib_version
from greenlight.release.order import VERDICTS, deciding, others, tally
from greenlight.release.page.contents import Contents, read_contents
from greenlight.release.page.pictures import confidence, differences, overview
from greenlight.release.page.record import instrument_facts, instruments, judges, locked_facts, run_facts
from greenlight.release.page.rows import RowView, both_policies, row_view
from greenlight.release.page.short import short
from greenlight.release.page.values import values_of
from greenlight.release.template import environment

EDITION = 2
"""Raised whenever the same folder would come out as another page: `verify` compares pages of its own edition."""

SAMPLES_OF_DECIDING, SAMPLES_OF_OTHERS = 6, 3


def render(folder: Path) -> bytes:
    """The page of a decided run: one file of HTML that needs nothing from outside.

    Raises:
        EvidenceError: a file that it shows is missing or damaged.
    """
    try:
        view = _view(read_contents(folder), values_of(folder))
        page = _environment().get_template("page.html").render(**view)
        return page.encode()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, TemplateError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where=str(folder),
            found=f"{type(error).__name__}: {str(error)[:160]}",
            do="it was changed after it was written; restore it, or run again into a new folder",
        ) from error


def _view(contents: Contents, values: JSON) -> dict[str, object]:
    decision = contents.decision
    first = [row_view(row, contents, n_samples=SAMPLES_OF_DECIDING) for row in deciding(decision)]
    rest = [row_view(row, contents, n_samples=SAMPLES_OF_OTHERS) for row in others(decision)]
    return {
        "generator": f"greenlight page {EDITION}, matplotlib {matplotlib_version()}",
        "css": Markup(_part("page.css")),  # noqa: S704 (our own file)
        "verdict": VERDICTS[decision["verdict"]],
        "decision": decision,
        "waivers": decision.get("waivers", ()),
        "attempt": decision.get("attempt"),
        "other": decision.get("other"),
        "other_verdict": VERDICTS[decision["other"]["verdict"]] if "other" in decision else "",
        "both_policies": both_policies(decision),
        "lock": contents.lock,
        "tally": tally(decision),
        "deciding": first,
        "limits": [row for row in rest if row.level != "disclose"],
        "disclosures": [row for row in rest if row.level == "disclose" and not _is_plain(row)],
        "figures": [row for row in rest if _is_plain(row)],
        "short": tuple(short(decision)),
        "overview": overview(decision),
        "pictures": [*differences(decision), *confidence(contents)],
        "parts_told": tell(decision, contents.lock),
        "files": contents.files,
        "data": sorted(contents.data.items()),
        "instruments": instruments(contents),
        "instrument_facts": instrument_facts(contents),
        "judges": judges(contents),
        "locked_facts": tuple(locked_facts(contents)),
        "run_facts": tuple(run_facts(contents)),
        "decision_block": _block(decision),
        "values_block": _block(values),
        "script": Markup(_script()),  # noqa: S704 (our own files)
        "script_hash": base64.b64encode(sha256(_script().encode()).digest()).decode(),
    }


def _is_plain(row: RowView) -> bool:
    """A disclosed figure of the machine: a line of a table is enough for it."""
    return row.level == "disclose" and row.id.startswith("row-resources-") and row.status == "DISCLOSED"


class Block(NamedTuple):
    """Data for programs in the page, and the digest of the file that would hold it."""

    text: Markup
    sha256: str


def _block(value: JSON) -> Block:
    """JSON in which nothing can end the block or begin a comment."""
    data = canonical(value)
    text = data.decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Block(Markup(text), sha256(data + b"\n").hexdigest())  # noqa: S704 (escaped for a data block above)


@cache
def _script() -> str:
    """What derives every number again in the reader's browser: its parts in order, nothing of them visible outside."""
    folder = files("greenlight.release.page").joinpath("recompute")
    parts = sorted((part for part in folder.iterdir() if part.name.endswith(".js")), key=lambda part: part.name)
    text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
    return f'(() => {{\n"use strict";\n{text}}})();\n'


@cache
def _environment() -> Environment:
    return environment(_part)


def _part(name: str) -> str:
    return files("greenlight.release.page").joinpath(name).read_text(encoding="utf-8")
