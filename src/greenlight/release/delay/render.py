"""How do ledger and decision become a page, a feed and their history? As pure functions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, TemplateError
from markupsafe import Markup

from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import canonical
from greenlight.release.delay.feed import PAGE, feed
from greenlight.release.delay.history import FILE, Snapshot, to_json, with_page
from greenlight.release.delay.view import Material, view
from greenlight.release.template import environment

EDITION = 1

FEED = "feed.atom"


class Made(NamedTuple):
    """The files of a page, by name."""

    files: dict[str, bytes]


def explain(material: Material, pages: tuple[Snapshot, ...] = ()) -> Made:
    """index.html, feed.atom and pages.json.

    Args:
        material: ledger, decision, and what belongs to them.
        pages: those that were made before.

    Raises:
        UsageError: a row is to be withheld that is not there, or without a reason.
        EvidenceError: the decision has another shape than it should.
    """
    _check_withheld(material)
    ledger = material.ledger
    try:
        history, earlier = with_page(pages, Snapshot.of(material))
        return Made(
            {
                PAGE: _page(replace(material, earlier=earlier)),
                FEED: feed(ledger.model, ledger.start, history),
                FILE: canonical(to_json(history)) + b"\n",
            }
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, TemplateError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where="decision.json",
            found=f"{type(error).__name__}: {str(error)[:160]}",
            do="it was changed after it was written; restore it, or decide again",
        ) from error


def _check_withheld(material: Material) -> None:
    names = [row["row"] for row in material.decision["rows"]]
    for name, reason in material.redacted.items():
        if name not in names or not reason.strip():
            raise UsageError(
                "a row is withheld by its name and with a reason",
                where=f"--redact {name}",
                found=f"rows are {', '.join(names)}",
                do="--redact ROW=REASON",
            )


def _page(material: Material) -> bytes:
    decision, ledger = material.decision, material.ledger
    return (
        _environment()
        .get_template("delay.html")
        .render(
            generator=f"greenlight explain {EDITION}",
            css=Markup(_part("delay.css")),  # noqa: S704 (our own file)
            decision=decision,
            model=ledger.model,
            view=view(material),
            published=material.published,
            earlier=material.earlier,
            lock=material.lock,
            vouched=material.vouched,
            head=ledger.head,
            n_entries=len(ledger.entries),
            feed=FEED,
        )
        .encode()
    )


@cache
def _environment() -> Environment:
    return environment(_part)


def _part(name: str) -> str:
    # Its own style: a page that was published should not change because the report's style does.
    package = "greenlight.release.delay" if name.startswith("delay.") else "greenlight.release.page"
    return files(package).joinpath(name).read_text(encoding="utf-8")
