"""Does the page say what the decision says? The decision inside it, and the page rendered once more."""

from __future__ import annotations

import json
import re
from pathlib import Path

from greenlight.evidence import canonical
from greenlight.release.difference import DifferenceError, quoted

_EVIDENCE = re.compile(
    r'<script type="application/json" id="decision"(?: data-sha256="[0-9a-f]{64}")?>(.*?)</script>', re.DOTALL
)
_WITHOUT_SCRIPT = 1
"""The edition of pages that held data alone."""

_SCRIPT = re.compile(r"<script", re.IGNORECASE)
_GENERATOR = re.compile(r'<meta name="generator" content="greenlight page (\d+), matplotlib ([0-9A-Za-z.+-]+)">')
_TAG = re.compile(r"<[^>]*>?")
_NAME = re.compile(r"</?\s*([^\s/>]*)")
_ACTIVE = re.compile(r"""[\s"'/]on\w+\s*=|javascript:|url\(|href""", re.IGNORECASE)
_DRAWN = frozenset(("svg", "path", "text", "title", "desc"))
"""Elements that a drawing of ours is made of."""

_STYLE = re.compile(r"""[\s"'/]style\s*=\s*("[^"]*"|[^\s>]*)""", re.IGNORECASE)
_PLAIN_STYLE = re.compile(
    r"(?:(?:fill|stroke):(?:none|var\(--[a-z]+\))"
    r"|stroke-(?:width|dasharray|dashoffset|linecap|linejoin|miterlimit):[a-z0-9.,-]+"
    r"|font-size:[1-9][0-9]?(?:\.[0-9]+)?px|text-anchor:(?:start|middle|end))(?:;|$)"
)
"""Colours of the page, lines and letters: nothing that hides a word or fetches anything."""

_DRAWING = re.compile(r'<svg class="figure".*?</svg>', re.DOTALL)


def check_page(folder: Path, decision: bytes) -> list[str]:
    """Compare report.html with the decision and with what this folder renders to.

    Args:
        folder: the bundle.
        decision: canonical bytes of its decision.

    Returns:
        What could not be compared, because another version made the page.

    Raises:
        DifferenceError: the page holds another decision, or says something else around it.
    """
    from greenlight.release.page import EDITION, matplotlib_version, render

    page = (folder / "report.html").read_bytes().decode()
    found = _EVIDENCE.findall(page)
    if len(found) != 1:
        raise DifferenceError("report.html: it should hold the decision once")
    if canonical(json.loads(found[0])) != decision:
        raise DifferenceError("report.html: the decision inside it is not decision.json")
    generator = _GENERATOR.findall(page)
    if len(generator) != 1:
        raise DifferenceError("report.html: it does not say which edition of the page it is")
    edition, matplotlib = generator[0]
    if int(edition) == _WITHOUT_SCRIPT and len(_SCRIPT.findall(page)) != 1:
        raise DifferenceError("report.html: a page of its edition holds the decision, and no other script")
    if int(edition) > EDITION:
        raise DifferenceError(f"report.html: edition {edition} is of a later version; verify with that one")
    if int(edition) != EDITION:
        return [
            f"report.html is edition {edition} of the page, this version renders edition {EDITION}: the decision in it "
            "was compared, the wording and any script were not (greenlight report renders it anew)"
        ]
    again = render(folder).decode()
    if page == again:
        return []
    if matplotlib != matplotlib_version() and _without_lines(page) == _without_lines(again):
        return [f"report.html was drawn by matplotlib {matplotlib}: its text was compared, its lines were not"]
    raise DifferenceError(f"report.html: {_first_line(page, again)}")


def _without_lines(page: str) -> str:
    """The page with nothing of its drawings but their words.

    Raises:
        DifferenceError: a drawing holds what no drawing of ours does, such as a script.
    """
    return _GENERATOR.sub("", _DRAWING.sub(lambda found: _words_of(found[0]), page))


def _words_of(drawing: str) -> str:
    for tag in _TAG.findall(drawing):
        name = _NAME.match(tag)
        styled = "".join(found.strip('"') for found in _STYLE.findall(tag))
        if name is None or name[1] not in _DRAWN or _ACTIVE.search(tag) or _PLAIN_STYLE.sub("", styled):
            raise DifferenceError(f"report.html: a drawing holds {quoted(tag)}")
    return "\n".join(_TAG.sub(" ", drawing).split())


def _first_line(page: str, again: str) -> str:
    pairs = enumerate(zip(page.split("\n"), again.split("\n"), strict=False), start=1)
    differing = next(((number, left, right) for number, (left, right) in pairs if left != right), None)
    if differing is None:
        return "longer or shorter than what this folder renders to"
    number, left, right = differing
    return f"line {number} is {quoted(left.strip())}, rendered again {quoted(right.strip())}"
